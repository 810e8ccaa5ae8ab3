# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Clients, codes and tokens of the authorization server, in the shape that Authlib asks for."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, TokenMixin

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "[::1]", "localhost"})
#: Scopes of OpenID Connect; they may be added to any request.
OPENID_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})


@dataclass(kw_only=True)
class Client(ClientMixin):
    """
    A registered client.

    :param client_secret: None where it has none.
    :param assertion_key: What verifies its assertions: a public key or a certificate, PEM.
    :param auth_methods: Of ``client_secret_post``, ``client_secret_basic``, ``private_key_jwt``,
        ``none``.
    :param redirect_uris: Matched exactly, but for the port of ``http`` to a loopback host
        (RFC 8252 section 7.3).
    :param login: The account that a token of client credentials opens; None for no account.
    """

    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    auth_methods: frozenset[str]
    redirect_uris: tuple[str, ...]
    grant_types: frozenset[str]
    login: str | None = None
    assertion_key: str | None = None

    def get_client_id(self) -> str:
        """Return the client id."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """Return no default: every request names its redirect URI."""

    def get_allowed_scope(self, scope: str | None) -> str:
        """Return the requested scopes: which there are, the server checks."""
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Tell whether a redirect URI is registered."""
        return _without_loopback_port(redirect_uri) in map(
            _without_loopback_port, self.redirect_uris
        )

    def check_client_secret(self, client_secret: str) -> bool:
        """Tell whether this is the secret of the client."""
        return self.client_secret is not None and secrets.compare_digest(
            self.client_secret.encode(), client_secret.encode()
        )

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:  # noqa: ARG002
        """Tell whether the client may authenticate in this way, at any endpoint."""
        return method in self.auth_methods

    def check_response_type(self, response_type: str) -> bool:
        """Tell whether the client may ask for this; there is but ``code``."""
        return response_type == "code" and self.check_grant_type("authorization_code")

    def check_grant_type(self, grant_type: str) -> bool:
        """Tell whether the client may use this grant."""
        return grant_type in self.grant_types


def _without_loopback_port(uri: str) -> str:
    parts = urlsplit(uri)
    host, _, port = parts.netloc.rpartition(":")
    if parts.scheme == "http" and host in LOOPBACK_HOSTS and port.isdigit():
        return uri.replace(f"//{parts.netloc}", f"//{host}", 1)
    return uri


@dataclass(kw_only=True)
class AuthorizationCode(AuthorizationCodeMixin):
    """What a user consented to, for one redemption within ``expires_at``."""

    value: str = field(repr=False)
    client_id: str
    login: str
    redirect_uri: str
    scope: str
    code_challenge: str
    code_challenge_method: str
    nonce: str | None
    offline: bool
    family: str
    expires_at: float
    spent: bool = False

    def get_redirect_uri(self) -> str:
        """Return the redirect URI of the authorization request."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """Return the granted scopes."""
        return self.scope


@dataclass(kw_only=True)
class Token(TokenMixin):
    """
    An access token or a refresh token.

    :param login: None for a token of client credentials without an account.
    :param family: What descends from one consent shares it, and dies together.
    :param expires_at: Unix time, or None for never.
    :param now: The clock of the server.
    """

    value: str = field(repr=False)
    kind: str
    client_id: str
    login: str | None
    scope: str
    family: str
    issued_at: float
    expires_at: float | None = None
    revoked: bool = False
    now: Callable[[], float] = field(default=time.time, repr=False)

    def check_client(self, client: Client) -> bool:
        """Tell whether it was issued to this client."""
        return self.client_id == client.client_id

    def get_scope(self) -> str:
        """Return what may be asked for with it: OpenID scopes may always be added."""
        return " ".join([*self.scope.split(), *sorted(OPENID_SCOPES)])

    def is_expired(self) -> bool:
        """Tell whether its time is over."""
        return self.expires_at is not None and self.expires_at <= self.now()

    def is_revoked(self) -> bool:
        """Tell whether it was revoked."""
        return self.revoked


@dataclass(kw_only=True)
class RefreshToken(Token):
    """
    A refresh token.

    :param spent: It was rotated away: using it again revokes its family.
    """

    spent: bool = False


@dataclass(frozen=True, kw_only=True)
class ServiceAccount:
    """
    A service account with domain-wide delegation.

    :param keys: What verifies its assertions: public keys in PEM by their ids.
    :param subjects: The accounts that it may act for.
    :param scopes: What it may ask for.
    """

    client_email: str
    keys: dict[str, str]
    subjects: frozenset[str]
    scopes: frozenset[str]


@dataclass(kw_only=True)
class DeviceCode:
    """
    A device code; instants are those of the clock that polls are measured by.

    :param login: The account that allowed it; None as long as none did.
    :param denied: Whether a user refused.
    """

    value: str = field(repr=False)
    user_code: str
    client_id: str
    scope: str
    dialect_name: str
    tenant: str
    family: str
    expires_at: float
    interval_seconds: float
    polled_at: float | None = None
    login: str | None = None
    denied: bool = False
    spent: bool = False
