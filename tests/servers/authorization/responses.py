# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What token responses hold besides tokens, and the documents of discovery."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING

from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

if TYPE_CHECKING:
    from tests.servers.authorization.protocol import ProtocolServer

_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]


def id_token(server: ProtocolServer, client_id: str, login: str, nonce: str | None) -> str:
    """Return a signed ID token (OpenID Connect Core section 2)."""
    now = int(time.time())
    claims: dict[str, object] = {
        "iss": server.issuer,
        "aud": client_id,
        "iat": now,
        "exp": now + 3600,
        "sub": _stable_id("sub", client_id, login),
        "email": login,
        "preferred_username": login,
    }
    if nonce is not None:
        claims["nonce"] = nonce
    if server.dialect.name == "microsoft":
        claims.update(oid=_object_id(login), tid=_tenant_id(server.tenant), ver="2.0")
    return server.state.sign(claims)


def microsoft_members(
    server: ProtocolServer, form: Mapping[str, str], login: str | None, token: Mapping[str, object]
) -> dict[str, object]:
    """Return what Entra adds to a token response."""
    members: dict[str, object] = {"ext_expires_in": token["expires_in"]}
    if login and form.get("client_info") == "1":
        info = {"uid": _object_id(login), "utid": _tenant_id(server.tenant)}
        encoded = base64.urlsafe_b64encode(json.dumps(info).encode()).decode()
        members["client_info"] = encoded.rstrip("=")
    return members


def metadata(server: ProtocolServer) -> dict[str, object]:
    """Return the metadata of this authorization server (RFC 8414, OpenID Connect Discovery)."""
    dialect = server.dialect

    def url(endpoint: str) -> str:
        return server.state.base_url + dialect.paths[endpoint].format(tenant=server.tenant)

    document: dict[str, object] = {
        "issuer": server.issuer,
        "authorization_endpoint": url("authorize"),
        "token_endpoint": url("token"),
        "jwks_uri": url("jwks"),
        "scopes_supported": sorted(dialect.scopes),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported": [*_AUTH_METHODS, "none"],
        "code_challenge_methods_supported": ["S256"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }
    if dialect.iss_parameter:
        document["authorization_response_iss_parameter_supported"] = True
    for endpoint in ("introspection", "revocation"):
        if endpoint in dialect.paths:
            document[f"{endpoint}_endpoint"] = url(endpoint)
            document[f"{endpoint}_endpoint_auth_methods_supported"] = _AUTH_METHODS
    AuthorizationServerMetadata(document).validate()
    return document


def _object_id(login: str) -> str:
    return _stable_id("object", login)


def _tenant_id(tenant: str) -> str:
    try:
        return str(uuid.UUID(tenant))
    except ValueError:
        return _stable_id("tenant", tenant)


def _stable_id(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))
