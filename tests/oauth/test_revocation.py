# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Take a refresh token back (RFC 7009), as each mail provider wants to be asked."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import pytest

from airflow_imap_oauth.exceptions import (
    ClientRejectedError,
    ConfigurationError,
    ImapOAuthError,
    OAuthError,
    TransientOAuthError,
)
from airflow_imap_oauth.oauth.engines import refresh
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.revocation import revoke
from airflow_imap_oauth.oauth.settings import OAuthSettings
from tests.oauth.clients import (
    CONN_ID,
    LOGIN,
    custom,
    google,
    microsoft,
    signer,
    yahoo,
    yandex,
    zoho,
)
from tests.servers.authorization.client_keys import ClientKey

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

Make = Callable[["AuthorizationServer"], OAuthSettings]


def basic(server: AuthorizationServer) -> OAuthSettings:
    return custom(server, client_auth_method="basic")


def public(server: AuthorizationServer) -> OAuthSettings:
    return custom(server, client_id=server.public_client_id, client_secret=None)


def signing(server: AuthorizationServer) -> OAuthSettings:
    return signer(server, ClientKey.create("P-256"), grant="user_consent")


EVERYWHERE = pytest.mark.parametrize(
    "make", [custom, basic, public, signing, google, yahoo, zoho], ids=lambda make: make.__name__
)


def mint(server: AuthorizationServer, settings: OAuthSettings) -> str:
    return server.mint_refresh_token(LOGIN, client_id=settings.client_id, scopes=settings.scopes)


def spend(settings: OAuthSettings, token: str) -> TokenResponse:
    with Transport(settings.transport) as transport:
        return refresh(settings, token, transport)


def take_back(settings: OAuthSettings, token: str) -> None:
    with Transport(settings.transport) as transport:
        revoke(settings, token, transport)


def failure(settings: OAuthSettings, token: str) -> ImapOAuthError:
    """Return why a token lives on."""
    with pytest.raises(ImapOAuthError) as caught:
        take_back(settings, token)
    assert (caught.value.conn_id, caught.value.step) == (CONN_ID, "revocation")
    assert token not in f"{caught.value} {caught.value!r} {vars(caught.value)}"
    return caught.value


# --- Success --------------------------------------------------------------------------------------


@EVERYWHERE
def test_rfc7009_2_1_afterwards_nothing_works(
    authorization_server: AuthorizationServer, make: Make
) -> None:
    """One request ends the refresh token and the access tokens that came of it."""
    settings = make(authorization_server)
    token = mint(authorization_server, settings)
    response = spend(settings, token)
    assert authorization_server.introspect(response.access_token)["active"] is True
    take_back(settings, response.refresh_token or token)
    assert len(authorization_server.recorded("revocation")) == 1
    assert authorization_server.introspect(response.access_token) == {"active": False}
    with pytest.raises(OAuthError) as caught:
        spend(settings, response.refresh_token or token)
    assert not caught.value.retry_helps


def test_rfc7009_2_1_what_is_sent(authorization_server: AuthorizationServer) -> None:
    """The token goes with a hint at its kind, and the client proves itself as always."""
    settings = custom(authorization_server)
    token = mint(authorization_server, settings)
    take_back(settings, token)
    [request] = authorization_server.recorded("revocation")
    assert request.parameters == {
        "token": token,
        "token_type_hint": "refresh_token",
        "client_id": settings.client_id,
        "client_secret": settings.client_secret,
    }


def test_basic_keeps_the_form_clean(authorization_server: AuthorizationServer) -> None:
    """With Basic neither id nor secret is in the form."""
    settings = basic(authorization_server)
    take_back(settings, mint(authorization_server, settings))
    [request] = authorization_server.recorded("revocation")
    assert request.parameters.keys() == {"token", "token_type_hint"}
    pair = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
    assert unquote_plus(pair) == f"{settings.client_id}:{settings.client_secret}"


@pytest.mark.parametrize("make", [google, zoho], ids=lambda make: make.__name__)
def test_where_the_token_is_enough_nothing_else_is_sent(
    authorization_server: AuthorizationServer, make: Make
) -> None:
    """Google and Zoho ask for the token alone: the client's secret stays here."""
    settings = make(authorization_server)
    token = mint(authorization_server, settings)
    take_back(settings, token)
    [request] = authorization_server.recorded("revocation")
    assert request.parameters == {"token": token}
    assert "authorization" not in request.headers


@pytest.mark.parametrize("make", [custom, yahoo, google], ids=lambda make: make.__name__)
def test_rfc7009_2_2_unknown_token_counts_as_revoked(
    authorization_server: AuthorizationServer, make: Make
) -> None:
    """A token that the server does not know (any more) is as good as revoked."""
    settings = make(authorization_server)
    token = mint(authorization_server, settings)
    for known in (token, token, "rt-unknown-0123456789"):
        take_back(settings, known)


# --- Failure --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [microsoft, yandex], ids=lambda make: make.__name__)
def test_mail_provider_without_revocation(
    authorization_server: AuthorizationServer, make: Make
) -> None:
    """Where there is no such endpoint, what to do there is told, and nothing is sent."""
    settings = make(authorization_server)
    error = failure(settings, "rt-unknown-0123456789")
    assert type(error) is ConfigurationError
    assert error.hint == settings.profile.no_revocation_hint
    assert "https://" in error.hint
    assert not authorization_server.requests


@EVERYWHERE
@pytest.mark.parametrize(
    "fault",
    [{"kind": "status", "status": 503}, {"kind": "status", "status": 429}, {"kind": "reset"}],
    ids=lambda fault: "-".join(map(str, fault.values())),
)
def test_rfc7009_2_2_1_trouble_leaves_the_token_alive(
    authorization_server: AuthorizationServer, make: Make, fault: dict[str, Any]
) -> None:
    """A server in trouble is asked once, and the token works as before."""
    settings = make(authorization_server)
    token = mint(authorization_server, settings)
    authorization_server.fail_next("revocation", **fault)
    error = failure(settings, token)
    assert type(error) is TransientOAuthError
    assert len(authorization_server.recorded("revocation")) == 1
    assert spend(settings, token).access_token


@pytest.mark.parametrize("make", [custom, yahoo], ids=lambda make: make.__name__)
def test_wrong_secret(authorization_server: AuthorizationServer, make: Make) -> None:
    """Who does not prove to be the client revokes nothing, and hears what to check."""
    settings = make(authorization_server)
    token = mint(authorization_server, settings)
    error = failure(replace(settings, client_secret="wrong"), token)
    assert type(error) is ClientRejectedError
    assert "secret" in error.hint
    assert "imap-oauth login" not in str(error)
    assert spend(settings, token).access_token


@pytest.mark.parametrize("status", [200, 400])
def test_zoho_says_failure(authorization_server: AuthorizationServer, status: int) -> None:
    """Zoho's word counts, whatever the status: its errors often have that of success."""
    settings = zoho(authorization_server)
    body = '{"status":"failure"}'
    authorization_server.fail_next("revocation", "body", status=status, body=body)
    error = failure(settings, mint(authorization_server, settings))
    assert type(error) is OAuthError


def test_zoho_does_not_tell_dead_tokens(authorization_server: AuthorizationServer) -> None:
    """Zoho refuses a token that is dead already without a reason, so that is not taken for one."""
    settings = zoho(authorization_server)
    assert type(failure(settings, "rt-unknown-0123456789")) is OAuthError


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "error_200", "error": "invalid_client"}, ClientRejectedError),
        ({"kind": "json_error", "error": "unsupported_token_type"}, OAuthError),
        ({"kind": "json_error", "error": "invalid_request"}, OAuthError),
        ({"kind": "json_error", "error": "temporarily_unavailable"}, TransientOAuthError),
        ({"kind": "html", "status": 403}, TransientOAuthError),
        ({"kind": "html", "status": 404}, OAuthError),
        ({"kind": "status", "status": 405}, OAuthError),
        ({"kind": "redirect"}, OAuthError),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_refusals(
    authorization_server: AuthorizationServer, fault: dict[str, Any], kind: type[OAuthError]
) -> None:
    """Refusals, pages and trouble are told apart, and nobody is told that the token is gone."""
    settings = custom(authorization_server)
    if fault["kind"] == "json_error":
        fault = {"status": 400, **fault}
    authorization_server.fail_next("revocation", **fault)
    error = failure(settings, mint(authorization_server, settings))
    assert type(error) is kind
    assert error.retry_helps is (kind is TransientOAuthError)


def test_rfc7009_2_2_body_of_a_success_means_nothing(
    authorization_server: AuthorizationServer,
) -> None:
    """Success is told by the status; an empty answer is one, and so is any text."""
    settings = custom(authorization_server)
    for body in ("", "OK", "[]", '{"anything":1}'):
        authorization_server.fail_next("revocation", "body", status=200, body=body)
        take_back(settings, "rt-unknown-0123456789")


@pytest.mark.parametrize("method", ["basic", "private_key_jwt"])
def test_client_without_its_proof(authorization_server: AuthorizationServer, method: str) -> None:
    """A client that cannot prove itself asks nobody."""
    settings = custom(authorization_server, client_auth_method=method, client_secret=None)
    assert type(failure(settings, "rt-unknown-0123456789")) is ConfigurationError
    assert not authorization_server.requests


def test_token_goes_by_https_alone(authorization_server: AuthorizationServer) -> None:
    """An endpoint that is not https does not get the token."""
    settings = custom(authorization_server)
    endpoints = replace(settings.endpoints, revoke_url="http://login.example.test/revoke")
    error = failure(replace(settings, endpoints=endpoints), "rt-unknown-0123456789")
    assert type(error) is ConfigurationError
    assert "not https" in error.message
