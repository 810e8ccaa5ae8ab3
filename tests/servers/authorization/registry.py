# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What tests do to clients, accounts and tokens of the authorization server."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.servers.authorization import browser, device, service_accounts
from tests.servers.authorization.dialects import GENERIC, GOOGLE, GOOGLE_IMAP_SCOPE, IMAP_SCOPE
from tests.servers.authorization.dialects import IMAP_SCOPES as ALL_IMAP_SCOPES
from tests.servers.authorization.model import LOOPBACK_HOSTS, Client, ServiceAccount
from tests.servers.authorization.parameters import DEVICE_GRANT
from tests.servers.authorization.protocol import ProtocolServer
from tests.servers.authorization.state import State, new_family

#: Registered for every client unless it brings its own; the port of each is free to choose.
REDIRECT_URIS = tuple(
    f"http://{host}{path}"
    for host in sorted(LOOPBACK_HOSTS)
    for path in ("", "/", "/callback", "/imap-oauth/callback", "/team/a/imap-oauth/callback")
)
GRANT_TYPES = ("authorization_code", "refresh_token", DEVICE_GRANT, "client_credentials")


class Registry:
    """The part of the server that registers clients and accounts, and issues tokens."""

    ca_file: Path
    issuer: str
    client_id: str
    _state: State

    # --- Clients and service accounts -------------------------------------------------------------

    def add_client(
        self,
        client_id: str,
        *,
        client_secret: str | None = None,
        assertion_key: str | None = None,
        auth_methods: Iterable[str] | None = None,
        redirect_uris: Iterable[str] = REDIRECT_URIS,
        grant_types: Iterable[str] = GRANT_TYPES,
        login: str | None = None,
    ) -> None:
        """
        Register a client, or change the one that has this id.

        :param client_secret: None where it has none.
        :param assertion_key: Its public key or certificate, PEM, if it authenticates by assertion.
        :param auth_methods: Of ``client_secret_post``, ``client_secret_basic``,
            ``private_key_jwt``, ``none``; None: those that go with secret and key, or the last
            for a public client.
        :param login: The account that a token of client credentials opens.
        """
        if auth_methods is None:
            by_secret = ("client_secret_post", "client_secret_basic") if client_secret else ()
            by_key = ("private_key_jwt",) if assertion_key else ()
            auth_methods = (*by_secret, *by_key) or ("none",)
        self._state.clients[client_id] = Client(
            client_id=client_id,
            client_secret=client_secret,
            assertion_key=assertion_key,
            auth_methods=frozenset(auth_methods),
            redirect_uris=tuple(redirect_uris),
            grant_types=frozenset(grant_types),
            login=login,
        )

    def add_service_account(
        self,
        client_email: str,
        public_key_pem: str,
        *,
        subjects: Iterable[str],
        key_id: str,
        scopes: Iterable[str] = (GOOGLE_IMAP_SCOPE,),
    ) -> None:
        """
        Register a service account at Google, or change it; its other keys stay.

        :param subjects: The accounts that it may act for.
        :param key_id: Names the key in the header of its assertions.
        """
        known = self._state.service_accounts.get(client_email)
        self._state.service_accounts[client_email] = ServiceAccount(
            client_email=client_email,
            keys={**(known.keys if known else {}), key_id: public_key_pem},
            subjects=frozenset(subjects),
            scopes=frozenset(scopes),
        )

    def new_service_account(
        self,
        client_email: str,
        *,
        subjects: Iterable[str],
        scopes: Iterable[str] = (GOOGLE_IMAP_SCOPE,),
    ) -> str:
        """Register a service account with a new key, and return the key as Google's console."""
        key_id, public_key, private_key = service_accounts.new_key()
        self.add_service_account(
            client_email, public_key, subjects=subjects, key_id=key_id, scopes=scopes
        )
        self._state.other_secrets.update((private_key, private_key.splitlines()[1]))
        token_uri = self._state.base_url + GOOGLE.paths["token"]
        return service_accounts.key_json(client_email, key_id, private_key, token_uri)

    # --- Users ------------------------------------------------------------------------------------

    def consent(
        self,
        authorize_url: str,
        login: str,
        *,
        allow: bool = True,
        scopes: Iterable[str] | None = None,
    ) -> str:
        """
        Open an authorization URL as a browser would, and consent (or refuse to).

        :param scopes: Consent to no others than these; None: to all that ``granted_scopes`` says.
        :return: The URL that the browser is sent back to.
        :raises PageRefusedError: the server showed a refusal instead of redirecting.
        """
        return browser.consent(authorize_url, login, self.ca_file, allow=allow, scopes=scopes)

    def decide_device(self, user_code: str, login: str, *, allow: bool = True) -> None:
        """
        Allow or deny a device, as a user does who enters its code.

        :raises ValueError: the code is not known, expired or decided.
        """
        device.decide(self._state, user_code, login, allow=allow)

    def revoke_all(self, login: str) -> None:
        """Revoke every token of an account."""
        self._state.revoke_login(login)

    # --- Tokens -----------------------------------------------------------------------------------

    def mint_refresh_token(
        self, login: str, *, client_id: str | None = None, scopes: Iterable[str] | None = None
    ) -> str:
        """
        Return a refresh token, as if the account had consented.

        :param client_id: None: the confidential client.
        :param scopes: None: the IMAP scopes of all mail providers that the server plays, so that
            it can be used at each.
        """
        return self._state.add_refresh_token(
            client_id or self.client_id, login, " ".join(scopes or ALL_IMAP_SCOPES), new_family()
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

    def next_id_token(self, **changes: object) -> None:
        """
        Change the next ID token that is issued; of several calls each changes one.

        :param changes: Claims, where None leaves one out; and of its header ``alg`` (``none``;
            ``HS256``: with the client secret), ``kid`` (None leaves it out), and ``key="other"``
            for a signature by a key that is not published.
        """
        self._state.signing_keys.change_next(changes)

    def rotate_signing_key(self, *, keep_old: bool = False) -> None:
        """Sign with a new key from now on; the old one leaves the JWKS, or stays."""
        self._state.signing_keys.rotate(keep_old=keep_old)

    def introspect(self, access_token: str) -> dict[str, object]:
        """Return what the introspection endpoint says of a token, without a request to count."""
        server = ProtocolServer(self._state, GENERIC)
        return server.introspect(access_token)

    def secrets_issued(self) -> set[str]:
        """Return every code, token, assertion and client secret so far: no log may hold one."""
        return self._state.secrets_issued()
