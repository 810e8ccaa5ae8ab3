# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What the authorization server knows: clients, consents, tokens. In memory, for any thread."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.servers.authorization.messages import Pairs
from tests.servers.authorization.model import (
    AuthorizationCode,
    Client,
    DeviceCode,
    RefreshToken,
    ServiceAccount,
    Token,
)
from tests.servers.authorization.signing import SigningKeys
from tests.servers.authorization.switches import Switches

_CODE_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A consent page that was shown: the parameters of its request, and where they came in."""

    dialect_name: str
    tenant: str
    pairs: Pairs


@dataclass
class State:
    """
    The state of one server.

    :param lock: Held over every request that reads and changes tokens, so that of two refreshes
        with one token the second sees what the first did.
    :param clock: What polls and limits of requests are measured by.
    :param advanced_seconds: How far that clock is moved ahead.
    :param assertion_ids: Client and ``jti`` of the assertions so far.
    :param other_secrets: Secrets besides tokens, codes and those of clients.
    """

    base_url: str
    lock: threading.RLock = field(default_factory=threading.RLock)
    switches: Switches = field(default_factory=Switches, repr=False)
    clients: dict[str, Client] = field(default_factory=dict)
    codes: dict[str, AuthorizationCode] = field(default_factory=dict, repr=False)
    tokens: dict[str, Token] = field(default_factory=dict, repr=False)
    pending: dict[str, Pending] = field(default_factory=dict, repr=False)
    consented: set[tuple[str, ...]] = field(default_factory=set)
    devices: dict[str, DeviceCode] = field(default_factory=dict, repr=False)
    service_accounts: dict[str, ServiceAccount] = field(default_factory=dict)
    refreshes: dict[str, list[float]] = field(default_factory=dict, repr=False)
    assertion_ids: set[tuple[str, str]] = field(default_factory=set, repr=False)
    other_secrets: set[str] = field(default_factory=set, repr=False)
    signing_keys: SigningKeys = field(default_factory=SigningKeys, repr=False)
    clock: Callable[[], float] = time.monotonic
    advanced_seconds: float = 0.0

    def now(self) -> float:
        """Return the Unix time as the server sees it."""
        return time.time() + self.switches.clock_offset_seconds

    def monotonic(self) -> float:
        """Return what the clock says that polls are measured by."""
        return self.clock() + self.advanced_seconds

    # --- Tokens ---------------------------------------------------------------------------------

    def add_access_token(
        self,
        client_id: str,
        login: str | None,
        scope: str,
        family: str,
        *,
        issuer: str,
        lifetime_seconds: float | None = None,
    ) -> Token:
        """Issue an access token; None takes the lifetime of the switch."""
        now = self.now()
        if lifetime_seconds is None:
            lifetime_seconds = self.switches.access_token_lifetime_seconds
        token = Token(
            value=new_value("at"),
            kind="access_token",
            client_id=client_id,
            login=login,
            scope=scope,
            family=family,
            issued_at=now,
            expires_at=now + lifetime_seconds,
            now=self.now,
        )
        if self.switches.access_token_format == "jwt":
            token.value = self._as_jwt(token, issuer)
        with self.lock:
            self.tokens[token.value] = token
        return token

    def add_refresh_token(self, client_id: str, login: str, scope: str, family: str) -> str:
        """Issue a refresh token, and return it."""
        token = RefreshToken(
            value=new_value("rt"),
            kind="refresh_token",
            client_id=client_id,
            login=login,
            scope=scope,
            family=family,
            issued_at=self.now(),
            now=self.now,
        )
        with self.lock:
            self.tokens[token.value] = token
        return token.value

    def living_access_token(self, family: str, scope: str) -> Token | None:
        """Return an access token of a consent that has half of its lifetime left, or None."""
        for token in self.tokens.values():
            same = (token.kind, token.family, token.scope) == ("access_token", family, scope)
            if same and not token.revoked and token.expires_at is not None:
                left = token.expires_at - self.now()
                if left > (token.expires_at - token.issued_at) / 2:
                    return token
        return None

    def revoke_family(self, family: str) -> None:
        """Revoke all that descends from one consent."""
        self._revoke(token for token in self.tokens.values() if token.family == family)

    def revoke_login(self, login: str) -> None:
        """Revoke every token of an account, as a change of its password may."""
        self._revoke(token for token in self.tokens.values() if token.login == login)

    def _revoke(self, tokens: Iterable[Token]) -> None:
        with self.lock:
            for token in tokens:
                token.revoked = True

    def _as_jwt(self, token: Token, issuer: str) -> str:
        claims: dict[str, object] = {
            "iss": issuer,
            "sub": token.login or token.client_id,
            "aud": "imap",
            "client_id": token.client_id,
            "scope": token.scope,
            "iat": int(token.issued_at),
            "exp": int(token.expires_at or 0),
            "jti": token.value,
        }
        if token.login:
            claims["email"] = claims["username"] = token.login
        return self.signing_keys.sign(claims)

    # --- Codes ----------------------------------------------------------------------------------

    def add_code(
        self, client_id: str, login: str, scope: str, parameters: dict[str, str], *, offline: bool
    ) -> str:
        """Issue an authorization code for the parameters of its request, and return it."""
        code = AuthorizationCode(
            value=new_value("code"),
            client_id=client_id,
            login=login,
            redirect_uri=parameters["redirect_uri"],
            scope=scope,
            code_challenge=parameters["code_challenge"],
            code_challenge_method=parameters["code_challenge_method"],
            nonce=parameters.get("nonce"),
            offline=offline,
            family=new_family(),
            expires_at=self.now() + _CODE_SECONDS,
        )
        with self.lock:
            self.codes[code.value] = code
        return code.value

    def redeem_code(self, value: str, client_id: str) -> AuthorizationCode | None:
        """
        Return a living code of this client and end it; None where there is none.

        The attempt alone ends it, right verifier or not. A second one revokes what the first got
        (RFC 6749 section 4.1.2).
        """
        with self.lock:
            code = self.codes.get(value)
            if code is None or code.client_id != client_id:
                return None
            if code.spent:
                self.revoke_family(code.family)
                return None
            code.spent = True
            return code if code.expires_at > self.now() else None

    # --- Consent pages --------------------------------------------------------------------------

    def add_pending(self, pending: Pending) -> str:
        """Keep the request of a consent page, and return the page's transaction."""
        transaction = new_value("tx")
        with self.lock:
            self.pending[transaction] = pending
        return transaction

    def take_pending(self, transaction: str) -> Pending | None:
        """Return the request of a consent page once; None afterwards, or if there was none."""
        with self.lock:
            return self.pending.pop(transaction, None)

    def first_consent(self, *parties: str) -> bool:
        """Note a consent, and tell whether it is the first between these parties."""
        with self.lock:
            first = parties not in self.consented
            self.consented.add(parties)
            return first

    def secrets_issued(self) -> set[str]:
        """Return every secret that ever left or entered here: no log may hold one of them."""
        with self.lock:
            client_secrets = {client.client_secret for client in self.clients.values()}
            found = {*self.tokens, *self.codes, *self.devices, *filter(None, client_secrets)}
            return found | self.other_secrets


def new_family() -> str:
    """Return an identifier for all that descends from one consent."""
    return secrets.token_hex(8)


def new_value(prefix: str) -> str:
    """Return a secret of characters that a client has to encode in forms."""
    # "~" and "." are legal in a bearer token (RFC 6750 section 2.1); "+" and "/" too, and they
    # break clients that do not encode forms.
    return f"{prefix}-{secrets.token_hex(4)}+{secrets.token_urlsafe(24)}/~.{secrets.token_hex(4)}"
