# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What token responses hold besides tokens, and the documents of discovery."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from tests.servers.authorization.client_authentication import ALGORITHMS
from tests.servers.authorization.dialects import MICROSOFT_IMAP_SCOPE, MICROSOFT_OTHER_IMAP_SCOPE
from tests.servers.authorization.messages import OAuthRequest
from tests.servers.authorization.model import Client
from tests.servers.authorization.parameters import DEVICE_GRANT, JWT_BEARER_GRANT

if TYPE_CHECKING:
    from tests.servers.authorization.protocol import ProtocolServer

_CONSUMERS_TENANT_ID = "9188040d-6c67-4c5b-b112-36a304b66dad"
_SHARED_TENANTS = ("common", "organizations")


def id_token(server: ProtocolServer, client: Client, login: str, nonce: str | None) -> str:
    """Return a signed ID token (OpenID Connect Core section 2)."""
    now = int(server.state.now())
    claims: dict[str, object] = {
        "iss": server.issuer,
        "aud": client.client_id,
        "iat": now,
        "exp": now + 3600,
        "sub": _stable_id("sub", client.client_id, login),
        "email": login,
        "preferred_username": login,
    }
    if nonce is not None:
        claims["nonce"] = nonce
    if server.dialect.name == "microsoft":
        tenant_id = tenant_id_of(server.tenant, login)
        claims.update(oid=_object_id(login), tid=tenant_id, ver="2.0")
        claims["iss"] = microsoft_issuer(server, tenant_id)
    return server.state.signing_keys.id_token(claims, client.client_secret)


def jwks(server: ProtocolServer) -> dict[str, object]:
    """Return the keys that the server signs with."""
    keys = server.state.signing_keys
    if server.dialect.name != "microsoft":
        return keys.jwks()
    shared = server.tenant in _SHARED_TENANTS
    tenant_id = "{tenantid}" if shared else tenant_id_of(server.tenant, "")
    return keys.jwks(issuer=microsoft_issuer(server, tenant_id))


def microsoft_issuer(server: ProtocolServer, tenant_id: str) -> str:
    """Return what stands as issuer in the tokens of a tenant: always its id, never its name."""
    return server.state.base_url + server.dialect.issuer_path.format(tenant=tenant_id)


# --- Token responses ------------------------------------------------------------------------------

Token = dict[str, Any]


def shape(server: ProtocolServer, request: OAuthRequest, token: Token, login: str | None) -> None:
    """Change a token response to what the mail provider makes of it."""
    change = _SHAPES.get(server.dialect.name)
    if change is not None:
        change(server, request, token, login)


def _microsoft(
    server: ProtocolServer, request: OAuthRequest, token: Token, login: str | None
) -> None:
    token["ext_expires_in"] = token["expires_in"]
    if request.payload.grant_type == "client_credentials":
        del token["scope"]
        return
    if login and request.payload.data.get("client_info") == "1":
        info = {"uid": _object_id(login), "utid": tenant_id_of(server.tenant, login)}
        encoded = base64.urlsafe_b64encode(json.dumps(info).encode()).decode()
        token["client_info"] = encoded.rstrip("=")
    names = {
        "asked": {},
        "other_resource": {
            MICROSOFT_IMAP_SCOPE: MICROSOFT_OTHER_IMAP_SCOPE,
            MICROSOFT_OTHER_IMAP_SCOPE: MICROSOFT_IMAP_SCOPE,
        },
        "short": dict.fromkeys(
            (MICROSOFT_IMAP_SCOPE, MICROSOFT_OTHER_IMAP_SCOPE), "IMAP.AccessAsUser.All"
        ),
    }[server.state.switches.scope_spelling]
    token["scope"] = " ".join(names.get(one, one) for one in token["scope"].split())


def _google(server: ProtocolServer, request: OAuthRequest, token: Token, login: str | None) -> None:
    del server, login
    if request.payload.grant_type == JWT_BEARER_GRANT:
        del token["scope"]


def _yahoo(server: ProtocolServer, request: OAuthRequest, token: Token, login: str | None) -> None:
    del server, request, login
    token["token_type"] = "bearer"
    del token["scope"]


def _zoho(server: ProtocolServer, request: OAuthRequest, token: Token, login: str | None) -> None:
    del request, login
    token["api_domain"] = f"{server.state.base_url}/zoho/api"


def _yandex(server: ProtocolServer, request: OAuthRequest, token: Token, login: str | None) -> None:
    del request, login
    token["token_type"] = "bearer"
    # It names scopes only where they are fewer than asked for.
    if server.state.switches.granted_scopes is None:
        del token["scope"]


_SHAPES: dict[str, Callable[[ProtocolServer, OAuthRequest, Token, str | None], None]] = {
    "microsoft": _microsoft,
    "google": _google,
    "yahoo": _yahoo,
    "zoho": _zoho,
    "yandex": _yandex,
}


# --- Discovery ------------------------------------------------------------------------------------


def metadata(server: ProtocolServer) -> dict[str, object]:
    """Return the metadata of this authorization server (RFC 8414, OpenID Connect Discovery)."""
    dialect, url = server.dialect, server.endpoint_url
    grant_types = ["authorization_code", "refresh_token", "client_credentials"]
    document: dict[str, object] = {
        "issuer": server.issuer,
        "authorization_endpoint": url("authorize"),
        "token_endpoint": url("token"),
        "jwks_uri": url("jwks"),
        "scopes_supported": sorted(dialect.scopes),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": grant_types,
        **_authentication(server, "token", dialect.auth_methods),
        "code_challenge_methods_supported": ["S256"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }
    if dialect.iss_parameter:
        document["authorization_response_iss_parameter_supported"] = True
    if "device" in dialect.paths:
        document["device_authorization_endpoint"] = url("device")
        grant_types.append(DEVICE_GRANT)
    for endpoint in ("introspection", "revocation"):
        if endpoint in dialect.paths:
            document[f"{endpoint}_endpoint"] = url(endpoint)
            if endpoint == "introspection" or dialect.revocation == "client":
                methods = tuple(one for one in dialect.auth_methods if one != "none")
                document |= _authentication(server, endpoint, methods)
    AuthorizationServerMetadata(document).validate()
    return document


def _authentication(
    server: ProtocolServer, endpoint: str, methods: tuple[str, ...]
) -> dict[str, object]:
    told: dict[str, object] = {f"{endpoint}_endpoint_auth_methods_supported": sorted(methods)}
    if "private_key_jwt" in methods:
        algorithms = ["PS256", "RS256"] if server.dialect.name == "microsoft" else [*ALGORITHMS]
        told[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] = algorithms
    return told


# --- Ids ------------------------------------------------------------------------------------------


def tenant_id_of(tenant: str, login: str) -> str:
    """Return the id of a tenant; for one that many share, of the tenant that the account is in."""
    if tenant == "consumers":
        return _CONSUMERS_TENANT_ID
    if tenant in _SHARED_TENANTS:
        tenant = login.partition("@")[2]
    try:
        return str(uuid.UUID(tenant))
    except ValueError:
        return _stable_id("tenant", tenant)


def _object_id(login: str) -> str:
    return _stable_id("object", login)


def _stable_id(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))
