# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Clients of oidc-provider, one for each way to authenticate: metadata and settings."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from airflow_imap_oauth.oauth.discovery import complete
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.mail_provider import DEVICE_GRANT_TYPE, ClientAuthMethod
from airflow_imap_oauth.oauth.profiles import get_profile
from airflow_imap_oauth.oauth.settings import ClientKey as SettingsKey
from airflow_imap_oauth.oauth.settings import Endpoints, OAuthSettings, TransportSettings
from tests.servers.authorization.client_keys import ClientKey, KeyKind
from tests.servers.oidc_provider import IMAP_SCOPE, OidcProvider

CONN_ID = "mail"
LOGIN = "ada@example.test"
WEB_REDIRECT = "https://airflow.example.test/callback"
#: Registered without a port: RFC 8252 section 7.3 leaves that to the client.
REGISTERED_LOOPBACK = "http://127.0.0.1/callback"
LOOPBACK_REDIRECT = "http://127.0.0.1:49152/callback"
#: Every kind of character that Basic and forms have to escape.
SECRET = "se+cret %41:&=/?~*_-.#;" + "x" * 16

_METHODS: dict[str, ClientAuthMethod] = {
    "client_secret_post": "post",
    "client_secret_basic": "basic",
    "RS256": "private_key_jwt",
    "ES256": "private_key_jwt",
    "public": "none",
}
WAYS = tuple(_METHODS)
CONFIDENTIAL = WAYS[:-1]
_KEY_KINDS: dict[str, KeyKind] = {"RS256": "RSA", "ES256": "P-256"}


def registrations() -> list[dict[str, Any]]:
    """Return the metadata of a client for each way, and of one that signs in as itself."""
    people = ["authorization_code", "refresh_token", DEVICE_GRANT_TYPE]
    return [
        *(
            {
                "client_id": client_id(way),
                "grant_types": people,
                "response_types": ["code"],
                **_registration(way),
            }
            for way in WAYS
        ),
        *(
            {
                "client_id": client_id(way, own=True),
                "grant_types": ["client_credentials"],
                "response_types": [],
                **_registration(way),
                "redirect_uris": [],
            }
            for way in CONFIDENTIAL
        ),
    ]


def client_id(way: str, *, own: bool = False) -> str:
    """Return the id of the client that authenticates in a way."""
    return f"{'own' if own else 'app'}:{way}"


def redirect_uri(way: str) -> str:
    """Return where a client wants the browser to be sent."""
    return LOOPBACK_REDIRECT if way == "public" else WEB_REDIRECT


def undiscovered(server: OidcProvider, way: str, **changes: Any) -> OAuthSettings:
    """Return a client of which only the issuer is known."""
    key = _key(way) if way in _KEY_KINDS else None
    settings = OAuthSettings(
        conn_id=CONN_ID,
        profile=get_profile("custom"),
        client_id=client_id(way),
        client_secret=SECRET if way.startswith("client_secret") else None,
        client_key=None if key is None else SettingsKey(private_key=key.private_key, key_id=way),
        client_auth_method=_METHODS[way],
        endpoints=Endpoints(issuer=server.issuer),
        scopes=(IMAP_SCOPE,),
        extra_scopes=("openid", "email", "offline_access"),
        login=LOGIN,
        transport=TransportSettings(
            ca_file=str(server.ca_file), connect_timeout_seconds=5.0, read_timeout_seconds=10.0
        ),
    )
    return replace(settings, **changes)


def client(server: OidcProvider, way: str, **changes: Any) -> OAuthSettings:
    """Return a client that knows every endpoint."""
    settings = undiscovered(server, way)
    with Transport(settings.transport) as transport:
        found = complete(
            settings, transport, "authorize_url", "device_url", "revoke_url", "jwks_url"
        )
    return replace(found, **changes)


def application(server: OidcProvider, way: str, **changes: Any) -> OAuthSettings:
    """Return a client that signs in as itself."""
    own = {"client_id": client_id(way, own=True), "grant": "client_credentials", "extra_scopes": ()}
    return undiscovered(server, way, **{**own, **changes})


@cache
def _key(way: str) -> ClientKey:
    return ClientKey.create(_KEY_KINDS[way])


def _registration(way: str) -> dict[str, Any]:
    if way == "public":
        return {
            "token_endpoint_auth_method": "none",
            "application_type": "native",
            "redirect_uris": [REGISTERED_LOOPBACK],
        }
    if way in _KEY_KINDS:
        return {
            "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": way,
            "id_token_signed_response_alg": way,
            "redirect_uris": [WEB_REDIRECT],
            "jwks": {"keys": [{**_jwk(_key(way)), "kid": way, "use": "sig"}]},
        }
    return {
        "token_endpoint_auth_method": way,
        "client_secret": SECRET,
        "redirect_uris": [WEB_REDIRECT],
    }


def _jwk(key: ClientKey) -> dict[str, Any]:
    public_key = load_pem_public_key(key.public_key.encode())
    kind = ECAlgorithm if isinstance(public_key, ec.EllipticCurvePublicKey) else RSAAlgorithm
    found: dict[str, Any] = json.loads(kind.to_jwk(public_key))  # type: ignore[arg-type]
    return found
