# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The protocol itself: Authlib's authorization server over our state, one per dialect."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer as AuthlibServer
from authlib.oauth2.rfc6749 import OAuth2Error
from authlib.oauth2.rfc6750 import BearerTokenGenerator

from tests.servers.authorization import client_authentication, grants
from tests.servers.authorization.device import DeviceGrant, YandexDeviceGrant
from tests.servers.authorization.dialects import Dialect
from tests.servers.authorization.error_shapes import Failure
from tests.servers.authorization.lookups import Introspection, Revocation
from tests.servers.authorization.messages import Answer, OAuthRequest, json_answer
from tests.servers.authorization.model import (
    AuthorizationCode,
    Client,
    DeviceCode,
    RefreshToken,
    Token,
)
from tests.servers.authorization.responses import id_token, shape
from tests.servers.authorization.service_accounts import ServiceAccountGrant
from tests.servers.authorization.state import State, new_family


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
        self.register_client_auth_method("client_secret_basic", client_authentication.basic)
        self.register_client_auth_method(
            "private_key_jwt", client_authentication.private_key_jwt(self)
        )
        self.register_grant(grants.CodeGrant, [grants.S256(required=True)])
        self.register_grant(grants.RefreshGrant)
        self.register_grant(grants.ClientCredentials)
        if "device" in dialect.paths:
            self.register_grant(YandexDeviceGrant if dialect.name == "yandex" else DeviceGrant)
        if dialect.name == "google":
            self.register_grant(ServiceAccountGrant)
        self.register_endpoint(Introspection)
        self.register_endpoint(Revocation)

    def endpoint_url(self, endpoint: str) -> str:
        """Return the URL of one of its endpoints."""
        return self.state.base_url + self.dialect.paths[endpoint].format(tenant=self.tenant)

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
        switches = self.state.switches
        if error.error == "invalid_client":
            error.status_code = switches.invalid_client_status
        status, body, headers = error()
        if error.redirect_uri:
            return self.handle_response(status, body, headers)
        grant_type = request.payload.grant_type if request else None
        failure = Failure(error=error, grant_type=grant_type or "", switches=switches)
        status, body = self.dialect.errors(failure, status)
        return json_answer(body, status, headers)

    def introspect(self, access_token: str) -> dict[str, object]:
        """Return what is told of an access token."""
        endpoint = self._endpoints[Introspection.ENDPOINT_NAME][0]
        body: dict[str, object] = endpoint.create_introspection_payload(
            endpoint.query_token(access_token, None)
        )
        return body

    def save_token(self, token: dict[str, Any], request: OAuthRequest) -> None:
        """Issue the tokens of a token response and put them into it."""
        parent: AuthorizationCode | DeviceCode | Token | None
        parent = request.authorization_code or request.refresh_token or request.credential
        login = parent.login if parent else request.client.login
        family = parent.family if parent else new_family()
        scope = token.get("scope") or ""
        access_token = self._access_token(request.client.client_id, login, scope, family)
        token["access_token"] = access_token.value
        token["expires_in"] = round(float(access_token.expires_at or 0) - self.state.now())
        token["scope"] = self.dialect.shown(scope)
        if "refresh_token" in token:
            token["refresh_token"] = self._refresh_token(request, parent, scope, family)
        if login and "openid" in scope.split():
            nonce = parent.nonce if isinstance(parent, AuthorizationCode) else None
            token["id_token"] = id_token(self, request.client, login, nonce)
        shape(self, request, token, login)

    def _access_token(self, client_id: str, login: str | None, scope: str, family: str) -> Token:
        state = self.state
        if self.dialect.name == "yandex" and state.switches.keep_access_tokens:
            kept = state.living_access_token(family, scope)
            if kept is not None:
                return kept
        return state.add_access_token(client_id, login, scope, family, issuer=self.issuer)

    def _refresh_token(
        self,
        request: OAuthRequest,
        parent: AuthorizationCode | DeviceCode | Token | None,
        scope: str,
        family: str,
    ) -> str:
        if isinstance(parent, RefreshToken) and self.dialect.rotation == "returned":
            return parent.value
        kept = parent.scope if isinstance(parent, Token) else scope
        login = str(parent.login) if parent else ""
        return self.state.add_refresh_token(request.client.client_id, login, kept, family)
