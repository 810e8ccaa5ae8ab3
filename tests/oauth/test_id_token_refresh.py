# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The id_token that comes with a refresh (OpenID Connect Core section 12.2)."""

from __future__ import annotations

import json
import time
import traceback
from typing import TYPE_CHECKING

import pytest

from airflow_imap_oauth.exceptions import TokenResponseError
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.settings import OAuthSettings
from tests.oauth.clients import CONN_ID, LOGIN
from tests.oauth.dialects.clients import client_of, generic, sign_in, spend

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

HOUR_AGO = int(time.time()) - 3600
WRONG = [
    ({"aud": "canary"}, "another client"),
    ({"iss": "https://canary.example"}, "another server"),
    ({"exp": HOUR_AGO}, "expired"),
    ({"iat": None}, "does not say when"),
    ({"sub": None, "oid": None}, "names no account"),
]


@pytest.fixture(params=["generic", "microsoft"])
def settings(
    request: pytest.FixtureRequest, authorization_server: AuthorizationServer
) -> OAuthSettings:
    """Give a client of our own engine, and one of MSAL's."""
    if request.param == "generic":
        return generic(authorization_server)
    return client_of(authorization_server, "microsoft")


def mint(server: AuthorizationServer, settings: OAuthSettings) -> str:
    return server.mint_refresh_token(LOGIN, scopes=(*settings.scopes, *settings.extra_scopes))


def test_openid_core_12_2_refresh_tells_the_same_account(
    authorization_server: AuthorizationServer, settings: OAuthSettings
) -> None:
    """The account of a refresh is the one that signed in."""
    signed_in = sign_in(authorization_server, settings)
    assert signed_in.account is not None
    assert spend(settings, signed_in.refresh_token or "").account == signed_in.account


@pytest.mark.parametrize(("wrong", "problem"), WRONG, ids=lambda one: str(one)[:20])
def test_wrong_id_token_keeps_the_rotated_refresh_token(
    authorization_server: AuthorizationServer,
    settings: OAuthSettings,
    wrong: dict[str, object],
    problem: str,
) -> None:
    """What is wrong with an id_token, though MSAL takes it, costs the access token alone."""
    authorization_server.next_id_token(**wrong)
    response = spend(settings, mint(authorization_server, settings))
    assert isinstance(response.fault, TokenResponseError)
    assert problem in response.fault.message
    assert (response.fault.conn_id, response.fault.step) == (CONN_ID, "id_token")
    assert (response.access_token, response.account) == ("", None)
    assert response.refresh_token is not None
    assert spend(settings, response.refresh_token).fault is None
    shown = "".join(traceback.format_exception(response.fault))
    assert "canary" not in shown
    assert LOGIN not in shown


@pytest.mark.parametrize(("wrong", "problem"), WRONG, ids=lambda one: str(one)[:20])
def test_openid_core_12_2_wrong_id_token_is_an_error(
    authorization_server: AuthorizationServer, wrong: dict[str, object], problem: str
) -> None:
    """Where the refresh token stays, there is nothing to save, and the error is raised."""
    authorization_server.rotate_refresh_tokens = False
    settings = generic(authorization_server)
    token = mint(authorization_server, settings)
    authorization_server.next_id_token(**wrong)
    error = spend_refused_by_id_token(settings, token)
    assert problem in error.message
    assert spend(settings, token).access_token


def test_wrong_id_token_beside_the_same_refresh_token_is_an_error(
    authorization_server: AuthorizationServer, settings: OAuthSettings
) -> None:
    """A refresh token that comes back unchanged is nothing to save either."""
    body = {"access_token": "a", "token_type": "Bearer", "refresh_token": "r", "id_token": "x.y.z"}
    authorization_server.fail_next("token", "body", status=200, body=json.dumps(body))
    assert "cannot be read" in spend_refused_by_id_token(settings, "r").message


@pytest.mark.parametrize("garbage", ["canary", "canary.canary.canary", "a.é.c"])
def test_garbage_keeps_the_rotated_refresh_token(
    authorization_server: AuthorizationServer, settings: OAuthSettings, garbage: str
) -> None:
    """An id_token that no library can read costs the access token alone."""
    response = answered(authorization_server, settings, garbage)
    assert response.refresh_token == "next"
    assert isinstance(response.fault, TokenResponseError)
    assert "canary" not in "".join(traceback.format_exception(response.fault))


def test_signature_is_left_to_the_connection(
    authorization_server: AuthorizationServer, settings: OAuthSettings
) -> None:
    """At a refresh TLS stands for the signature (section 3.1.3.7, item 6): no keys are fetched."""
    authorization_server.next_id_token(key="other")
    response = spend(settings, mint(authorization_server, settings))
    assert response.fault is None
    assert response.account is not None
    assert authorization_server.recorded("jwks") == ()


def test_nonce_is_not_asked_for_again(
    authorization_server: AuthorizationServer, settings: OAuthSettings
) -> None:
    """A refresh answers no sign-in, so whatever nonce its id_token has does not matter."""
    authorization_server.next_id_token(nonce="of the sign-in")
    assert spend(settings, mint(authorization_server, settings)).account is not None


@pytest.mark.parametrize("hours_ahead", [1, -1])
def test_clock_of_this_machine_does_not_matter(
    authorization_server: AuthorizationServer, settings: OAuthSettings, hours_ahead: int
) -> None:
    """An hour between the clocks is tolerated at a refresh, too."""
    authorization_server.clock_offset_seconds = hours_ahead * 3600.0
    response = spend(settings, mint(authorization_server, settings))
    assert response.fault is None
    assert response.account is not None


def test_answer_without_id_token_tells_nobody(authorization_server: AuthorizationServer) -> None:
    """Section 12.2: a refresh need not bring one."""
    settings = generic(authorization_server)
    token = authorization_server.mint_refresh_token(LOGIN, scopes=settings.scopes)
    response = spend(settings, token)
    assert (response.account, response.fault) == (None, None)


def spend_refused_by_id_token(settings: OAuthSettings, refresh_token: str) -> TokenResponseError:
    with pytest.raises(TokenResponseError) as caught:
        spend(settings, refresh_token)
    assert (caught.value.conn_id, caught.value.step) == (CONN_ID, "id_token")
    return caught.value


def answered(server: AuthorizationServer, settings: OAuthSettings, id_token: str) -> TokenResponse:
    body = {"access_token": "a", "token_type": "Bearer", "refresh_token": "next"}
    text = json.dumps({**body, "id_token": id_token})
    server.fail_next("token", "body", status=200, body=text)
    return spend(settings, "r")
