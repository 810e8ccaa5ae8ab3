# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Yandex's ways."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_imap_oauth.exceptions import (
    AuthorizationFlowError,
    ClientRejectedError,
    ReauthorizationRequiredError,
)
from airflow_imap_oauth.oauth import device_authorization
from airflow_imap_oauth.oauth.http import Transport
from tests.oauth.dialects.clients import (
    client_of,
    sign_in,
    sign_in_by_device,
    sign_in_refused,
    spend,
    spend_refused,
)
from tests.tokens.support import Rig

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer


def test_new_refresh_token_ends_the_old_one(authorization_server: AuthorizationServer) -> None:
    """Each refresh brings a new refresh token, and the old one is dead."""
    settings = client_of(authorization_server, "yandex")
    first = sign_in(authorization_server, settings).refresh_token or ""
    second = spend(settings, first).refresh_token
    assert second
    error = spend_refused(settings, first)
    assert type(error) is ReauthorizationRequiredError
    assert "at least every three months" in error.hint
    assert spend(settings, second).access_token


def test_same_access_token_beside_a_new_refresh_token(
    authorization_server: AuthorizationServer, tmp_path: Path
) -> None:
    """Where the access token comes back unchanged, the new refresh token is saved all the same."""
    rig = Rig(tmp_path)
    rig.settings = client_of(authorization_server, "yandex")
    signed_in = sign_in(authorization_server, rig.settings)
    seed, tokens = signed_in.refresh_token, {signed_in.access_token}
    authorization_server.reset_counters()
    for _ in range(3):
        tokens.add(rig.manager(seed=seed, refresh=None).get_access_token())
        rig.expire()
    assert len(tokens) == 1
    requests = authorization_server.recorded("token")
    assert len({one.parameters["refresh_token"] for one in requests}) == 3
    authorization_server.switch(keep_access_tokens=False)
    tokens.add(rig.manager(seed=seed, refresh=None).get_access_token())
    assert len(tokens) == 2


def test_answer_without_scope_means_what_was_asked(
    authorization_server: AuthorizationServer,
) -> None:
    """Scopes are named only where they are fewer than asked for."""
    settings = client_of(authorization_server, "yandex")
    assert sign_in(authorization_server, settings).scopes is None


def test_fewer_scopes_than_asked_for(authorization_server: AuthorizationServer) -> None:
    """Where reading mail is not among those that were granted, it is named."""
    asked_for = ("mail:imap_ro", "mail:imap_full")
    settings = client_of(authorization_server, "yandex", scopes=asked_for)
    authorization_server.switch(granted_scopes=["mail:imap_full"])
    error = sign_in_refused(authorization_server, settings)
    assert type(error) is ClientRejectedError
    assert "scope mail:imap_ro" in error.message


def test_device_grant_under_its_own_names(authorization_server: AuthorizationServer) -> None:
    """A sign-in by device code calls grant and code as Yandex does."""
    settings = client_of(authorization_server, "yandex")
    response = sign_in_by_device(authorization_server, settings)
    assert spend(settings, response.refresh_token or "").access_token
    request = authorization_server.recorded("token")[0]
    assert request.grant_type == "device_code"
    assert request.parameters["code"]
    assert "device_code" not in request.parameters


def test_device_code_that_nobody_entered(authorization_server: AuthorizationServer) -> None:
    """Yandex says 'invalid_grant' of an expired code, which asks for a new sign-in."""
    settings = client_of(authorization_server, "yandex")
    with Transport(settings.transport) as transport:
        device = device_authorization.start(settings, transport)
        with pytest.raises(AuthorizationFlowError) as caught:
            device_authorization.wait(
                settings,
                device,
                transport,
                sleep=lambda _: authorization_server.advance_clock(900),
                monotonic=lambda: 0.0,
            )
    assert caught.value.error == "invalid_grant"
    assert "Start the sign-in again" in caught.value.hint
