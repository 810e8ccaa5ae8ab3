# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Introspection (RFC 7662) and revocation (RFC 7009)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from tests.servers.authorization.messages import Answer, OAuthRequest, json_answer
from tests.servers.authorization.model import Client, Token

if TYPE_CHECKING:
    from tests.servers.authorization.protocol import ProtocolServer


class Introspection(IntrospectionEndpoint):
    """What is told of an access token."""

    server: ProtocolServer

    @property
    def CLIENT_AUTH_METHODS(self) -> tuple[str, ...]:  # noqa: N802
        """The ways to authenticate: all but to name oneself."""
        return tuple(one for one in self.server.dialect.auth_methods if one != "none")

    def check_permission(self, token: Token, client: Client, request: OAuthRequest) -> bool:
        """Confidential clients may look up any token: the mail server is one."""
        del token, request
        return client.client_secret is not None or client.assertion_key is not None

    def query_token(self, token_string: str, token_type_hint: str | None) -> Token | None:
        """Look up an access token; others are not active here."""
        del token_type_hint
        token = self.server.state.tokens.get(token_string)
        return token if token and token.kind == "access_token" else None

    def introspect_token(self, token: Token) -> dict[str, object]:
        """Return what a mail server needs to know (RFC 7662 section 2.2)."""
        body: dict[str, object] = {
            "active": True,
            "client_id": token.client_id,
            "token_type": "Bearer",
            "scope": token.scope,
            "sub": token.login or token.client_id,
            "iss": self.server.issuer,
            "iat": int(token.issued_at),
            "exp": int(token.expires_at or 0),
        }
        if token.login:
            body["username"] = body["email"] = token.login
        return body


class Revocation(RevocationEndpoint):
    """The end of a token, at the wish of the client that has it."""

    server: ProtocolServer

    @property
    def CLIENT_AUTH_METHODS(self) -> tuple[str, ...]:  # noqa: N802
        """The ways to authenticate."""
        return self.server.dialect.auth_methods

    def query_token(self, token_string: str, token_type_hint: str | None) -> Token | None:
        """Look up a token of either kind; the hint is but a hint."""
        del token_type_hint
        return self.server.state.tokens.get(token_string)

    def revoke_token(self, token: Token, request: OAuthRequest) -> None:
        """Revoke it; with a refresh token all that came of it (RFC 7009 section 2.1)."""
        del request
        token.revoked = True
        if token.kind == "refresh_token":
            self.server.state.revoke_family(token.family)


def revoke_by_token_alone(server: ProtocolServer, value: str) -> Answer:
    """Revoke the token and all that came of its consent, as Google and Zoho do."""
    zoho = server.dialect.name == "zoho"
    with server.state.lock:
        token = server.state.tokens.get(value)
        if token is None or token.is_revoked() or token.is_expired():
            failure = {"status": "failure"} if zoho else {"error": "invalid_token"}
            return json_answer(failure, 400)
        server.state.revoke_family(token.family)
    return json_answer({"status": "success"} if zoho else {})
