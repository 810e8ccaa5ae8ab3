# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""ID tokens, right and wrong, and the clock of the authorization server of the tests."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import Any

import jwt
import pytest

from tests.servers.authorization import talking
from tests.servers.authorization.process import AuthorizationServerProcess
from tests.servers.authorization_server import (
    IMAP_SCOPE,
    MICROSOFT_IMAP_SCOPE,
    AuthorizationServer,
)
from tests.servers.certificates import CertificateAuthority

LOGIN = "ada@example.test"


def id_token(server: talking.Server) -> str:
    back = talking.authorize(server, LOGIN, f"openid {IMAP_SCOPE}", nonce="n-0")
    answer = talking.redeem(server, back["code"]).json()
    return str(answer["id_token"])


def verified(server: AuthorizationServer, token: str) -> dict[str, Any]:
    keys = jwt.PyJWKSet.from_dict(talking.get(server, server.jwks_url).json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    found: dict[str, Any] = jwt.decode(
        token, key.key, algorithms=["RS256"], audience=server.client_id, issuer=server.issuer
    )
    return found


def test_id_token_is_right(authorization_server: AuthorizationServer) -> None:
    """Without any change the ID token is valid, and names account and nonce."""
    claims = verified(authorization_server, id_token(authorization_server))
    assert (claims["email"], claims["nonce"]) == (LOGIN, "n-0")


def test_claims_of_the_next_id_token(authorization_server: AuthorizationServer) -> None:
    """Claims are changed or left out in one ID token each, in the order of the calls."""
    authorization_server.next_id_token(aud="other", nonce=None)
    authorization_server.next_id_token(email="eve@example.test")
    first, second, third = (
        jwt.decode(id_token(authorization_server), options={"verify_signature": False})
        for _ in range(3)
    )
    assert first["aud"] == "other"
    assert "nonce" not in first
    assert (second["email"], third["email"]) == ("eve@example.test", LOGIN)


def test_wrong_signatures(authorization_server: AuthorizationServer) -> None:
    """An ID token may be unsigned, or signed with a key, or under a name, that nobody knows."""
    authorization_server.next_id_token(alg="none")
    authorization_server.next_id_token(key="other")
    authorization_server.next_id_token(kid="unknown")
    unsigned = id_token(authorization_server)
    assert jwt.get_unverified_header(unsigned)["alg"] == "none"
    assert unsigned.endswith(".")
    with pytest.raises(jwt.InvalidSignatureError):
        verified(authorization_server, id_token(authorization_server))
    with pytest.raises(KeyError):
        verified(authorization_server, id_token(authorization_server))


def test_signed_with_the_client_secret(authorization_server: AuthorizationServer) -> None:
    """HS256 stands for a signature with the secret of the client."""
    server = authorization_server
    server.next_id_token(alg="HS256")
    claims = jwt.decode(
        id_token(server), server.client_secret, algorithms=["HS256"], audience=server.client_id
    )
    assert claims["email"] == LOGIN


def test_signing_key_changes(authorization_server: AuthorizationServer) -> None:
    """After a change new ID tokens are valid; old ones are while the old key is published."""
    server = authorization_server
    old = id_token(server)
    server.rotate_signing_key(keep_old=True)
    verified(server, old)
    newer = id_token(server)
    verified(server, newer)
    server.rotate_signing_key()
    with pytest.raises(KeyError):
        verified(server, newer)


def test_microsoft_names_the_tenant_by_its_id(authorization_server: AuthorizationServer) -> None:
    """Issuer and tid are those of the tenant's id, whichever way the account came in."""
    server, claims = authorization_server, []
    for tenant in ("example.test", "common"):
        scope = f"openid {MICROSOFT_IMAP_SCOPE}"
        place = {"mail_provider": "microsoft", "tenant": tenant}
        code = talking.authorize(server, LOGIN, scope, **place)["code"]
        token = talking.redeem(server, code, **place).json()["id_token"]
        claims.append(jwt.decode(token, options={"verify_signature": False}))
    first, second = claims
    assert first["iss"] == f"{server.base_url}/{first['tid']}/v2.0"
    for name in ("iss", "tid", "oid"):
        assert first[name] == second[name]
    keys = server.url("jwks", mail_provider="microsoft", tenant="example.test")
    assert talking.get(server, keys).json()["keys"][0]["issuer"] == first["iss"]
    keys = server.url("jwks", mail_provider="microsoft", tenant="common")
    shared = talking.get(server, keys).json()["keys"][0]["issuer"]
    assert shared == f"{server.base_url}/{{tenantid}}/v2.0"


def test_clock_that_is_an_hour_ahead(authorization_server: AuthorizationServer) -> None:
    """Tokens and the header Date are by the clock of the server, as is their end."""
    server = authorization_server
    for offset in (0, 3600):
        server.switch(clock_offset_seconds=offset)
        date = talking.get(server, server.jwks_url).headers["Date"]
        seen = parsedate_to_datetime(date).timestamp()
        claims = jwt.decode(id_token(server), options={"verify_signature": False})
        for instant in (seen, claims["iat"]):
            assert instant == pytest.approx(time.time() + offset, abs=60)
    token = server.mint_access_token(LOGIN, lifetime_seconds=60)
    assert server.introspect(token)["active"] is True
    server.switch(clock_offset_seconds=3700)
    assert server.introspect(token)["active"] is False


def test_server_in_another_process(ca: CertificateAuthority) -> None:
    """All that a test does to the server in its process it may do to one in another."""
    with AuthorizationServerProcess(ca.folder) as server:
        server.next_id_token(nonce=None, alg="none")
        assert id_token(server).endswith(".")
        server.rotate_signing_key(keep_old=True)
        assert len(talking.get(server, server.jwks_url).json()["keys"]) == 2
        assert '"service_account"' in server.new_service_account("r@p.test", subjects=[LOGIN])
        server.add_service_account("r@p.test", "PEM", subjects=[LOGIN], key_id="1")
        server.add_client("signer", assertion_key="PEM")
        form = {"client_id": server.public_client_id, "scope": IMAP_SCOPE}
        told = talking.post(server, server.device_url, **form).json()
        server.advance_clock(5)
        server.switch(clock_offset_seconds=3600, granted_scopes=[IMAP_SCOPE])
        server.decide_device(told["user_code"], LOGIN)
        with pytest.raises(ValueError, match="before"):
            server.decide_device(told["user_code"], LOGIN, allow=False)
