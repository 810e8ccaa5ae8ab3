# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The protocol itself: Authlib's authorization server over our state, one per dialect."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any, ClassVar
from urllib.parse import unquote_plus

from authlib.oauth2.rfc6749 import AuthorizationServer as AuthlibServer
from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidScopeError, OAuth2Error
from authlib.oauth2.rfc6749.grants import (
    AuthorizationCodeGrant,
    ClientCredentialsGrant,
    RefreshTokenGrant,
)
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from tests.servers.authorization.dialects import Dialect
from tests.servers.authorization.messages import Answer, OAuthRequest, json_answer
from tests.servers.authorization.model import AuthorizationCode, Client, RefreshToken, Token
from tests.servers.authorization.responses import id_token, microsoft_members
from tests.servers.authorization.state import State, new_family

_AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]


class ProtocolServer(AuthlibServer):
    """
    One mail provider's authorization server.

    :param tenant: What stands for ``{tenant}`` in its paths.
    """

    def __init__(self, state: State, dialect: Dialect, tenant: str = "") -> None:
        super().__init__(scopes_supported=sorted(dialect.scopes))
        self.state = state
        self.dialect = dialect
        self.tenant = tenant
        self.issuer = state.base_url + dialect.issuer_path.format(tenant=tenant)
        # The strings are made in save_token, where the request is known.
        self.register_token_generator(
            "default", BearerTokenGenerator(lambda **_: "", lambda **_: "")
        )
        self.register_client_auth_method("client_secret_basic", _authenticate_basic)
        self.register_grant(_CodeGrant, [_S256(required=True)])
        self.register_grant(_RefreshGrant)
        self.register_grant(_ClientCredentialsGrant)
        self.register_endpoint(_Introspection)
        self.register_endpoint(_Revocation)

    def query_client(self, client_id: str) -> Client | None:
        """Look a client up."""
        return self.state.clients.get(client_id)

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Tell nobody."""

    def create_oauth2_request(self, request: OAuthRequest) -> OAuthRequest:
        """Take the request as it is: it was decoded and checked before."""
        return request

    def handle_response(self, status: int, body: Any, headers: Iterable[tuple[str, str]]) -> Answer:
        """Turn what Authlib made into an answer."""
        if isinstance(body, dict):
            return json_answer(body, status, headers)
        return Answer(status=status, body=body.encode(), headers=dict(headers))

    def handle_error_response(self, request: OAuthRequest | None, error: OAuth2Error) -> Answer:
        """Turn an error into an answer in the shape of this mail provider."""
        del request
        if error.error == "invalid_client":
            error.status_code = self.state.switches.invalid_client_status
        status, body, headers = error()
        if error.redirect_uri:
            return self.handle_response(status, body, headers)
        return json_answer(self.dialect.error_body(error), status, headers)

    def introspect(self, access_token: str) -> dict[str, object]:
        """Return what is told of an access token."""
        endpoint = self._endpoints[_Introspection.ENDPOINT_NAME][0]
        body: dict[str, object] = endpoint.create_introspection_payload(
            endpoint.query_token(access_token, None)
        )
        return body

    def save_token(self, token: dict[str, Any], request: OAuthRequest) -> None:
        """Issue the tokens of a token response and put them into it."""
        parent: AuthorizationCode | Token | None
        parent = request.authorization_code or request.refresh_token
        family = parent.family if parent else new_family()
        login = parent.login if parent else request.client.login
        client_id = request.client.client_id
        scope = token.get("scope", "")
        access_token = self.state.add_access_token(
            client_id, login, scope, family, issuer=self.issuer
        )
        token["access_token"] = access_token.value
        token["expires_in"] = self.state.switches.access_token_lifetime_seconds
        token["scope"] = self.dialect.shown(scope)
        if "refresh_token" in token:
            kept = parent.scope if isinstance(parent, Token) else scope
            token["refresh_token"] = self.state.add_refresh_token(
                client_id, str(login), kept, family
            )
        if login and "openid" in scope.split():
            nonce = parent.nonce if isinstance(parent, AuthorizationCode) else None
            token["id_token"] = id_token(self, client_id, login, nonce)
        if self.dialect.name == "microsoft":
            token.update(microsoft_members(self, request.payload.data, login, token))


class _S256(CodeChallenge):
    SUPPORTED_CODE_CHALLENGE_METHOD: ClassVar = ["S256"]


class _CodeGrant(AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = _AUTH_METHODS
    server: ProtocolServer

    def save_authorization_code(self, code: str, request: OAuthRequest) -> None:
        """Do nothing: the code was kept when it was made."""

    def generate_authorization_code(self) -> str:
        """Make and keep a code for the account that consented."""
        request, state = self.request, self.server.state
        scope = request.payload.scope
        client_id, login = request.client.client_id, request.user
        first = state.first_consent(client_id, login)
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


class _RefreshGrant(RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = _AUTH_METHODS
    server: ProtocolServer

    @property
    def INCLUDE_NEW_REFRESH_TOKEN(self) -> bool:  # noqa: N802
        """Whether this refresh returns a new refresh token."""
        return self.server.dialect.rotation == "kept" or self._ends_old_token

    @property
    def _ends_old_token(self) -> bool:
        switches = self.server.state.switches
        return self.server.dialect.rotation == "switched" and switches.rotate_refresh_tokens

    def authenticate_refresh_token(self, refresh_token: str) -> RefreshToken | None:
        """Look a refresh token up; one that was rotated away revokes its family (RFC 9700)."""
        state = self.server.state
        token = state.tokens.get(refresh_token)
        if not isinstance(token, RefreshToken) or not token.check_client(self.request.client):
            return None
        if token.spent:
            state.revoke_family(token.family)
        if token.spent or token.is_revoked() or not self.server.dialect.plays(token.scope):
            raise InvalidGrantError("The refresh token is expired, revoked or was used before.")
        return token

    def authenticate_user(self, refresh_token: RefreshToken) -> str:
        """Return the account that consented."""
        return str(refresh_token.login)

    def issue_token(self, user: str, refresh_token: RefreshToken) -> dict[str, Any]:
        """Issue for the requested scopes, else for all of this mail provider that were granted."""
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


class _ClientCredentialsGrant(ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = _AUTH_METHODS[:2]

    def validate_token_request(self) -> None:
        """Refuse scopes that mean an account: there is none behind this grant."""
        super().validate_token_request()
        if "offline_access" in self.request.payload.scope.split():
            raise InvalidScopeError


class _Introspection(IntrospectionEndpoint):
    CLIENT_AUTH_METHODS = _AUTH_METHODS[:2]
    server: ProtocolServer

    def check_permission(self, token: Token, client: Client, request: OAuthRequest) -> bool:
        """Confidential clients may look up any token: the mail server is one."""
        del token, request
        return client.client_secret is not None

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


class _Revocation(RevocationEndpoint):
    CLIENT_AUTH_METHODS = _AUTH_METHODS
    server: ProtocolServer

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


def _authenticate_basic(query_client: Any, request: OAuthRequest) -> Client | None:
    # Id and secret are form-encoded before base64 (RFC 6749 section 2.3.1): "+" means a blank,
    # which Authlib's own method does not know.
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return None
    client_id, colon, secret = text.partition(":")
    client_id = unquote_plus(client_id)
    in_form = request.form.get("client_id", client_id)
    client: Client | None = query_client(client_id)
    if (
        client
        and colon
        and in_form == client_id
        and client.check_client_secret(unquote_plus(secret))
    ):
        return client
    return None
