# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Clients that sign instead of sending a secret (RFC 7523 section 2.2), and MSAL's certificates."""

from __future__ import annotations

import traceback
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from airflow_imap_oauth.exceptions import ClientRejectedError, ConfigurationError
from airflow_imap_oauth.oauth.engines import refresh
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.settings import ClientKey as SettingsKey
from airflow_imap_oauth.oauth.settings import OAuthSettings
from tests.oauth.clients import LOGIN, signer
from tests.oauth.test_client_credentials import failure, own_token
from tests.servers.authorization.assertions import thumbprints
from tests.servers.authorization.client_keys import ClientKey, KeyKind

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

ALGORITHMS = {"RSA": "RS256", "P-256": "ES256", "P-384": "ES384", "Ed25519": "EdDSA"}
MAIL_PROVIDERS = pytest.mark.parametrize("mail_provider", ["custom", "microsoft"])


@cache
def key_of(kind: KeyKind, number: int = 0) -> ClientKey:
    """Return a key; of another number another one."""
    del number
    return ClientKey.create(kind)


def assertion(server: AuthorizationServer) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of the one assertion that came."""
    [request] = server.recorded("token")
    whole = jwt.decode_complete(
        request.parameters["client_assertion"], options={"verify_signature": False}
    )
    return whole["header"], whole["payload"]


# --- At any server --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALGORITHMS)
def test_rfc7523_2_2_key_of_every_kind_signs(
    authorization_server: AuthorizationServer, kind: KeyKind
) -> None:
    """A key of each kind signs in with the algorithm that goes with it, in one request."""
    settings = signer(authorization_server, key_of(kind), key_id="key-1")
    response = own_token(settings)
    assert authorization_server.introspect(response.access_token)["username"] == LOGIN
    header, claims = assertion(authorization_server)
    assert (header["alg"], header["kid"]) == (ALGORITHMS[kind], "key-1")
    assert claims["iss"] == claims["sub"] == settings.client_id
    assert claims["aud"] == authorization_server.issuer


def test_rfc7523_3_assertion_is_short_lived_and_of_one_use(
    authorization_server: AuthorizationServer,
) -> None:
    """An assertion lives for minutes, and the next request brings another."""
    settings = signer(authorization_server, key_of("P-256"))
    seen = set()
    for _ in range(2):
        own_token(settings)
        header, claims = assertion(authorization_server)
        assert "kid" not in header
        assert claims["exp"] - claims["iat"] == 300
        seen.add(claims["jti"])
        authorization_server.reset_counters()
    assert len(seen) == 2


def test_form_with_assertion_holds_no_secret(authorization_server: AuthorizationServer) -> None:
    """A client that signs does not send its secret besides, though it may have one."""
    settings = signer(authorization_server, key_of("P-256"), client_secret="unused")
    own_token(settings)
    [request] = authorization_server.recorded("token")
    assert "client_secret" not in request.parameters
    assert "authorization" not in request.headers


def test_without_issuer_the_token_endpoint_is_the_audience(
    authorization_server: AuthorizationServer,
) -> None:
    """An assertion always names the one server that it is meant for."""
    settings = signer(authorization_server, key_of("P-256"))
    endpoints = replace(settings.endpoints, issuer=None)
    assert own_token(replace(settings, endpoints=endpoints)).access_token
    assert assertion(authorization_server)[1]["aud"] == authorization_server.token_url


@MAIL_PROVIDERS
def test_refresh_with_a_key(authorization_server: AuthorizationServer, mail_provider: str) -> None:
    """A refresh token of a client that has a key is spent with its signature."""
    settings = signer(authorization_server, key_of("RSA"), mail_provider, grant="user_consent")
    if mail_provider == "microsoft":
        scope = "https://outlook.office.com/IMAP.AccessAsUser.All"
        settings = replace(settings, scopes=(scope,))
    token = authorization_server.mint_refresh_token(
        LOGIN, client_id=settings.client_id, scopes=(*settings.scopes, "openid", "profile")
    )
    with Transport(settings.transport) as transport:
        assert refresh(settings, token, transport).access_token
    assert authorization_server.token_requests_by_grant == {"refresh_token": 1}
    assert "client_secret" not in authorization_server.recorded("token")[0].parameters


@MAIL_PROVIDERS
def test_wrong_key_is_named(authorization_server: AuthorizationServer, mail_provider: str) -> None:
    """A key that the server does not know is a matter of the client, and asked with once."""
    settings = signer(
        authorization_server, key_of("RSA"), mail_provider, registered=key_of("RSA", 1)
    )
    error = failure(settings)
    assert type(error) is ClientRejectedError
    assert ("certificate" if mail_provider == "microsoft" else "secret") in error.hint
    assert authorization_server.token_requests == 1


@MAIL_PROVIDERS
@pytest.mark.parametrize("offset", [-3600, 3600])
def test_wrong_clock_is_named(
    authorization_server: AuthorizationServer, mail_provider: str, offset: int
) -> None:
    """Where this machine's clock is an hour off, the refusal says so and which way."""
    authorization_server.switch(clock_offset_seconds=offset)
    error = failure(signer(authorization_server, key_of("RSA"), mail_provider))
    assert type(error) is ClientRejectedError
    assert f"{'behind' if offset > 0 else 'ahead of'} the server's: set it right" in error.hint


# --- At Microsoft, by MSAL ------------------------------------------------------------------------


def test_certificate_at_microsoft(authorization_server: AuthorizationServer) -> None:
    """MSAL signs with PS256, names the certificate by its thumbprint, and asks once."""
    key = key_of("RSA")
    settings = signer(authorization_server, key, "microsoft")
    assert own_token(settings).access_token
    header, claims = assertion(authorization_server)
    assert header["alg"] == "PS256"
    assert header["x5t#S256"].rstrip("=") == thumbprints(key.certificate)["x5t#S256"]
    assert claims["aud"] == settings.endpoints.token_url


def test_certificate_of_another_key(authorization_server: AuthorizationServer) -> None:
    """A certificate that does not belong to the private key is found before anything is sent."""
    key, other = key_of("RSA"), key_of("RSA", 1)
    settings = signer(authorization_server, key, "microsoft")
    mixed = SettingsKey(private_key=other.private_key, certificate_chain=key.certificate)
    error = failure(replace(settings, client_key=mixed))
    assert type(error) is ConfigurationError
    assert "of another private key" in error.message
    assert authorization_server.token_requests == 0


@pytest.mark.parametrize("chain", [None, "", "no certificate", "-----BEGIN CERTIFICATE-----\nAA"])
def test_certificate_that_is_none(
    authorization_server: AuthorizationServer, chain: str | None
) -> None:
    """Without a certificate that can be read nothing is sent to Microsoft."""
    settings = signer(authorization_server, key_of("RSA"), "microsoft")
    key = SettingsKey(private_key=key_of("RSA").private_key, certificate_chain=chain)
    error = failure(replace(settings, client_key=key))
    assert type(error) is ConfigurationError
    assert "certificate" in str(error)
    assert authorization_server.token_requests == 0


def test_microsoft_takes_rsa_alone(authorization_server: AuthorizationServer) -> None:
    """A key that Microsoft takes no signatures of is told here, and nothing is sent."""
    error = failure(signer(authorization_server, key_of("P-256"), "microsoft"))
    assert type(error) is ConfigurationError
    assert "RSA" in str(error)
    assert authorization_server.token_requests == 0


# --- Keys that are none ---------------------------------------------------------------------------


def pem(key: Any, password: bytes | None = None) -> str:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode())


def encrypted() -> str:
    return pem(load_pem_private_key(key_of("RSA").private_key.encode(), None), b"password")


def half() -> str:
    lines = key_of("RSA").private_key.splitlines()
    return "\n".join([*lines[:9], lines[-1]])


BROKEN = {
    "encrypted": encrypted,
    "half": half,
    "public": lambda: key_of("RSA").public_key,
    "certificate": lambda: key_of("RSA").certificate,
    "not-pem": lambda: "bm90IGEga2V5IGJ1dCBhIHNlY3JldCBhbGwgdGhlIHNhbWU",
    "not-text": lambda: "-----BEGIN PRIVATE KEY-----\udcff",
    "other-curve": lambda: pem(ec.generate_private_key(ec.SECP256K1())),
    "dsa": lambda: pem(dsa.generate_private_key(2048)),
}


@MAIL_PROVIDERS
@pytest.mark.parametrize("fault", BROKEN)
def test_private_key_that_cannot_sign(
    authorization_server: AuthorizationServer, mail_provider: str, fault: str
) -> None:
    """A key that cannot be used is told before anything is sent, and nothing of it is shown."""
    settings = signer(authorization_server, key_of("RSA"), mail_provider)
    text = BROKEN[fault]()
    key = SettingsKey(private_key=text, certificate_chain=key_of("RSA").certificate)
    error = failure(replace(settings, client_key=key))
    assert type(error) is ConfigurationError
    assert "private key" in str(error)
    assert authorization_server.token_requests == 0
    shown = f"{error!r} {vars(error)} {''.join(traceback.format_exception(error))}"
    lines = [line for line in text.splitlines() if not line.startswith("-----")]
    assert not [line for line in lines if line in shown]


def test_encrypted_key_is_told_apart(authorization_server: AuthorizationServer) -> None:
    """A key with a password is answered with what to do about it."""
    settings = signer(authorization_server, key_of("RSA"))
    error = failure(replace(settings, client_key=SettingsKey(private_key=encrypted())))
    assert "encrypted" in str(error)
    assert "without a password" in error.hint


def test_method_without_a_key(authorization_server: AuthorizationServer) -> None:
    """Who is to sign needs a key; without one nothing is sent."""
    settings: OAuthSettings = signer(authorization_server, key_of("RSA"), client_key=None)
    error = failure(settings)
    assert type(error) is ConfigurationError
    assert "private key" in str(error)
    assert authorization_server.token_requests == 0
