# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Yahoo's ways."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_imap_oauth.exceptions import (
    AuthorizationFlowError,
    ClientRejectedError,
    OAuthError,
    ReauthorizationRequiredError,
)
from tests.oauth.dialects.clients import (
    asked,
    client_of,
    sign_in,
    sign_in_refused,
    spend,
    spend_refused,
)
from tests.tokens.support import Rig

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

SHAPES = ["object", "flat"]


def test_sign_in(authorization_server: AuthorizationServer) -> None:
    """A sign-in asks to read mail, and its answer, which names no scope, means what was asked."""
    settings = client_of(authorization_server, "yahoo")
    assert asked(settings)["scope"] == "mail-r"
    response = sign_in(authorization_server, settings)
    assert response.refresh_token
    assert (response.scopes, response.account) == (None, None)


def test_same_refresh_token_is_no_new_one(
    authorization_server: AuthorizationServer, tmp_path: Path
) -> None:
    """The refresh token that every answer repeats counts as unchanged."""
    rig = Rig(tmp_path)
    rig.settings = client_of(authorization_server, "yahoo")
    seed = sign_in(authorization_server, rig.settings).refresh_token or ""
    assert spend(rig.settings, seed).refresh_token is None
    authorization_server.reset_counters()
    for _ in range(2):
        rig.manager(seed=seed, refresh=None).get_access_token()
        rig.expire()
    requests = authorization_server.recorded("token")
    assert [one.parameters["refresh_token"] for one in requests] == [seed] * 2
    assert rig.store.record.previous_refresh_token is None


@pytest.mark.parametrize("shape", SHAPES)
def test_dead_refresh_token(authorization_server: AuthorizationServer, shape: str) -> None:
    """Yahoo's own word for it is understood, as an object and flat."""
    authorization_server.switch(yahoo_errors=shape)
    error = spend_refused(client_of(authorization_server, "yahoo"), "unknown")
    assert type(error) is ReauthorizationRequiredError
    assert error.error == "INVALID_REFRESH_TOKEN"
    assert "when the account's password changes" in error.hint


@pytest.mark.parametrize("shape", SHAPES)
def test_wrong_secret(authorization_server: AuthorizationServer, shape: str) -> None:
    """A wrong secret is a matter of the client, in both shapes."""
    authorization_server.switch(yahoo_errors=shape)
    settings = client_of(authorization_server, "yahoo", client_secret="wrong")
    assert type(spend_refused(settings, "r")) is ClientRejectedError


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("TOKEN_EXPIRED", ReauthorizationRequiredError),
        ("INVALID_GRANT", ReauthorizationRequiredError),
        ("ACCOUNT_NOT_AUTHORIZED", ReauthorizationRequiredError),
        ("INVALID_CLIENT", ClientRejectedError),
        ("INVALID_REDIRECT_URI", ClientRejectedError),
        ("INVALID_CALLBACK", ClientRejectedError),
        ("INVALID_REQUEST", OAuthError),
        ("NEVER_HEARD_OF", OAuthError),
    ],
)
@pytest.mark.parametrize("shape", SHAPES)
def test_words_of_its_guide(
    authorization_server: AuthorizationServer, shape: str, word: str, kind: type[OAuthError]
) -> None:
    """Yahoo's words are understood in both shapes; an unknown one is told, its text is not."""
    text = {"errorId": word, "message": "canary", "localizedMessage": "canary"}
    members = {"error": text if shape == "object" else word, "error_description": "canary"}
    authorization_server.fail_next("token", "json_error", status=401, members=members)
    error = spend_refused(client_of(authorization_server, "yahoo"), "r")
    assert type(error) is kind
    assert error.error == word
    assert word in error.message
    assert "canary" not in str(error)


@pytest.mark.parametrize("shape", SHAPES)
def test_code_that_is_not_accepted(authorization_server: AuthorizationServer, shape: str) -> None:
    """A code that Yahoo does not take asks for a new sign-in."""
    settings = client_of(authorization_server, "yahoo")
    word = "INVALID_AUTHORIZATION_CODE"
    error = {"errorId": word, "message": "canary", "localizedMessage": "canary"}
    members = {"error": error if shape == "object" else word}
    authorization_server.fail_next("token", "json_error", status=400, members=members)
    refused = sign_in_refused(authorization_server, settings)
    assert type(refused) is AuthorizationFlowError
    assert refused.error == word
    assert "canary" not in str(refused)
