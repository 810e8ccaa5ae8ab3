# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The grants of RFC 6749, as each mail provider has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidScopeError
from authlib.oauth2.rfc6749.grants import (
    AuthorizationCodeGrant,
    ClientCredentialsGrant,
    RefreshTokenGrant,
)
from authlib.oauth2.rfc7636 import CodeChallenge

from tests.servers.authorization.error_shapes import TOO_MANY_REQUESTS
from tests.servers.authorization.errors import DetailedError
from tests.servers.authorization.messages import OAuthRequest
from tests.servers.authorization.model import AuthorizationCode, Client, RefreshToken

if TYPE_CHECKING:
    from tests.servers.authorization.protocol import ProtocolServer

_LIMIT_SECONDS = 600
_SHARED_TENANTS = ("common", "organizations", "consumers")


class S256(CodeChallenge):
    """PKCE with its one method that hides the verifier."""

    SUPPORTED_CODE_CHALLENGE_METHOD: ClassVar = ["S256"]


class Authenticated:
    """Clients authenticate in the ways of the mail provider."""

    server: ProtocolServer

    @property
    def TOKEN_ENDPOINT_AUTH_METHODS(self) -> tuple[str, ...]:  # noqa: N802
        """The ways."""
        return self.server.dialect.auth_methods


class CodeGrant(Authenticated, AuthorizationCodeGrant):
    """The authorization code grant, with PKCE."""

    server: ProtocolServer

    def save_authorization_code(self, code: str, request: OAuthRequest) -> None:
        """Do nothing: the code was kept when it was made."""

    def generate_authorization_code(self) -> str:
        """Make and keep a code for the account that consented."""
        request, state = self.request, self.server.state
        scope = request.payload.scope
        client_id, login = request.client.client_id, request.user
        first = state.first_consent(self.server.dialect.name, client_id, login)
        parameters = request.payload.data
        offline = {
            "always": True,
            "scope": "offline_access" in scope.split(),
            "access_type": parameters.get("access_type") == "offline"
            and (first or parameters.get("prompt") == "consent"),
        }[self.server.dialect.offline_by]
        return state.add_code(client_id, login, scope, parameters, offline=offline)

    def query_authorization_code(self, code: str, client: Client) -> AuthorizationCode | None:
        """Look a code up, and end it."""
        return self.server.state.redeem_code(code, client.client_id)

    def delete_authorization_code(self, authorization_code: AuthorizationCode) -> None:
        """Do nothing: the code ended when it was looked up."""

    def authenticate_user(self, authorization_code: AuthorizationCode) -> str:
        """Return the account that consented."""
        return authorization_code.login

    def generate_token(self, **kwargs: Any) -> dict[str, Any]:
        """Leave the refresh token out where none was asked for."""
        kwargs["include_refresh_token"] &= self.request.authorization_code.offline
        return super().generate_token(**kwargs)


class RefreshGrant(Authenticated, RefreshTokenGrant):
    """The refresh token grant, with the rotation of the mail provider."""

    server: ProtocolServer

    @property
    def INCLUDE_NEW_REFRESH_TOKEN(self) -> bool:  # noqa: N802
        """Whether this refresh tells a refresh token."""
        return self.server.dialect.rotation in ("kept", "returned") or self._ends_old_token

    @property
    def _ends_old_token(self) -> bool:
        rotation = self.server.dialect.rotation
        switches = self.server.state.switches
        return rotation == "replaced" or (rotation == "switched" and switches.rotate_refresh_tokens)

    def authenticate_refresh_token(self, refresh_token: str) -> RefreshToken | None:
        """Look a refresh token up; one that was rotated away revokes its family (RFC 9700)."""
        state = self.server.state
        token = state.tokens.get(refresh_token)
        if not isinstance(token, RefreshToken) or not token.check_client(self.request.client):
            return None
        if token.spent and self.server.dialect.rotation == "switched":
            state.revoke_family(token.family)
        if token.spent or token.is_revoked() or not self.server.dialect.plays(token.scope):
            raise InvalidGrantError("The refresh token is expired, revoked or was used before.")
        return token

    def authenticate_user(self, refresh_token: RefreshToken) -> str:
        """Return the account that consented."""
        return str(refresh_token.login)

    def issue_token(self, user: str, refresh_token: RefreshToken) -> dict[str, Any]:
        """Issue for the requested scopes, else for all of this mail provider that were granted."""
        self._check_limit(refresh_token)
        scope = self.request.payload.scope or self.server.dialect.granted(refresh_token.scope)
        self.server.validate_requested_scope(scope)
        token: dict[str, Any] = self.generate_token(
            user=user, scope=scope, include_refresh_token=self.INCLUDE_NEW_REFRESH_TOKEN
        )
        return token

    def revoke_old_credential(self, refresh_token: RefreshToken) -> None:
        """End the old refresh token where the new one takes its place."""
        if self._ends_old_token:
            refresh_token.spent = True

    def _check_limit(self, refresh_token: RefreshToken) -> None:
        limit, state = self.server.dialect.refresh_limit, self.server.state
        if limit is None:
            return
        now = state.monotonic()
        earlier = state.refreshes.get(refresh_token.value, [])
        recent = [at for at in earlier if now - at < _LIMIT_SECONDS]
        if len(recent) >= limit:
            raise DetailedError(
                TOO_MANY_REQUESTS,
                "You have made too many requests continuously. Please try again after some time.",
            )
        state.refreshes[refresh_token.value] = [*recent, now]


class ClientCredentials(ClientCredentialsGrant):
    """The client credentials grant."""

    server: ProtocolServer

    @property
    def TOKEN_ENDPOINT_AUTH_METHODS(self) -> tuple[str, ...]:  # noqa: N802
        """The ways to authenticate: all but to name oneself."""
        return tuple(one for one in self.server.dialect.auth_methods if one != "none")

    def validate_token_request(self) -> None:
        """Refuse scopes that mean an account: there is none behind this grant."""
        if self.server.dialect.name == "microsoft":
            self._check_entra()
        super().validate_token_request()
        if "offline_access" in self.request.payload.scope.split():
            raise InvalidScopeError

    def _check_entra(self) -> None:
        if self.server.tenant in _SHARED_TENANTS:
            raise DetailedError(
                "invalid_request",
                f"Usage of the /{self.server.tenant} endpoint is not supported for this "
                "application. Use a tenant-specific endpoint.",
                entra_codes=(50194,),
            )
        scopes = self.request.payload.scope.split()
        if len(scopes) != 1 or not scopes[0].endswith("/.default"):
            raise DetailedError(
                "invalid_scope",
                "Client credential flows must have a scope value with /.default suffixed to the "
                "resource identifier.",
                entra_codes=(1002012,),
            )
