# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Clients and service accounts that sign assertions, at the authorization server of the tests."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import httpx  # noqa: TC002  # as our own
import jwt
import msal
import pytest
import requests
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request as GoogleRequest
from google.oauth2 import service_account

from tests.servers.authorization import talking
from tests.servers.authorization.client_authentication import ASSERTION_TYPE
from tests.servers.authorization.client_keys import ClientKey, KeyKind
from tests.servers.authorization.dialects import MICROSOFT_APP_SCOPE
from tests.servers.authorization.parameters import JWT_BEARER_GRANT
from tests.servers.authorization_server import (
    GOOGLE_IMAP_SCOPE,
    IMAP_SCOPE,
    AuthorizationServer,
)

LOGIN = "ada@example.test"


@dataclass(frozen=True)
class Signer:
    """A client that signs."""

    server: AuthorizationServer
    client_id: str
    key: ClientKey

    def assertion(self, audience: str | None = None, **options: Any) -> str:
        """Sign."""
        return self.key.assertion(self.client_id, audience or self.server.issuer, **options)

    def token(self, assertion: str, **form: str) -> httpx.Response:
        """Ask for a token."""
        return self.post(self.server.token_url, assertion, **{**FORM, **form})

    def post(self, address: str, assertion: str, **form: str) -> httpx.Response:
        """Send a form."""
        return talking.post(
            self.server,
            address,
            **{"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion, **form},
        )


FORM = {"grant_type": "client_credentials", "scope": IMAP_SCOPE}


@pytest.fixture(scope="module")
def key() -> ClientKey:
    """Give a key on RSA."""
    return ClientKey.create()


@pytest.fixture
def signer(authorization_server: AuthorizationServer, key: ClientKey) -> Signer:
    """Give a client that has that key."""
    client_id = f"signer-{secrets.token_hex(4)}"
    authorization_server.add_client(client_id, assertion_key=key.certificate, login=LOGIN)
    return Signer(authorization_server, client_id, key)


@pytest.mark.parametrize("kind", get_args(KeyKind))
def test_key_of_every_kind(authorization_server: AuthorizationServer, kind: KeyKind) -> None:
    """A key of each kind signs in, whether its public half or a certificate is registered."""
    key = ClientKey.create(kind)
    for registered in (key.public_key, key.certificate):
        client_id = f"signer-{secrets.token_hex(4)}"
        authorization_server.add_client(client_id, assertion_key=registered)
        signer = Signer(authorization_server, client_id, key)
        assert signer.token(signer.assertion()).status_code == 200


def test_every_audience_that_is_this_server(signer: Signer) -> None:
    """The issuer and the token endpoint are audiences, alone or in a list of one."""
    for audience in (signer.server.issuer, signer.server.token_url, [signer.server.issuer]):
        assert signer.token(signer.assertion(audience)).status_code == 200


def in_seconds(seconds: int) -> int:
    return int(time.time()) + seconds


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda one: one.assertion(iss="another"), id="iss"),
        pytest.param(lambda one: one.assertion(sub="another"), id="sub"),
        pytest.param(lambda one: one.assertion("https://elsewhere.test"), id="aud"),
        pytest.param(lambda one: one.assertion([one.server.issuer, "x"]), id="aud-several"),
        pytest.param(lambda one: one.assertion(exp=in_seconds(-1)), id="exp-past"),
        pytest.param(lambda one: one.assertion(exp=in_seconds(3700)), id="exp-far"),
        pytest.param(lambda one: one.assertion(exp=None), id="exp-missing"),
        pytest.param(lambda one: one.assertion(iat=in_seconds(90)), id="iat-future"),
        pytest.param(lambda one: one.assertion(nbf=in_seconds(90)), id="nbf-future"),
        pytest.param(lambda one: one.assertion(jti=None), id="jti-missing"),
        pytest.param(lambda one: one.assertion(algorithm="RS512"), id="alg"),
        pytest.param(
            lambda one: jwt.encode({"iss": one.client_id}, None, algorithm="none"), id="unsigned"
        ),
        pytest.param(
            lambda one: ClientKey.create().assertion(one.client_id, one.server.issuer),
            id="other-key",
        ),
        pytest.param(lambda one: one.assertion()[:-4] + "AAAA", id="signature"),
        pytest.param(lambda _: "no.jwt", id="form"),
    ],
)
def test_wrong_assertion(signer: Signer, make: Callable[[Signer], str]) -> None:
    """An assertion with anything wrong in it proves nothing."""
    answer = signer.token(make(signer))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_assertion_is_taken_once(signer: Signer) -> None:
    """The same assertion, or another with its jti, is refused."""
    assertion = signer.assertion(jti="once")
    assert signer.token(assertion).status_code == 200
    for again in (assertion, signer.assertion(jti="once")):
        assert signer.token(again).json()["error"] == "invalid_client"


def test_assertion_of_another_client(signer: Signer) -> None:
    """A client_id beside the assertion has to be its own."""
    answer = signer.token(signer.assertion(), client_id=signer.server.client_id)
    assert answer.json()["error"] == "invalid_client"


def test_client_without_the_method(signer: Signer, key: ClientKey) -> None:
    """A client that was not registered for assertions is refused, a public one too."""
    for methods in (["client_secret_post"], ["none"]):
        signer.server.add_client(
            signer.client_id,
            client_secret="secret-beside-a-key",
            assertion_key=key.public_key,
            auth_methods=methods,
        )
        answer = signer.token(signer.assertion(), client_id=signer.client_id)
        assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    "change",
    [
        {"client_secret": "secret"},
        {"client_assertion_type": ""},
        {"client_assertion": ""},
        {"unknown": "x"},
    ],
)
def test_malformed_request_with_assertion(signer: Signer, change: dict[str, str]) -> None:
    """Two ways at once, empty parameters and unknown ones are refused."""
    assert signer.token(signer.assertion(), **change).json()["error"] == "invalid_request"


def test_assertion_at_the_other_endpoints(signer: Signer) -> None:
    """Introspection, revocation and device authorization take assertions as well."""
    server = signer.server
    token = server.mint_access_token(LOGIN, client_id=signer.client_id)
    seen = signer.post(server.introspection_url, signer.assertion(), token=token)
    assert seen.json()["active"] is True
    assert signer.post(server.revoke_url, signer.assertion(), token=token).status_code == 200
    assert server.introspect(token)["active"] is False
    device = signer.post(server.device_url, signer.assertion(), scope=IMAP_SCOPE)
    assert device.json()["user_code"]


def test_assertions_are_checked_by_the_clock_of_the_server(signer: Signer) -> None:
    """A client whose clock is an hour behind the server's signs expired assertions."""
    signer.server.switch(clock_offset_seconds=3600)
    assert signer.token(signer.assertion()).json()["error"] == "invalid_client"
    there = in_seconds(3600)
    assert signer.token(signer.assertion(iat=there, exp=there + 60)).status_code == 200


# --- Microsoft ------------------------------------------------------------------------------------


def application(
    server: AuthorizationServer, key: ClientKey, client_id: str, tenant: str = "contoso"
) -> msal.ConfidentialClientApplication:
    session = requests.Session()
    session.verify = str(server.ca_file)
    session.trust_env = False
    return msal.ConfidentialClientApplication(
        client_id,
        authority=f"{server.base_url}/{tenant}",
        instance_discovery=False,
        http_client=session,
        client_credential={"private_key": key.private_key, "public_certificate": key.certificate},
    )


def test_msal_with_a_certificate(signer: Signer) -> None:
    """MSAL gets an access token of the application by its certificate, and no more than that."""
    app = application(signer.server, signer.key, signer.client_id)
    result = app.acquire_token_for_client([MICROSOFT_APP_SCOPE])
    assert signer.server.introspect(result["access_token"])["username"] == LOGIN
    assert not {"scope", "refresh_token", "id_token", "client_info"} & result.keys()
    again = app.acquire_token_for_client([MICROSOFT_APP_SCOPE], claims_challenge='{"x":{}}')
    assert again["token_source"] == "identity_provider"


def test_msal_with_another_certificate(signer: Signer) -> None:
    """A certificate that is not registered is told by Entra's code."""
    app = application(signer.server, ClientKey.create(), signer.client_id)
    result = app.acquire_token_for_client([MICROSOFT_APP_SCOPE])
    assert (result["error"], result["error_codes"]) == ("invalid_client", [700027])


@pytest.mark.filterwarnings("ignore:Using /common:DeprecationWarning")
@pytest.mark.parametrize("tenant", ["common", "organizations", "consumers"])
def test_msal_at_a_shared_tenant(signer: Signer, tenant: str) -> None:
    """An application has a tenant of its own, or gets no token."""
    app = application(signer.server, signer.key, signer.client_id, tenant)
    result = app.acquire_token_for_client([MICROSOFT_APP_SCOPE])
    assert result["error_codes"] == [50194]


def test_entra_demands_the_thumbprint(signer: Signer) -> None:
    """At Microsoft an assertion without the certificate's thumbprint, or for the issuer, fails."""
    server = signer.server
    token_url = server.url("token", mail_provider="microsoft", tenant="contoso")
    good = {"x5t#S256": thumbprint(signer.key)}
    form = {"grant_type": "client_credentials", "scope": MICROSOFT_APP_SCOPE}
    for audience, headers, status in (
        (token_url, good, 200),
        (token_url, {}, 401),
        (token_url, {"x5t": "AAAA"}, 401),
        (token_url, {**good, "x5t": "AAAA"}, 401),
        (server.issuer, good, 401),
    ):
        assertion = signer.assertion(audience, headers=headers)
        assert signer.post(token_url, assertion, **form).status_code == status


def thumbprint(key: ClientKey) -> str:
    import base64

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    certificate = x509.load_pem_x509_certificate(key.certificate.encode())
    return base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).decode().rstrip("=")


# --- Google ---------------------------------------------------------------------------------------

ROBOT = "robot@project.iam.gserviceaccount.com"


@pytest.fixture
def key_file(authorization_server: AuthorizationServer) -> dict[str, str]:
    """Give the key of a service account that may act for the account of these tests."""
    found: dict[str, str] = json.loads(
        authorization_server.new_service_account(ROBOT, subjects=[LOGIN])
    )
    return found


def impersonate(
    server: AuthorizationServer, key_file: dict[str, str], subject: str, *scopes: str
) -> service_account.Credentials:
    credentials = service_account.Credentials.from_service_account_info(
        key_file, scopes=scopes or (GOOGLE_IMAP_SCOPE,), subject=subject
    )
    with requests.Session() as session:
        session.verify = str(server.ca_file)
        session.trust_env = False
        credentials.refresh(GoogleRequest(session=session))
    return credentials


def test_google_auth_as_a_service_account(
    authorization_server: AuthorizationServer, key_file: dict[str, str]
) -> None:
    """google-auth gets an access token for an account that the service account may act for."""
    credentials = impersonate(authorization_server, key_file, LOGIN)
    assert authorization_server.introspect(credentials.token)["username"] == LOGIN


@pytest.mark.parametrize(
    ("change", "subject", "scope", "said"),
    [
        ({}, "eve@example.test", GOOGLE_IMAP_SCOPE, "unauthorized_client"),
        ({}, LOGIN, "openid", "unauthorized_client"),
        ({"client_email": "x@y.test"}, LOGIN, GOOGLE_IMAP_SCOPE, "account not found"),
        ({"private_key_id": "other"}, LOGIN, GOOGLE_IMAP_SCOPE, "Invalid JWT Signature"),
    ],
)
def test_google_refuses_a_service_account(
    authorization_server: AuthorizationServer,
    key_file: dict[str, str],
    change: dict[str, str],
    subject: str,
    scope: str,
    said: str,
) -> None:
    """Google tells what a service account may not, or that it does not know it."""
    with pytest.raises(RefreshError, match=said):
        impersonate(authorization_server, {**key_file, **change}, subject, scope)


def test_google_refuses_a_service_account_with_a_wrong_clock(
    authorization_server: AuthorizationServer, key_file: dict[str, str]
) -> None:
    """Google takes no assertion that its own clock does not agree with."""
    for offset in (-7200, 7200):
        authorization_server.switch(clock_offset_seconds=offset)
        with pytest.raises(RefreshError, match="short-lived token"):
            impersonate(authorization_server, key_file, LOGIN)


def test_service_account_gets_an_access_token_alone(
    authorization_server: AuthorizationServer, key_file: dict[str, str]
) -> None:
    """The answer names no scopes and holds no refresh token; client authentication is refused."""
    server = authorization_server
    now = int(time.time())
    claims = {"iss": ROBOT, "sub": LOGIN, "scope": GOOGLE_IMAP_SCOPE, "iat": now, "exp": now + 60}
    assertion = jwt.encode(
        {**claims, "aud": server.url("token", mail_provider="google")},
        key_file["private_key"],
        algorithm="RS256",
        headers={"kid": key_file["private_key_id"]},
    )
    form = {"grant_type": JWT_BEARER_GRANT, "assertion": assertion}
    answer = talking.post(server, key_file["token_uri"], **form)
    assert answer.json().keys() == {"access_token", "expires_in", "token_type"}
    refused = talking.post_with_secret(server, key_file["token_uri"], **form)
    assert refused.json()["error"] == "invalid_request"
