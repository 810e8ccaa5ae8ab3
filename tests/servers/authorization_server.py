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

It plays three mail providers. The generic one stands at the root, with rotation and reuse
detection, introspection, revocation and discovery; Microsoft's at
``/TENANT/oauth2/v2.0/{authorize,token}`` and Google's at ``/google/{authorize,token}``, each with
its provider's scopes, rotation and shape of errors. Everything is kept in memory. Parameters that
are unknown, repeated, empty or missing are refused with ``invalid_request``.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping

from tests.servers.authorization import browser, control, endpoints
from tests.servers.authorization.dialects import (
    DIALECTS,
    GENERIC,
    GOOGLE_IMAP_SCOPE,
    IMAP_SCOPE,
    MICROSOFT_IMAP_SCOPE,
    entra_error,
)
from tests.servers.authorization.faults import Fault, FaultKind, FaultPlan
from tests.servers.authorization.http_server import HttpsServer
from tests.servers.authorization.messages import Answer, Request, json_answer
from tests.servers.authorization.model import LOOPBACK_HOSTS, Client
from tests.servers.authorization.protocol import ProtocolServer
from tests.servers.authorization.state import State, Switches, new_family
from tests.servers.authorization.traffic import RecordedRequest, Traffic
from tests.servers.certificates import CertificateAuthority

__all__ = [
    "GOOGLE_IMAP_SCOPE",
    "IMAP_SCOPE",
    "MICROSOFT_IMAP_SCOPE",
    "AuthorizationServer",
    "RecordedRequest",
    "entra_error",
]

#: Registered for every client unless it brings its own; the port of each is free to choose.
REDIRECT_URIS = tuple(
    f"http://{host}{path}"
    for host in sorted(LOOPBACK_HOSTS)
    for path in ("", "/", "/callback", "/imap-oauth/callback")
)
GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials")


class AuthorizationServer(Switches):
    """
    One authorization server; its switches are attributes (see :class:`Switches`).

    ``client_id`` with ``client_secret`` is a confidential client that may authenticate by post or
    basic and look tokens up; ``public_client_id`` is a public one.

    :param ca: Issues its certificate.
    :param port: 0 for any that is free.
    """

    def __init__(self, ca: CertificateAuthority, *, port: int = 0) -> None:
        super().__init__()
        self.ca_file = ca.ca_file
        self._http = HttpsServer(self._handle, ca.server_context("localhost", "127.0.0.1"), port)
        self.base_url = self._http.base_url
        self.port = self._http.server_port
        self._state = State(self.base_url, switches=self)
        self._faults = FaultPlan()
        self._traffic = Traffic()
        self.issuer = self.base_url
        self.authorize_url = self.url("authorize")
        self.token_url = self.url("token")
        self.introspection_url = self.url("introspection")
        self.revoke_url = self.url("revocation")
        self.jwks_url = self.url("jwks")
        self.client_id = "test-client"
        self.client_secret = secrets.token_urlsafe(24)
        self.public_client_id = "test-public-client"
        self.add_client(self.client_id, client_secret=self.client_secret)
        self.add_client(self.public_client_id, grant_types=GRANT_TYPES[:2])

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

        :param endpoint: ``authorize``, ``token``, ``introspection``, ``revocation``, ``jwks``.
        :param mail_provider: ``generic``, ``microsoft`` (needs ``tenant``) or ``google``.
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
            "introspection_url": self.introspection_url,
            "revoke_url": self.revoke_url,
            "jwks_url": self.jwks_url,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "public_client_id": self.public_client_id,
            "scope": IMAP_SCOPE,
        }

    # --- Clients, accounts, tokens --------------------------------------------------------------

    def add_client(
        self,
        client_id: str,
        *,
        client_secret: str | None = None,
        auth_methods: Iterable[str] | None = None,
        redirect_uris: Iterable[str] = REDIRECT_URIS,
        grant_types: Iterable[str] = GRANT_TYPES,
        login: str | None = None,
    ) -> None:
        """
        Register a client, or change the one that has this id.

        :param client_secret: None for a public client.
        :param auth_methods: Of ``client_secret_post``, ``client_secret_basic``, ``none``; None:
            both of the first, or the last for a public client.
        :param login: The account that a token of client credentials opens.
        """
        if auth_methods is None:
            confidential = ("client_secret_post", "client_secret_basic")
            auth_methods = ("none",) if client_secret is None else confidential
        self._state.clients[client_id] = Client(
            client_id=client_id,
            client_secret=client_secret,
            auth_methods=frozenset(auth_methods),
            redirect_uris=tuple(redirect_uris),
            grant_types=frozenset(grant_types),
            login=login,
        )

    def mint_refresh_token(
        self, login: str, *, client_id: str | None = None, scopes: Iterable[str] | None = None
    ) -> str:
        """
        Return a refresh token, as if the account had consented.

        :param client_id: None: the confidential client.
        :param scopes: None: the IMAP scopes of all mail providers that the server plays, so that
            it can be used at each.
        """
        if scopes is None:
            scopes = (IMAP_SCOPE, MICROSOFT_IMAP_SCOPE, GOOGLE_IMAP_SCOPE)
        return self._state.add_refresh_token(
            client_id or self.client_id, login, " ".join(scopes), new_family()
        )

    def mint_access_token(
        self,
        login: str,
        *,
        lifetime_seconds: float = 3600,
        scopes: Iterable[str] | None = None,
        client_id: str | None = None,
    ) -> str:
        """Return an access token; with a lifetime of 0 or less it is expired."""
        token = self._state.add_access_token(
            client_id or self.client_id,
            login,
            " ".join(scopes or (IMAP_SCOPE,)),
            new_family(),
            issuer=self.issuer,
            lifetime_seconds=lifetime_seconds,
        )
        return token.value

    def revoke_all(self, login: str) -> None:
        """Revoke every token of an account."""
        self._state.revoke_login(login)

    def consent(self, authorize_url: str, login: str, *, allow: bool = True) -> str:
        """
        Open an authorization URL as a browser would, and consent (or refuse to).

        :return: The URL that the browser is sent back to.
        :raises PageRefusedError: the server showed a refusal instead of redirecting.
        """
        return browser.consent(authorize_url, login, self.ca_file, allow=allow)

    def introspect(self, access_token: str) -> dict[str, object]:
        """Return what the introspection endpoint says of a token, without a request to count."""
        server = ProtocolServer(self._state, GENERIC)
        return server.introspect(access_token)

    def secrets_issued(self) -> set[str]:
        """Return every code, token and client secret so far: no log may hold one of them."""
        return self._state.secrets_issued()

    # --- Traffic and faults -----------------------------------------------------------------------

    @property
    def requests(self) -> Counter[str]:
        """Requests by path since the last reset."""
        return self._traffic.by_path()

    @property
    def token_requests(self) -> int:
        """Token requests since the last reset, at whichever mail provider, failed ones too."""
        return len(self._traffic.at("token"))

    @property
    def token_requests_by_grant(self) -> Counter[str]:
        """The same by ``grant_type``."""
        return self._traffic.by_grant()

    def recorded(self, endpoint: str) -> tuple[RecordedRequest, ...]:
        """Return the requests at one endpoint (``token``, ``authorize``, ...) in their order."""
        return self._traffic.at(endpoint)

    def counters(self) -> dict[str, object]:
        """Return all counters, as JSON can hold them."""
        return {
            "requests": dict(self.requests),
            "token_requests": self.token_requests,
            "token_requests_by_grant": dict(self.token_requests_by_grant),
        }

    def fail_next(
        self,
        target: str,
        kind: FaultKind,
        *,
        times: int = 1,
        members: Mapping[str, object] | None = None,
        **details: object,
    ) -> None:
        """
        Let the next requests fail.

        :param target: An endpoint (``token``, ``authorize``, ``introspection``, ``revocation``,
            ``discovery``, ``jwks``) of whichever mail provider, or one path.
        :param kind: How, see :class:`~tests.servers.authorization.faults.Fault`.
        :param members: Further members of a JSON error, for example those of
            :func:`entra_error`.
        :param details: Further fields of the fault: ``status``, ``error``, ``retry_after``,
            ``seconds``, ``processed``, ...
        """
        found = tuple((members or {}).items())
        self._faults.add(target, Fault(kind=kind, members=found, **details), times)

    def switch(self, **values: object) -> None:
        """Set switches by name, as over the control endpoint."""
        known = vars(Switches())
        for name, value in values.items():
            if name not in known or type(value) is not type(known[name]):
                raise ValueError(f"{name} is no switch, or its type is wrong")
            setattr(self, name, value)

    def reset_counters(self) -> None:
        """Set every counter to zero."""
        self._traffic.clear()

    def reset(self) -> None:
        """Set counters, faults and switches back; clients and tokens stay."""
        self.reset_counters()
        self._faults.clear()
        self.switch(**vars(Switches()))

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
