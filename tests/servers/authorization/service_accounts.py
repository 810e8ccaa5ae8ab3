# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Google's service accounts with domain-wide delegation (RFC 7523 section 2.1).

Source, read 2026-11-26: Google Identity, "Using OAuth 2.0 for server to server applications"
(developers.google.com).
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749.grants import BaseGrant, TokenEndpointMixin
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.servers.authorization.assertions import Assertion, AssertionRefusedError
from tests.servers.authorization.errors import DetailedError
from tests.servers.authorization.model import Client, ServiceAccount
from tests.servers.authorization.parameters import JWT_BEARER_GRANT

if TYPE_CHECKING:
    from tests.servers.authorization.protocol import ProtocolServer

#: What google-auth addresses every assertion to, wherever it sends it.
GOOGLE_AUDIENCE = "https://oauth2.googleapis.com/token"
_LIFETIME_SECONDS = 3600
_UNAUTHORIZED = (
    "Client is unauthorized to retrieve access tokens using this method, or client not authorized "
    "for any of the scopes requested."
)
_TEXTS = {
    "form": "Invalid JWT.",
    "signature": "Invalid JWT Signature.",
    "time": (
        "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
        "timeframe. Check your iat and exp values in the JWT claim."
    ),
    "claims": f"Invalid JWT: Failed audience check. The right audience is {GOOGLE_AUDIENCE}",
}


class ServiceAccountGrant(BaseGrant, TokenEndpointMixin):
    """An access token for an account that a service account may act for."""

    GRANT_TYPE = JWT_BEARER_GRANT
    server: ProtocolServer

    def validate_token_request(self) -> None:
        """Verify the assertion, and find out what it asks for."""
        text = self.request.form["assertion"]
        self.server.state.other_secrets.add(text)
        try:
            account, assertion = self._verified(Assertion.read(text))
        except AssertionRefusedError as refused:
            raise DetailedError("invalid_grant", _TEXTS[refused.part]) from None
        subject, scope = assertion.claims.get("sub"), assertion.claims.get("scope")
        scopes = scope.split() if isinstance(scope, str) else []
        if subject not in account.subjects or not scopes or not account.scopes.issuperset(scopes):
            raise DetailedError("unauthorized_client", _UNAUTHORIZED, status_code=401)
        self.server.validate_requested_scope(" ".join(scopes))
        self.request.user = subject
        self._granted = " ".join(scopes)
        self.request.client = Client(
            client_id=account.client_email,
            auth_methods=frozenset(),
            redirect_uris=(),
            grant_types=frozenset({JWT_BEARER_GRANT}),
            login=subject,
        )

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Issue an access token and nothing else."""
        token: dict[str, Any] = self.generate_token(
            user=self.request.user, scope=self._granted, include_refresh_token=False
        )
        self.save_token(token)
        return 200, token, self.TOKEN_RESPONSE_HEADER

    def _verified(self, assertion: Assertion) -> tuple[ServiceAccount, Assertion]:
        account = self.server.state.service_accounts.get(str(assertion.claims.get("iss")))
        if account is None:
            raise DetailedError("invalid_grant", "Invalid grant: account not found")
        key = account.keys.get(str(assertion.header.get("kid")))
        if key is None:
            raise AssertionRefusedError("signature", "The key is not of this account.")
        assertion.verify(key, ("RS256",))
        assertion.check_audience(GOOGLE_AUDIENCE, self.server.endpoint_url("token"))
        if "iat" not in assertion.claims:
            raise AssertionRefusedError("time", "The assertion has no iat.")
        assertion.check_times(self.server.state.now())
        if assertion.claims["exp"] - assertion.claims["iat"] > _LIFETIME_SECONDS:
            raise AssertionRefusedError("time", "The assertion lives too long.")
        return account, assertion


def new_key() -> tuple[str, str, str]:
    """Return the id of a new key, and the key itself: the public and the private half in PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return secrets.token_hex(20), public.decode(), private.decode()


def key_json(client_email: str, key_id: str, private_key: str, token_uri: str) -> str:
    """Return the file that Google's console gives for a key."""
    project_id = client_email.partition("@")[2].partition(".")[0]
    certificates = "https://www.googleapis.com"
    return json.dumps(
        {
            "type": "service_account",
            "project_id": project_id,
            "private_key_id": key_id,
            "private_key": private_key,
            "client_email": client_email,
            "client_id": str(secrets.randbelow(10**21)),
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": token_uri,
            "auth_provider_x509_cert_url": f"{certificates}/oauth2/v1/certs",
            "client_x509_cert_url": f"{certificates}/robot/v1/metadata/x509/{client_email}",
            "universe_domain": "googleapis.com",
        },
        indent=2,
    )
