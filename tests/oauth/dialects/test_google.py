# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Google's ways."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_imap_oauth.exceptions import (
    AuthorizationFlowError,
    ClientRejectedError,
    ReauthorizationRequiredError,
)
from tests.oauth.clients import LOGIN
from tests.oauth.dialects.clients import (
    asked,
    client_of,
    sign_in,
    sign_in_refused,
    spend,
    spend_refused,
)
from tests.servers.authorization_server import GOOGLE_IMAP_SCOPE
from tests.tokens.support import Rig

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer


# --- Refresh tokens -------------------------------------------------------------------------------


def test_refresh_token_comes_for_offline_access_and_consent(
    authorization_server: AuthorizationServer,
) -> None:
    """Every sign-in asks for both, so that the second one brings a refresh token, too."""
    settings = client_of(authorization_server, "google")
    query = asked(settings)
    assert (query["access_type"], query["prompt"]) == ("offline", "consent")
    for _ in range(2):
        assert sign_in(authorization_server, settings).refresh_token


@pytest.mark.parametrize(
    "parameters", [{"access_type": "offline"}, {"access_type": "online", "prompt": "consent"}]
)
def test_without_either_there_is_none(
    authorization_server: AuthorizationServer, parameters: dict[str, str]
) -> None:
    """A later sign-in without one of them brings none, and the error says where to begin anew."""
    settings = client_of(authorization_server, "google")
    sign_in(authorization_server, settings)
    profile = replace(settings.profile, authorize_params=parameters)
    error = sign_in_refused(authorization_server, replace(settings, profile=profile))
    assert type(error) is AuthorizationFlowError
    assert "no refresh token" in error.message
    assert "https://myaccount.google.com/connections" in error.hint


def test_refresh_token_stays(authorization_server: AuthorizationServer, tmp_path: Path) -> None:
    """No refresh brings a new refresh token, and the first one is spent again and again."""
    rig = Rig(tmp_path)
    rig.settings = client_of(authorization_server, "google")
    seed = sign_in(authorization_server, rig.settings).refresh_token or ""
    assert spend(rig.settings, seed).refresh_token is None
    authorization_server.reset_counters()
    for _ in range(3):
        rig.manager(seed=seed, refresh=None).get_access_token()
        rig.expire()
    requests = authorization_server.recorded("token")
    assert [one.parameters["refresh_token"] for one in requests] == [seed] * 3


# --- Consent --------------------------------------------------------------------------------------


def test_consent_to_a_part(authorization_server: AuthorizationServer) -> None:
    """Whoever leaves the tick at mail out is told which scope is missing, and what to do."""
    settings = client_of(authorization_server, "google")
    error = sign_in_refused(authorization_server, settings, scopes=["openid", "email"])
    assert type(error) is ClientRejectedError
    assert f"Not granted: scope {GOOGLE_IMAP_SCOPE}" in error.message
    assert "consent to all that is asked: airflow imap-oauth login mail" in error.hint


def test_consent_to_mail_alone_is_enough(authorization_server: AuthorizationServer) -> None:
    """Whoever does not tell the address can be signed in all the same."""
    settings = client_of(authorization_server, "google")
    response = sign_in(authorization_server, settings, scopes=[GOOGLE_IMAP_SCOPE])
    assert response.scopes == (GOOGLE_IMAP_SCOPE,)
    assert response.account is None


def test_scope_that_was_taken_away_later(authorization_server: AuthorizationServer) -> None:
    """A refresh that no longer grants mail names the scope that is missing."""
    body = '{"access_token":"a","token_type":"Bearer","expires_in":3599,"scope":"openid"}'
    authorization_server.fail_next("token", "body", status=200, body=body)
    error = spend_refused(client_of(authorization_server, "google"), "r")
    assert type(error) is ClientRejectedError
    assert GOOGLE_IMAP_SCOPE in error.message


def test_long_name_of_the_address(authorization_server: AuthorizationServer) -> None:
    """Google grants 'email' under a long name."""
    long = "https://www.googleapis.com/auth/userinfo.email"
    settings = client_of(authorization_server, "google", scopes=(GOOGLE_IMAP_SCOPE, "email"))
    scope = f"openid {long} {GOOGLE_IMAP_SCOPE}"
    body = f'{{"access_token":"a","token_type":"Bearer","scope":"{scope}"}}'
    authorization_server.fail_next("token", "body", status=200, body=body)
    assert spend(settings, "r").access_token == "a"


# --- Errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("subtype", ["invalid_rapt", "rapt_required"])
def test_end_of_a_session_of_workspace(
    authorization_server: AuthorizationServer, subtype: str
) -> None:
    """Session control is told apart from a dead refresh token, and who can exempt from it."""
    members = {"error_subtype": subtype, "error_description": "reauth related error (canary)"}
    authorization_server.fail_next(
        "token", "json_error", status=400, error="invalid_grant", members=members
    )
    error = spend_refused(client_of(authorization_server, "google"), "r")
    assert type(error) is ReauthorizationRequiredError
    assert "Session control of Google Workspace" in error.hint
    assert "airflow imap-oauth login mail" in error.hint
    assert "canary" not in str(error)
    assert authorization_server.token_requests == 1


def test_dead_refresh_token(authorization_server: AuthorizationServer) -> None:
    """The hint says by what Google's refresh tokens end."""
    login = "revoked-at-google@example.test"
    settings = client_of(authorization_server, "google")
    token = sign_in(authorization_server, settings, login).refresh_token or ""
    authorization_server.revoke_all(login)
    error = spend_refused(settings, token)
    assert type(error) is ReauthorizationRequiredError
    assert "7 days while the consent screen is in testing" in error.hint


def test_account_is_told_by_its_subject(authorization_server: AuthorizationServer) -> None:
    """An address may be given to somebody else: the subject is what counts."""
    settings = client_of(authorization_server, "google")
    first = sign_in(authorization_server, settings).account
    authorization_server.next_id_token(email="new@example.test")
    second = sign_in(authorization_server, settings).account
    assert first is not None
    assert second is not None
    assert (first.shown, second.shown) == (LOGIN, "new@example.test")
    assert first.claims == second.claims
