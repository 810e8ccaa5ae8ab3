# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
A real, strict OAuth 2.0 authorization server on loopback, on Authlib, over TLS.

In a test, in a thread of its process::

    with AuthorizationServer(ca) as server:
        refresh_token = server.mint_refresh_token("alice@example.com")
        ...                      # POST it to server.token_url, trusting server.ca_file
        assert server.token_requests_by_grant["refresh_token"] == 1
        server.fail_next("token", "html", status=502)
        redirect = server.consent(authorize_url, "alice@example.com")

As a process of its own, driven by the same methods over its control endpoint (see
:mod:`tests.servers.authorization.process`)::

    python -m tests.servers.authorization_server --ca-folder FOLDER --port 0

Its first line of output is a JSON object with the settings a client needs.

It plays these mail providers, each with its scopes, rotation and shape of errors:

* ``generic`` at the root, with rotation and reuse detection, device authorization, client
  authentication by assertion, introspection, revocation and discovery;
* ``microsoft`` at ``/TENANT/oauth2/v2.0/{authorize,token,devicecode}``, with certificates;
* ``google`` at ``/google/{authorize,token,revoke}``, with service accounts;
* ``yahoo`` at ``/yahoo/oauth2/{request_auth,get_token,revoke}``;
* ``zoho`` at ``/zoho/oauth/v2/{auth,token,token/revoke}``;
* ``yandex`` at ``/yandex/{authorize,token,device/code}``.

Everything is kept in memory. Parameters that are unknown, repeated, empty or missing are refused
with ``invalid_request``.
"""

from __future__ import annotations

import secrets

from tests.servers.authorization import control, endpoints
from tests.servers.authorization.dialects import (
    DIALECTS,
    GOOGLE_IMAP_SCOPE,
    IMAP_SCOPE,
    MICROSOFT_IMAP_SCOPE,
    YAHOO_IMAP_SCOPE,
    YANDEX_IMAP_SCOPE,
    ZOHO_IMAP_SCOPE,
    entra_error,
)
from tests.servers.authorization.faults import Fault, FaultPlan
from tests.servers.authorization.http_server import HttpsServer
from tests.servers.authorization.messages import Answer, Request, json_answer
from tests.servers.authorization.registry import GRANT_TYPES, Registry
from tests.servers.authorization.state import State
from tests.servers.authorization.steering import Steering
from tests.servers.authorization.traffic import RecordedRequest, Traffic
from tests.servers.certificates import CertificateAuthority

__all__ = [
    "GOOGLE_IMAP_SCOPE",
    "IMAP_SCOPE",
    "MICROSOFT_IMAP_SCOPE",
    "YAHOO_IMAP_SCOPE",
    "YANDEX_IMAP_SCOPE",
    "ZOHO_IMAP_SCOPE",
    "AuthorizationServer",
    "RecordedRequest",
    "entra_error",
]


class AuthorizationServer(Registry, Steering):
    """
    One authorization server.

    Its switches are attributes, see :class:`~tests.servers.authorization.switches.Switches`.
    ``client_id`` with ``client_secret`` is a confidential client that may authenticate by post or
    basic and look tokens up; ``public_client_id`` is a public one.

    :param ca: Issues its certificate.
    :param port: 0 for any that is free.
    """

    def __init__(self, ca: CertificateAuthority, *, port: int = 0) -> None:
        super().__init__()
        self.ca_file = ca.ca_file
        self._http = HttpsServer(
            self._handle,
            ca.server_context("localhost", "127.0.0.1"),
            port,
            wall_clock=self._now,
        )
        self.base_url = self._http.base_url
        self.port = self._http.server_port
        self._state = State(self.base_url, switches=self)
        self._faults = FaultPlan()
        self._traffic = Traffic()
        self.issuer = self.base_url
        self.authorize_url = self.url("authorize")
        self.token_url = self.url("token")
        self.device_url = self.url("device")
        self.introspection_url = self.url("introspection")
        self.revoke_url = self.url("revocation")
        self.jwks_url = self.url("jwks")
        self.client_id = "test-client"
        self.client_secret = secrets.token_urlsafe(24)
        self.public_client_id = "test-public-client"
        self.add_client(self.client_id, client_secret=self.client_secret)
        self.add_client(self.public_client_id, grant_types=GRANT_TYPES[:3])

    def __enter__(self) -> AuthorizationServer:
        """Start serving."""
        self._http.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving; open connections end."""
        self.stop()

    def stop(self) -> None:
        """Stop serving; open connections end."""
        self._http.stop()

    def url(self, endpoint: str, *, mail_provider: str = "generic", tenant: str = "") -> str:
        """
        Return the URL of an endpoint.

        :param endpoint: ``authorize``, ``token``, ``device``, ``introspection``, ``revocation``,
            ``jwks``; not every mail provider has each.
        :param mail_provider: ``generic``, ``microsoft`` (needs ``tenant``), ``google``, ``yahoo``,
            ``zoho`` or ``yandex``.
        """
        paths = {dialect.name: dialect.paths for dialect in DIALECTS}[mail_provider]
        return self.base_url + paths[endpoint].format(tenant=tenant)

    def settings(self) -> dict[str, object]:
        """Return what a client needs to know, as JSON can hold it."""
        return {
            "base_url": self.base_url,
            "port": self.port,
            "ca_file": str(self.ca_file),
            "issuer": self.issuer,
            "authorize_url": self.authorize_url,
            "token_url": self.token_url,
            "device_url": self.device_url,
            "introspection_url": self.introspection_url,
            "revoke_url": self.revoke_url,
            "jwks_url": self.jwks_url,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "public_client_id": self.public_client_id,
            "scope": IMAP_SCOPE,
        }

    def _now(self) -> float:
        return self._state.now()

    def _handle(self, request: Request) -> tuple[Answer, Fault | None]:
        if request.path.startswith(control.PREFIX):
            return control.answer(self, request), None
        to = endpoints.route(request.path)
        if to is None:
            self._traffic.record(request, None, None)
            return json_answer({"error": "not_found"}, 404), self._faults.take(request.path)
        self._traffic.record(request, to.endpoint, to.dialect.name)
        fault = self._faults.take(request.path, to.endpoint)
        if fault is not None and not (fault.processed or fault.keeps_answer):
            return json_answer({}), fault
        return endpoints.answer(self._state, to, request), fault


if __name__ == "__main__":
    from tests.servers.authorization.command import main

    main()
