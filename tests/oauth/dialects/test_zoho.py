# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Zoho's ways."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_imap_oauth.exceptions import (
    AuthorizationFlowError,
    ClientRejectedError,
    ConfigurationError,
    ReauthorizationRequiredError,
    TransientOAuthError,
)
from airflow_imap_oauth.oauth.authorization_code import finish
from airflow_imap_oauth.oauth.http import Transport
from tests.oauth.clients import LOGIN
from tests.oauth.dialects.clients import (
    asked,
    begun,
    client_of,
    sign_in,
    sign_in_refused,
    spend,
    spend_refused,
)
from tests.tokens.support import Rig

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer


def test_refresh_token_comes_for_offline_access_and_consent(
    authorization_server: AuthorizationServer,
) -> None:
    """Every sign-in asks for both, so that the second one brings a refresh token, too."""
    settings = client_of(authorization_server, "zoho")
    query = asked(settings)
    assert (query["access_type"], query["prompt"]) == ("offline", "consent")
    for _ in range(2):
        assert sign_in(authorization_server, settings).refresh_token


def test_without_access_type_there_is_none(authorization_server: AuthorizationServer) -> None:
    """A sign-in without it brings no refresh token, and the error says what to check."""
    settings = client_of(authorization_server, "zoho")
    profile = replace(settings.profile, authorize_params={"prompt": "consent"})
    error = sign_in_refused(authorization_server, replace(settings, profile=profile))
    assert type(error) is AuthorizationFlowError
    assert "region" in error.hint


def test_no_refresh_token_at_a_refresh(
    authorization_server: AuthorizationServer, tmp_path: Path
) -> None:
    """A refresh brings none, and the first one is spent again."""
    rig = Rig(tmp_path)
    rig.settings = client_of(authorization_server, "zoho")
    seed = sign_in(authorization_server, rig.settings).refresh_token or ""
    assert spend(rig.settings, seed).refresh_token is None
    authorization_server.reset_counters()
    for _ in range(2):
        rig.manager(seed=seed, refresh=None).get_access_token()
        rig.expire()
    requests = authorization_server.recorded("token")
    assert [one.parameters["refresh_token"] for one in requests] == [seed] * 2


# --- Errors ---------------------------------------------------------------------------------------


def test_error_with_the_status_of_success(authorization_server: AuthorizationServer) -> None:
    """A dead refresh token is told with status 200, and understood."""
    error = spend_refused(client_of(authorization_server, "zoho"), "unknown")
    assert type(error) is ReauthorizationRequiredError
    assert (error.error, error.status_code) == ("invalid_code", 200)
    assert "20 refresh tokens" in error.hint


def test_wrong_secret_with_the_status_of_success(
    authorization_server: AuthorizationServer,
) -> None:
    """A wrong secret is a matter of the client."""
    settings = client_of(authorization_server, "zoho", client_secret="wrong")
    error = spend_refused(settings, "unknown")
    assert type(error) is ClientRejectedError
    assert error.status_code == 200


def test_secret_is_demanded_before_anything_is_sent(
    authorization_server: AuthorizationServer,
) -> None:
    """Zoho knows no public clients: a missing secret is told without a request."""
    with pytest.raises(ConfigurationError, match="client secret"):
        spend(client_of(authorization_server, "zoho", client_secret=None), "r")
    assert authorization_server.token_requests == 0


def test_too_many_refreshes(authorization_server: AuthorizationServer) -> None:
    """The eleventh refresh in ten minutes is told to wait for ten minutes, not to sign in."""
    settings = client_of(authorization_server, "zoho")
    token = authorization_server.mint_refresh_token(LOGIN)
    for _ in range(10):
        spend(settings, token)
    error = spend_refused(settings, token)
    assert type(error) is TransientOAuthError
    assert error.retry_helps
    assert error.retry_after_seconds == 600
    assert "10 access tokens in 10 minutes" in error.hint
    authorization_server.advance_clock(600)
    assert spend(settings, token).access_token


def test_too_many_refreshes_leave_the_record_alone(
    authorization_server: AuthorizationServer, tmp_path: Path
) -> None:
    """Whoever asked too often need not authorize again, and the record tells until when to wait."""
    rig = Rig(tmp_path)
    rig.settings = client_of(authorization_server, "zoho")
    authorization_server.fail_next("token", "json_error", status=400, error="Access Denied")
    with pytest.raises(TransientOAuthError):
        rig.manager(seed="r", refresh=None).get_access_token()
    record = rig.store.record
    assert record.status == "active"
    assert record.last_error.retry_at is not None
    assert (record.last_error.retry_at - record.last_error.at).total_seconds() == 600


# --- Data centres ---------------------------------------------------------------------------------


def test_callback_with_the_data_centre(authorization_server: AuthorizationServer) -> None:
    """What Zoho adds to its callback does not disturb a sign-in."""
    settings = client_of(authorization_server, "zoho")
    pending = begun(settings)
    callback = authorization_server.consent(pending.url, LOGIN)
    assert {"location", "accounts-server"} <= parse_qs(urlsplit(callback).query).keys()
    with Transport(settings.transport) as transport:
        assert finish(settings, pending, callback, transport).refresh_token


def test_code_of_another_data_centre_goes_to_the_one_of_the_connection(
    authorization_server: AuthorizationServer,
) -> None:
    """An address that a callback names gets neither code nor secret, whatever it says."""
    settings = client_of(authorization_server, "zoho")
    authorization_server.switch(zoho_location="eu")
    assert sign_in(authorization_server, settings).refresh_token
    assert [one.mail_provider for one in authorization_server.recorded("token")] == ["zoho"]


def test_account_in_another_data_centre(authorization_server: AuthorizationServer) -> None:
    """Where the region of the connection is not the account's, its code is refused."""
    settings = client_of(authorization_server, "zoho")
    authorization_server.switch(zoho_location="eu")
    authorization_server.fail_next("token", "error_200", error="invalid_code")
    error = sign_in_refused(authorization_server, settings)
    assert type(error) is AuthorizationFlowError
    assert error.error == "invalid_code"
    assert "region" in error.hint
