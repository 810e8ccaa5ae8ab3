# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Google through google-auth, over our transport."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from google.oauth2 import service_account
from google.oauth2.credentials import Credentials

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.oauth.engines.recorder import TokenRequestRecorder, form_of
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.oauth.validation import decoded_json


def refresh(settings: OAuthSettings, refresh_token: str, transport: Transport) -> TokenResponse:
    """
    Refresh with the scopes of the connection.

    :raises: As :func:`airflow_imap_oauth.oauth.engines.refresh`.
    """
    token_url = _token_url(settings)
    recorder = TokenRequestRecorder(settings, transport, token_url, "refresh_token")
    credentials = Credentials(  # type: ignore[no-untyped-call]
        token=None,
        refresh_token=refresh_token,
        token_uri=token_url,
        client_id=settings.client_id,
        # None makes google-auth refuse before it asks; an empty one is not sent.
        client_secret=settings.client_secret or "",
        scopes=list(settings.scopes),
    )
    return recorder.run(
        "google-auth",
        lambda: credentials.refresh(_Request(recorder)),  # type: ignore[no-untyped-call]
    )


def obtain(settings: OAuthSettings, transport: Transport) -> TokenResponse:
    """
    Ask for an access token as a service account that acts for the mailbox's account.

    :raises: As :func:`airflow_imap_oauth.oauth.engines.obtain`.
    """
    token_url = _token_url(settings)
    recorder = TokenRequestRecorder(settings, transport, token_url, "service_account")
    # The key file names a token endpoint, too: a forged one must not learn the assertion.
    key = {**(decoded_json(settings.service_account_key or "") or {}), "token_uri": token_url}
    credentials = None
    with suppress(Exception):  # whatever it says may quote the key
        credentials = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
            key, scopes=list(settings.scopes), subject=settings.login
        )
    if credentials is None:
        raise ConfigurationError(
            "The service account's key (service_account_key) cannot be used.",
            hint="Enter the whole JSON file that the Google Cloud console made for the key.",
        )
    return recorder.run("google-auth", lambda: credentials.refresh(_Request(recorder)))


def _token_url(settings: OAuthSettings) -> str:
    if settings.endpoints.token_url is None:
        raise ConfigurationError(f"{settings.profile.label} has no token endpoint.")
    return settings.endpoints.token_url


@dataclass(frozen=True, slots=True, kw_only=True)
class _Response:
    """An answer as ``google.auth.transport.Response`` describes it."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    data: bytes = field(repr=False)


class _Request:
    """The transport as ``google.auth.transport.Request`` describes it."""

    def __init__(self, recorder: TokenRequestRecorder) -> None:
        self._recorder = recorder

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> _Response:
        """Send a request; google-auth's own timeout gives way to the transport's."""
        if method != "POST" or body is None:
            raise ConfigurationError("google-auth asked for more than a token.")
        answer = self._recorder.post(url, form_of(body), headers)
        return _Response(
            status=answer.status_code, headers=answer.headers, data=answer.text.encode("utf-8")
        )
