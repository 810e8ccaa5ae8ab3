# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What each mail provider does its way, at the authorization server of the tests."""

from __future__ import annotations

import pytest

from tests.servers.authorization import talking
from tests.servers.authorization.dialects import MICROSOFT_OTHER_IMAP_SCOPE
from tests.servers.authorization_server import (
    GOOGLE_IMAP_SCOPE,
    MICROSOFT_IMAP_SCOPE,
    YAHOO_IMAP_SCOPE,
    YANDEX_IMAP_SCOPE,
    ZOHO_IMAP_SCOPE,
    AuthorizationServer,
)

LOGIN = "ada@example.test"
OFFLINE = {"access_type": "offline", "prompt": "consent"}


# --- Yahoo ----------------------------------------------------------------------------------------


def test_yahoo_returns_the_same_refresh_token(authorization_server: AuthorizationServer) -> None:
    """At Yahoo the refresh token stays, and every answer tells it."""
    code = talking.authorize(authorization_server, LOGIN, YAHOO_IMAP_SCOPE, mail_provider="yahoo")[
        "code"
    ]
    answer = talking.redeem(authorization_server, code, mail_provider="yahoo").json()
    token = answer["refresh_token"]
    assert answer.keys() == {"access_token", "refresh_token", "expires_in", "token_type"}
    again = talking.refresh(authorization_server, token, mail_provider="yahoo").json()
    assert again["refresh_token"] == token


def test_yahoo_errors_in_both_shapes(authorization_server: AuthorizationServer) -> None:
    """Yahoo's error is an object, or flat with a code of its own."""
    error = talking.refresh(authorization_server, "x", mail_provider="yahoo").json()["error"]
    assert error.keys() == {"localizedMessage", "errorId", "message"}
    assert error["errorId"] == "INVALID_REFRESH_TOKEN"
    authorization_server.switch(yahoo_errors="flat")
    flat = talking.refresh(authorization_server, "x", mail_provider="yahoo").json()
    assert flat["error"] == "INVALID_REFRESH_TOKEN"


# --- Zoho -----------------------------------------------------------------------------------------


def test_zoho_tells_the_data_centre(authorization_server: AuthorizationServer) -> None:
    """Zoho's callback says where the account lives, and its answers where its API is."""
    server = authorization_server
    back = talking.authorize(server, LOGIN, ZOHO_IMAP_SCOPE, mail_provider="zoho", **OFFLINE)
    assert (back["location"], back["accounts-server"]) == ("us", f"{server.base_url}/zoho")
    answer = talking.redeem(server, back["code"], mail_provider="zoho").json()
    assert answer["refresh_token"]
    again = talking.refresh(server, answer["refresh_token"], mail_provider="zoho").json()
    assert {"access_token", "api_domain"} <= again.keys()
    assert "refresh_token" not in again
    server.switch(zoho_location="eu")
    back = talking.authorize(server, LOGIN, ZOHO_IMAP_SCOPE, mail_provider="zoho")
    assert (back["location"], back["accounts-server"]) == ("eu", "https://accounts.zoho.eu")


def test_zoho_needs_offline_access_and_consent(
    authorization_server: AuthorizationServer,
) -> None:
    """A refresh token comes for offline access, with the first consent or an explicit one."""
    server, login = authorization_server, "first-at-zoho@example.test"
    came = []
    for parameters in (
        {},
        {"access_type": "offline"},
        {"access_type": "offline", "prompt": "consent"},
    ):
        code = talking.authorize(
            server, login, ZOHO_IMAP_SCOPE, mail_provider="zoho", **parameters
        )["code"]
        answer = talking.redeem(server, code, mail_provider="zoho").json()
        came.append("refresh_token" in answer)
    assert came == [False, False, True]


def test_zoho_errors_have_the_status_of_success(
    authorization_server: AuthorizationServer,
) -> None:
    """Zoho answers 200 and an error."""
    answer = talking.refresh(authorization_server, "x", mail_provider="zoho")
    assert (answer.status_code, answer.json()) == (200, {"error": "invalid_code"})


def test_zoho_limits_refreshes(authorization_server: AuthorizationServer) -> None:
    """A refresh token brings ten access tokens in ten minutes, then none until these are over."""
    server = authorization_server
    token = server.mint_refresh_token(LOGIN)
    for _ in range(10):
        assert "access_token" in talking.refresh(server, token, mail_provider="zoho").json()
    refused = talking.refresh(server, token, mail_provider="zoho")
    assert (refused.status_code, refused.json()["error"]) == (400, "Access Denied")
    server.advance_clock(600)
    assert "access_token" in talking.refresh(server, token, mail_provider="zoho").json()


# --- Yandex ---------------------------------------------------------------------------------------


def test_yandex_replaces_the_refresh_token_only(authorization_server: AuthorizationServer) -> None:
    """A refresh at Yandex ends the refresh token, while the access token may stay the same."""
    server = authorization_server
    code = talking.authorize(server, LOGIN, YANDEX_IMAP_SCOPE, mail_provider="yandex")["code"]
    first = talking.redeem(server, code, mail_provider="yandex").json()
    second = talking.refresh(server, first["refresh_token"], mail_provider="yandex").json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] == first["access_token"]
    used = talking.refresh(server, first["refresh_token"], mail_provider="yandex").json()
    assert used["error"] == "invalid_grant"
    assert used["error_description"]
    server.switch(keep_access_tokens=False)
    third = talking.refresh(server, second["refresh_token"], mail_provider="yandex").json()
    assert third["access_token"] != second["access_token"]


# --- Google ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["switch", "user"])
def test_fewer_scopes_are_granted(authorization_server: AuthorizationServer, by: str) -> None:
    """A user may leave scopes out, and the answer says which are left."""
    server, chosen = authorization_server, ["openid"]
    if by == "switch":
        server.switch(granted_scopes=chosen)
    code = talking.authorize(
        server,
        LOGIN,
        f"openid {GOOGLE_IMAP_SCOPE}",
        mail_provider="google",
        scopes=chosen if by == "user" else None,
    )["code"]
    answer = talking.redeem(server, code, mail_provider="google").json()
    assert answer["scope"] == "openid"
    server.switch(granted_scopes=["nothing"])
    back = talking.authorize(server, LOGIN, GOOGLE_IMAP_SCOPE, mail_provider="google")
    assert back["error"] == "access_denied"


# --- Microsoft ------------------------------------------------------------------------------------


def test_microsoft_names_scopes_its_way(authorization_server: AuthorizationServer) -> None:
    """The scopes of an answer may be spelt otherwise than those that were asked for."""
    server = authorization_server
    token = server.mint_refresh_token(LOGIN, scopes=[MICROSOFT_IMAP_SCOPE])
    told = []
    for spelling in ("asked", "other_resource", "short"):
        server.switch(scope_spelling=spelling)
        answer = talking.refresh(server, token, mail_provider="microsoft", tenant="contoso")
        told.append(answer.json()["scope"])
    assert told == [MICROSOFT_IMAP_SCOPE, MICROSOFT_OTHER_IMAP_SCOPE, "IMAP.AccessAsUser.All"]


# --- Revocation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mail_provider", ["google", "zoho"])
def test_revocation_by_the_token_alone(
    authorization_server: AuthorizationServer, mail_provider: str
) -> None:
    """Google and Zoho take a token and nothing besides, and refuse one that they do not know."""
    server = authorization_server
    address = talking.url(server, "revocation", mail_provider)
    token = server.mint_refresh_token(LOGIN)
    refused = talking.post(server, address, token=token, client_id=server.client_id)
    assert "invalid_request" in refused.text
    assert talking.post(server, address, token=token).status_code == 200
    assert "access_token" not in talking.refresh(server, token, mail_provider=mail_provider).json()
    assert talking.post(server, address, token=token).status_code == 400


def test_revocation_at_yahoo(authorization_server: AuthorizationServer) -> None:
    """Yahoo wants to know the client."""
    server = authorization_server
    address = talking.url(server, "revocation", "yahoo")
    token = server.mint_refresh_token(LOGIN)
    assert talking.post(server, address, token=token).status_code == 401
    assert talking.post_with_secret(server, address, token=token).status_code == 200
    assert talking.refresh(server, token, mail_provider="yahoo").status_code == 400
