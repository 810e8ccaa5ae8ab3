# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Access of the application itself (RFC 6749 section 4.4), by secret."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airflow_imap_oauth.exceptions import (
    ClientRejectedError,
    ConfigurationError,
    ImapOAuthError,
    OAuthError,
    PolicyError,
    TransientOAuthError,
)
from airflow_imap_oauth.oauth.engines import obtain
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.settings import OAuthSettings
from tests.oauth.clients import CONN_ID, TENANT, Client, application
from tests.servers.authorization_server import entra_error

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer


@pytest.fixture(params=["custom", "microsoft"])
def app(request: pytest.FixtureRequest, authorization_server: AuthorizationServer) -> Client:
    """Give a client that has a secret, for our own engine and for MSAL in turn."""
    settings = application(authorization_server, request.param)
    return Client(server=authorization_server, settings=settings)


def own_token(settings: OAuthSettings) -> TokenResponse:
    with Transport(settings.transport) as transport:
        return obtain(settings, transport)


def failure(settings: OAuthSettings) -> ImapOAuthError:
    """Return why there is no token; whatever it is, nobody can sign in to mend it."""
    with pytest.raises(ImapOAuthError) as caught:
        own_token(settings)
    error = caught.value
    assert "imap-oauth login" not in str(error)
    assert (error.conn_id, error.step) == (CONN_ID, "token request")
    assert error.__cause__ is None
    assert error.__context__ is None
    return error


def test_rfc6749_4_4_one_request_brings_an_access_token(app: Client) -> None:
    """The application's own secret buys an access token at the price of one token request."""
    response = own_token(app.settings)
    assert app.server.token_requests_by_grant == {"client_credentials": 1}
    assert app.server.introspect(response.access_token)["client_id"] == app.settings.client_id
    assert response.refresh_token is None
    assert response.account is None
    assert response.expires_in_seconds == 3600


def test_the_scopes_of_the_connection_are_asked_for(app: Client) -> None:
    """The token request names the scopes, which this grant has from nowhere else."""
    own_token(app.settings)
    [request] = app.server.recorded("token")
    assert request.parameters["scope"] == " ".join(app.settings.scopes)


def test_no_memory_between_requests(app: Client) -> None:
    """Each call asks the server, although MSAL would answer the second from its cache."""
    first, second = own_token(app.settings), own_token(app.settings)
    assert first.access_token != second.access_token
    assert app.server.token_requests == 2


def test_secret_in_the_header(authorization_server: AuthorizationServer) -> None:
    """With Basic the form holds neither id nor secret."""
    settings = application(authorization_server, client_auth_method="basic")
    assert own_token(settings).access_token
    [request] = authorization_server.recorded("token")
    assert request.parameters.keys() == {"grant_type", "scope"}
    assert request.headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize("scope", ["", ',"scope":""'])
def test_rfc6749_4_4_3_refresh_token_is_ignored(app: Client, scope: str) -> None:
    """A refresh token that comes although it must not (section 4.4.3) is not handed on."""
    body = f'{{"access_token":"a","token_type":"Bearer","refresh_token":"next"{scope}}}'
    app.server.fail_next("token", "body", status=200, body=body)
    response = own_token(app.settings)
    assert (response.access_token, response.refresh_token) == ("a", None)


def test_id_token_in_the_answer_is_ignored(app: Client) -> None:
    """Nobody signed in, so an id_token says nothing of whose mailbox it is."""
    body = '{"access_token":"a","token_type":"Bearer","id_token":"senseless"}'
    app.server.fail_next("token", "body", status=200, body=body)
    response = own_token(app.settings)
    assert (response.access_token, response.account) == ("a", None)


def test_endpoint_from_discovery(authorization_server: AuthorizationServer) -> None:
    """Where only the issuer is known, its metadata tell where to ask."""
    settings = application(authorization_server)
    endpoints = replace(settings.endpoints, token_url=None)
    assert own_token(replace(settings, endpoints=endpoints)).access_token


# --- Refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401])
def test_wrong_secret_is_named(app: Client, status: int) -> None:
    """A wrong secret is told once, as a matter of the secret."""
    app.server.switch(invalid_client_status=status)
    error = failure(replace(app.settings, client_secret="wrong"))
    assert type(error) is ClientRejectedError
    assert "secret" in error.hint
    assert app.server.token_requests == 1


def test_unknown_client(app: Client) -> None:
    """A client that the server does not know is a matter of the client."""
    assert type(failure(replace(app.settings, client_id="unknown"))) is ClientRejectedError


@pytest.mark.parametrize("mail_provider", ["custom", "microsoft"])
def test_client_without_any_proof(
    authorization_server: AuthorizationServer, mail_provider: str
) -> None:
    """A client that has nothing to prove itself with is told so here, and nothing is sent."""
    error = failure(application(authorization_server, mail_provider, client_secret=None))
    assert type(error) is ConfigurationError
    assert "secret" in str(error)
    assert authorization_server.token_requests == 0


def test_grant_that_is_not_allowed(app: Client) -> None:
    """A registration without this grant says so."""
    app.server.add_client(
        "person", client_secret="secret-of-the-person", grant_types=["authorization_code"]
    )
    error = failure(replace(app.settings, client_id="person", client_secret="s"))
    assert type(error) is ClientRejectedError


@pytest.mark.parametrize("code", [65001, 65004, 50034, 50020, 50173, 50076, 700082, 70043, 70000])
def test_codes_of_entra_that_would_mean_a_sign_in(
    authorization_server: AuthorizationServer, code: int
) -> None:
    """What would send a person to sign in again sends the administrator to the registration."""
    members = entra_error("invalid_grant", (code,))
    authorization_server.fail_next(
        "token", "json_error", status=400, error="invalid_grant", members=members
    )
    error = failure(application(authorization_server, "microsoft"))
    assert isinstance(error, ClientRejectedError)
    assert "administrator" in error.hint
    assert error.correlation_id == members["correlation_id"]
    assert authorization_server.token_requests == 1


@pytest.mark.parametrize("word", ["invalid_grant", "access_denied", "interaction_required"])
def test_words_that_would_mean_a_sign_in(app: Client, word: str) -> None:
    """The same by error word: some servers say access_denied where no consent was given."""
    app.server.fail_next("token", "json_error", status=403, error=word)
    error = failure(app.settings)
    assert type(error) is ClientRejectedError
    assert "administrator" in error.hint


@pytest.mark.filterwarnings("ignore:Using /common:DeprecationWarning")
def test_shared_tenant_is_named(authorization_server: AuthorizationServer) -> None:
    """An application lives in a tenant of its own: 'common' is refused with what to set."""
    settings = application(authorization_server, "microsoft")
    issuer = (settings.endpoints.issuer or "").replace(TENANT, "common")
    error = failure(replace(settings, endpoints=replace(settings.endpoints, issuer=issuer)))
    assert type(error) is ClientRejectedError
    assert "tenant_id" in error.hint


def test_scope_that_was_not_granted(authorization_server: AuthorizationServer) -> None:
    """A needed scope that is missing is named, and the administrator has to allow it."""
    body = '{"access_token":"a","token_type":"Bearer","scope":"less"}'
    authorization_server.fail_next("token", "body", status=200, body=body)
    settings = application(authorization_server)
    error = failure(settings)
    assert type(error) is ClientRejectedError
    assert settings.scopes[0] in error.message
    assert "registration" in error.hint


def test_policy_stays_a_policy(authorization_server: AuthorizationServer) -> None:
    """Conditional access for workloads is told as what it is."""
    members = entra_error("access_denied", (53003,))
    authorization_server.fail_next("token", "json_error", status=400, members=members)
    assert type(failure(application(authorization_server, "microsoft"))) is PolicyError


# --- Trouble --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_trouble_is_transient_and_not_retried(app: Client, status: int) -> None:
    """A server in trouble is asked once; when to ask again is up to the caller."""
    app.server.fail_next("token", "status", status=status, retry_after="7", times=2)
    error = failure(app.settings)
    assert type(error) is TransientOAuthError
    assert error.retry_after_seconds == 7.0
    assert app.server.token_requests == 1


@pytest.mark.parametrize("kind", ["reset", "html", "truncated_json"])
def test_broken_answers_are_transient_and_not_retried(app: Client, kind: str) -> None:
    """What cannot be the server's own word is transient."""
    app.server.fail_next("token", kind, times=2)
    assert failure(app.settings).retry_helps
    assert app.server.token_requests == 1


def test_after_trouble_the_next_request_is_served(app: Client) -> None:
    """No engine answers from a memory of errors."""
    app.server.fail_next("token", "json_error", status=400, error="invalid_grant")
    failure(app.settings)
    assert own_token(app.settings).access_token


def test_redirect_is_not_followed(app: Client) -> None:
    """The secret goes to no other address."""
    app.server.fail_next("token", "redirect", location=f"{app.server.base_url}/elsewhere")
    error = failure(app.settings)
    assert type(error) is OAuthError
    assert app.server.requests["/elsewhere"] == 0
