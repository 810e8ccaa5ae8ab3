# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Between a token library and the transport: every answer is judged before the library sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlsplit

from airflow_imap_oauth.exceptions import ImapOAuthError, OAuthError
from airflow_imap_oauth.oauth.http import HttpAnswer, Transport
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.oauth.taxonomy import GrantKind
from airflow_imap_oauth.oauth.urls import checked_url, origin
from airflow_imap_oauth.oauth.validation import read_token_answer

STEP = "token request"


class TokenRequestRecorder:
    """
    Sends the one token request of a library and keeps its response.

    A library that never sees an error cannot retry it behind our back (google-auth replays the
    refresh token up to three times), cache it (MSAL answers from memory for a minute) or write its
    body to a log. And what the server said stays known whatever the library makes of it: a new
    refresh token must not be lost to, say, an id_token that the library cannot decode.

    :param grant: What is asked for.
    :param allowed_origin: A URL; secrets are sent to its scheme, host and port only.
    """

    def __init__(
        self, settings: OAuthSettings, transport: Transport, allowed_origin: str, grant: GrantKind
    ) -> None:
        self._settings = settings
        self._grant = grant
        self._transport = transport
        self._allowed_origin = origin(urlsplit(allowed_origin))
        self._failure: ImapOAuthError | None = None
        self.response: TokenResponse | None = None

    def post(
        self, url: str, form: Mapping[str, str], headers: Mapping[str, str] | None
    ) -> HttpAnswer:
        """
        Send the token request.

        :raises ImapOAuthError: For every answer that is no token response, and for a second
            request.
        """
        with self.watched():
            return self._post(url, form, headers)

    def _post(
        self, url: str, form: Mapping[str, str], headers: Mapping[str, str] | None
    ) -> HttpAnswer:
        parts = checked_url(
            url, what=STEP, allow_loopback_http=self._transport.settings.allow_loopback_http
        )
        if origin(parts) != self._allowed_origin:
            raise OAuthError(
                f"The token request would go to another server: '{parts.hostname}'.",
                hint="The metadata of the authorization server name a foreign token endpoint.",
            )
        if self.response is not None:
            raise OAuthError("The token library sent a second request, which was stopped.")
        answer = self._transport.request("POST", url, form=form, headers=headers, step=STEP)
        self.response = read_token_answer(answer, self._settings, step=STEP, grant=self._grant)
        return answer

    @contextmanager
    def watched(self) -> Iterator[None]:
        """
        Remember an error of ours on its way through the library.

        Libraries let most of them pass, but MSAL takes a ValueError for a wrong tenant, which
        a :class:`ConfigurationError` is.
        """
        try:
            yield
        except ImapOAuthError as error:
            self._failure = error
            raise

    def run(self, library: str, call: Callable[[], object]) -> TokenResponse:
        """
        Let the library work, and return what the server answered.

        :param library: Its name, for the message.
        :raises ImapOAuthError: As raised in the transport, without the library's frames; or an
            :class:`OAuthError` where the library failed before any answer.
        """
        problem = "sent no token request"
        try:
            call()
        except Exception as error:  # noqa: BLE001  # a library may raise anything
            problem = f"failed with {type(error).__name__}"
        if self.response is not None:
            return self.response
        # Raised outside of the except clause, and without the frames below: the library's own
        # error and variables hold what was sent.
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        raise OAuthError(f"{library} {problem}.", hint="Check tenant_id and the client's settings.")


def form_of(body: bytes | str) -> dict[str, str]:
    """Return the parameters of a form-encoded body; empty ones count as omitted (RFC 6749 3.1)."""
    text = body.decode("ascii") if isinstance(body, bytes) else body
    return dict(parse_qsl(text))
