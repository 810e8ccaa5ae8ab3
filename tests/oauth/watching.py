# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Look for secrets in whatever a flow lets out."""

from __future__ import annotations

import base64
import json
import logging
import traceback
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from airflow_imap_oauth.oauth.settings import OAuthSettings
from tests.oauth.clients import LOGIN

if TYPE_CHECKING:
    import pytest

    from tests.servers.authorization_server import AuthorizationServer

#: Ways for a request to fail, for ``fail_next``.
FAULTS = [
    {"kind": "json_error", "status": 400, "error": "invalid_grant"},
    {"kind": "json_error", "status": 401, "error": "invalid_client"},
    {"kind": "error_200", "error": "invalid_grant"},
    {"kind": "html", "status": 502},
    {"kind": "html", "status": 200},
    {"kind": "truncated_json"},
    {"kind": "reset"},
    {"kind": "redirect"},
    {"kind": "slow", "seconds": 1.0},
]

_SECRET_PARAMETERS = frozenset(
    {"assertion", "client_assertion", "client_secret", "code", "code_verifier"}
    | {"device_code", "refresh_token", "token"}
)
_TALKATIVE = ("httpx", "httpcore", "msal", "google", "google.auth", "airflow_imap_oauth")


class Watch:
    """Everything that a flow let out, all loggers at their most talkative; and the secrets."""

    def __init__(self, server: AuthorizationServer, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        for name in _TALKATIVE:
            caplog.set_level(logging.DEBUG, logger=name)
        self._server = server
        self._caplog = caplog
        self._secrets: set[str] = set()
        self._shown: list[str] = []

    def secret(self, *values: str | None) -> None:
        """Add secrets that the server does not know of."""
        self._secrets.update(value for value in values if value)

    def guard(self, settings: OAuthSettings) -> OAuthSettings:
        """Add what is secret of a client, each line of its keys too; return the client."""
        if settings.client_secret:
            self.secret(settings.client_secret, f"{settings.client_id}:{settings.client_secret}")
        if settings.client_key is not None:
            self.key(settings.client_key.private_key)
        if settings.service_account_key:
            self.key(json.loads(settings.service_account_key)["private_key"])
        return settings

    def key(self, pem: str) -> None:
        """Add a private key, whole and line by line, but for the lines that every key has."""
        self.secret(pem, *(line for line in pem.splitlines() if len(line) > 8 and "-" not in line))

    def consent(self, url: str) -> str:
        """Let somebody consent; what the browser itself logs is not of interest."""
        self._shown += self._logged()
        callback = self._server.consent(url, LOGIN)
        self._caplog.clear()
        self.secret(callback)
        return callback

    def own_secrets(self) -> list[str]:
        """Return what was added so far."""
        return sorted(self._secrets)

    def show(self, *things: object) -> None:
        """Add what a log or a debugger would show of things."""
        self._shown.extend(f"{thing} {thing!r}" for thing in things)

    def show_error(self, error: BaseException) -> None:
        """Add all that can be seen of an error, and of what stands behind it."""
        link: BaseException | None = error
        while link is not None:
            self.show(link, vars(link), link.args)
            link = link.__cause__ or link.__context__
        self._shown.extend(traceback.format_exception(error))

    def found(self) -> list[str]:
        """Return the secrets that were let out, in any of their encodings."""
        text = "\n".join([*self._shown, *self._logged()])
        secrets = self._secrets | self._server.secrets_issued() | self._sent()
        return [secret for secret in secrets for form in _forms(secret) if form in text]

    def _sent(self) -> set[str]:
        # What a fault kept the server from processing is not among what it issued or took.
        requests = [
            request
            for endpoint in ("token", "device", "revocation")
            for request in self._server.recorded(endpoint)
        ]
        return {
            value
            for request in requests
            for name, value in request.parameters.items()
            if name in _SECRET_PARAMETERS
        } | {
            request.headers["authorization"].split()[-1]
            for request in requests
            if "authorization" in request.headers
        }

    def _logged(self) -> list[str]:
        # The authorization server is a part of this process, and of no user's.
        return [
            f"{record.getMessage()} {record.args} {record.exc_text}"
            for record in self._caplog.records
            if not record.name.startswith("authlib")
        ]


def _forms(secret: str) -> set[str]:
    return {secret, quote_plus(secret), base64.b64encode(secret.encode()).decode()}
