# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The signature of an id_token, and the keys that verify it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from airflow_imap_oauth.exceptions import OAuthError, TokenResponseError, TransientOAuthError
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.id_token import check_signature
from airflow_imap_oauth.oauth.settings import OAuthSettings
from tests.oauth.dialects.clients import Hours, client_of, generic, sign_in, sign_in_refused

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer


@pytest.fixture
def hours(monkeypatch: pytest.MonkeyPatch) -> Hours:
    """Give a clock, and an empty cache of keys that goes by it."""
    return Hours(monkeypatch)


def refused(
    server: AuthorizationServer, mail_provider: str = "generic", **changes: object
) -> OAuthError:
    """Return why a sign-in with a changed id_token is refused."""
    server.next_id_token(**changes)
    error = sign_in_refused(server, _client(server, mail_provider))
    assert type(error) is TokenResponseError
    assert error.step == "id_token"
    return error


def _client(server: AuthorizationServer, mail_provider: str) -> OAuthSettings:
    return generic(server) if mail_provider == "generic" else client_of(server, mail_provider)


def keyless(server: AuthorizationServer) -> OAuthSettings:
    """Return a client that knows no address of the server's keys."""
    settings = generic(server)
    return replace(settings, endpoints=replace(settings.endpoints, jwks_url=None))


def transport_of(settings: OAuthSettings) -> Transport:
    return Transport(settings.transport)


def test_openid_core_3_1_3_7_unsigned(authorization_server: AuthorizationServer) -> None:
    """One without a signature is refused, also where no keys are known."""
    server = authorization_server
    for client in (generic(server), keyless(server)):
        server.next_id_token(alg="none")
        assert "not signed in a way" in sign_in_refused(server, client).message


def test_signed_with_the_client_secret(authorization_server: AuthorizationServer) -> None:
    """Where no keys are known, a client takes its own secret for one, and no other secret."""
    server, settings = authorization_server, keyless(authorization_server)
    server.next_id_token(alg="HS256")
    assert sign_in(server, settings).account is not None
    token = jwt.encode({"iss": server.issuer}, "another secret, by no means shorter", "HS256")
    with pytest.raises(TokenResponseError, match="wrong signature"), transport_of(settings) as way:
        check_signature(token, settings, way)


def test_client_without_secret_takes_no_such_signature(
    authorization_server: AuthorizationServer,
) -> None:
    """Where there is no secret, nothing that is signed with one is trusted."""
    for settings in (generic(authorization_server), keyless(authorization_server)):
        public = replace(
            settings,
            client_id=authorization_server.public_client_id,
            client_secret=None,
            client_auth_method="none",
        )
        authorization_server.next_id_token(alg="HS256")
        assert "not signed in a way" in sign_in_refused(authorization_server, public).message


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_secret_signs_nothing_where_keys_are_published(
    authorization_server: AuthorizationServer, alg: str
) -> None:
    """A server that publishes keys has to sign with them: the client's secret does not do."""
    settings = generic(authorization_server, client_secret="a secret as long as its hash " * 3)
    secret = settings.client_secret or ""
    token = jwt.encode({"iss": authorization_server.issuer}, secret, alg)
    with transport_of(settings) as way, pytest.raises(TokenResponseError, match="publishes keys"):
        check_signature(token, settings, way)


def test_public_key_is_no_secret(authorization_server: AuthorizationServer) -> None:
    """A signature that takes the published key for a shared secret is refused."""
    modulus = str(_published(authorization_server)["n"])
    token = jwt.encode({"iss": authorization_server.issuer}, modulus, "HS256")
    for settings, problem in (
        (generic(authorization_server), "publishes keys"),
        (keyless(authorization_server), "wrong signature"),
    ):
        with transport_of(settings) as way, pytest.raises(TokenResponseError, match=problem):
            check_signature(token, settings, way)


@pytest.mark.parametrize("mail_provider", ["generic", "microsoft", "google"])
def test_openid_core_3_1_3_7_signed_by_another(
    authorization_server: AuthorizationServer, mail_provider: str
) -> None:
    """The key has to be the server's own, at whichever mail provider that publishes its keys."""
    assert "wrong signature" in refused(authorization_server, mail_provider, key="other").message


def test_openid_core_3_1_3_7_without_known_keys_the_connection_has_to_do(
    authorization_server: AuthorizationServer,
) -> None:
    """Where no address of keys is known, TLS to the token endpoint stands in (item 6)."""
    server, settings = authorization_server, keyless(authorization_server)
    server.next_id_token(key="other")
    assert sign_in(server, settings).account is not None
    assert server.recorded("jwks") == ()


def test_keys_are_kept_for_an_hour(authorization_server: AuthorizationServer, hours: Hours) -> None:
    """Sign-ins of an hour fetch the keys once."""
    counts = []
    for seconds in (0.0, 1800.0, 3599.0, 3600.0):
        hours.seconds = seconds
        sign_in(authorization_server, generic(authorization_server))
        counts.append(len(authorization_server.recorded("jwks")))
    assert counts == [1, 1, 1, 2]


@pytest.mark.parametrize("keep_old", [True, False])
def test_openid_core_10_1_1_new_key_of_the_server(
    authorization_server: AuthorizationServer, hours: Hours, keep_old: bool
) -> None:
    """A key that was not among those kept is looked for once more, and then kept."""
    assert hours.seconds == 0
    server, settings = authorization_server, generic(authorization_server)
    sign_in(server, settings)
    server.rotate_signing_key(keep_old=keep_old)
    for _ in range(2):
        assert sign_in(server, settings).account is not None
        assert len(server.recorded("jwks")) == 2


def test_key_that_nobody_knows(authorization_server: AuthorizationServer, hours: Hours) -> None:
    """For a key that the server does not publish it is asked once more, not again and again."""
    assert hours.seconds == 0
    assert "does not publish" in refused(authorization_server, kid="unknown").message
    assert len(authorization_server.recorded("jwks")) == 2


def test_key_without_a_name(authorization_server: AuthorizationServer, hours: Hours) -> None:
    """A key need not be named where there is but one (section 10.1)."""
    assert hours.seconds == 0
    server = authorization_server
    server.rotate_signing_key()
    server.next_id_token(kid=None)
    assert sign_in(server, generic(server)).account is not None
    server.rotate_signing_key(keep_old=True)
    sign_in(server, generic(server))
    assert "does not publish" in refused(server, kid=None).message


@pytest.mark.parametrize("keys", [[], [7], [{}], [{"kid": "k"}], [{"kty": "EC", "use": "sig"}]])
def test_keys_that_are_none(
    authorization_server: AuthorizationServer, hours: Hours, keys: list[object]
) -> None:
    """Whatever stands among the keys, what is no key is not trusted."""
    assert hours.seconds == 0
    body = json.dumps({"keys": keys})
    authorization_server.fail_next("jwks", "body", times=2, status=200, body=body)
    assert "does not publish" in refused(authorization_server).message


@pytest.mark.parametrize(("status", "body"), [(404, "{}"), (200, "{}"), (200, '{"keys": {}}')])
def test_wrong_address_of_keys(
    authorization_server: AuthorizationServer, hours: Hours, status: int, body: str
) -> None:
    """Where the keys are not at their address, the code is not spent, and the setting is named."""
    assert hours.seconds == 0
    authorization_server.fail_next("jwks", "body", status=status, body=body)
    error = sign_in_refused(authorization_server, generic(authorization_server))
    assert type(error) is OAuthError
    assert "jwks_url" in error.hint
    assert authorization_server.token_requests == 0


@pytest.mark.parametrize("alg", ["none", "HS256"])
def test_keys_out_of_reach_come_before_the_code(
    authorization_server: AuthorizationServer, hours: Hours, alg: str
) -> None:
    """While the keys cannot be fetched, the code is not spent, whatever would have come."""
    assert hours.seconds == 0
    authorization_server.next_id_token(alg=alg)
    authorization_server.fail_next("jwks", "html", status=503)
    error = sign_in_refused(authorization_server, generic(authorization_server))
    assert isinstance(error, TransientOAuthError)
    assert authorization_server.token_requests == 0


def _published(server: AuthorizationServer) -> dict[str, object]:
    with Transport(generic(server).transport) as way:
        document = way.request("GET", f"{server.base_url}/jwks", step="test").text
    key: dict[str, object] = json.loads(document)["keys"][0]
    return key


@pytest.mark.parametrize(
    "change",
    [
        {"alg": "PS512"},
        {"use": "enc"},
        {"use": ["sig"]},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": ["RSA"]},
        {"alg": 7},
        {"d": "c2VjcmV0"},
    ],
)
def test_key_for_something_else(
    authorization_server: AuthorizationServer, hours: Hours, change: dict[str, object]
) -> None:
    """A key for another purpose or algorithm, or one that is no public key, is not used."""
    assert hours.seconds == 0
    body = json.dumps({"keys": [{**_published(authorization_server), **change}]})
    authorization_server.fail_next("jwks", "body", times=2, status=200, body=body)
    assert "does not publish" in refused(authorization_server).message


def test_rsa_key_that_is_too_small(authorization_server: AuthorizationServer, hours: Hours) -> None:
    """An RSA key below the 2048 bits of RFC 7518 section 3.3 is not trusted."""
    assert hours.seconds == 0
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()  # noqa: S505  # that is the point
    key = {**jwt.algorithms.RSAAlgorithm.to_jwk(small, as_dict=True), "use": "sig"}
    body = json.dumps({"keys": [{**key, "kid": _published(authorization_server)["kid"]}]})
    authorization_server.fail_next("jwks", "body", times=2, status=200, body=body)
    assert "does not publish" in refused(authorization_server).message


@pytest.mark.parametrize("name", ["alg", "kid"])
@pytest.mark.parametrize("value", [["RS256"], {"RS256": 1}, 7, None, "\ud800"])
def test_header_of_any_kind(
    authorization_server: AuthorizationServer, name: str, value: object
) -> None:
    """A header that names algorithm or key by no text is refused, whatever stands there."""
    settings = generic(authorization_server)
    header = (
        base64.urlsafe_b64encode(json.dumps({"alg": "RS256", name: value}).encode())
        .rstrip(b"=")
        .decode()
    )
    with Transport(settings.transport) as way, pytest.raises(TokenResponseError):
        check_signature(f"{header}.e30.c2ln", settings, way)
