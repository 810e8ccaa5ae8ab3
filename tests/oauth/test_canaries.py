# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""No secret leaves through logs, errors or representations, whatever happens."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_imap_oauth.exceptions import OAuthError
from airflow_imap_oauth.oauth.authorization_code import finish, start
from airflow_imap_oauth.oauth.engines import refresh
from airflow_imap_oauth.oauth.http import Transport
from tests.oauth.clients import Client
from tests.oauth.watching import FAULTS, Watch

REDIRECT = "http://127.0.0.1:8123/callback"


@pytest.fixture
def watch(client: Client, caplog: pytest.LogCaptureFixture) -> Watch:
    """Give a watch over a client."""
    watch = Watch(client.server, caplog)
    watch.guard(client.settings)
    return watch


def test_refresh_lets_no_secret_out(client: Client, watch: Watch) -> None:
    """A refresh that succeeds shows neither token nor client secret."""
    with Transport(client.settings.transport) as transport:
        response = refresh(client.settings, client.mint(), transport)
        watch.show(response, client.settings, transport)
    assert client.server.token_requests == 1
    assert watch.found() == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: "-".join(map(str, fault.values())))
def test_failing_refresh_lets_no_secret_out(
    client: Client, watch: Watch, fault: dict[str, object]
) -> None:
    """A refresh that fails shows neither token nor client secret, however it fails."""
    client = client.with_transport(read_timeout_seconds=0.4)
    client.server.fail_next("token", **fault)
    with Transport(client.settings.transport) as transport, pytest.raises(OAuthError) as caught:
        refresh(client.settings, client.mint(), transport)
    watch.show_error(caught.value)
    assert watch.found() == []


@pytest.mark.parametrize("status", [200, 400, 403, 500])
def test_echo_of_the_request_is_not_repeated(client: Client, watch: Watch, status: int) -> None:
    """A server that sends the request back in its error does not get it into ours."""
    token = client.mint()
    body = (
        f'{{"error":"{token}","error_description":"{token}","suberror":"{token}",'
        f'"trace_id":"{token}","access_token":"","token_type":"{token}"}}'
    )
    client.server.fail_next("token", "body", status=status, body=body)
    with Transport(client.settings.transport) as transport, pytest.raises(OAuthError) as caught:
        refresh(client.settings, token, transport)
    watch.show_error(caught.value)
    assert watch.found() == []


def test_echo_that_is_no_json_is_not_repeated(client: Client, watch: Watch) -> None:
    """A page that quotes the request stays out of logs: MSAL alone would log it whole."""
    token = client.mint()
    client.server.fail_next("token", "body", status=200, body=f"<p>{token}</p>")
    with Transport(client.settings.transport) as transport, pytest.raises(OAuthError) as caught:
        refresh(client.settings, token, transport)
    watch.show_error(caught.value)
    assert watch.found() == []


def test_sign_in_lets_no_secret_out(client: Client, watch: Watch) -> None:
    """A sign-in shows neither code, nor verifier, nor state, nor tokens."""
    pending = start(client.settings, REDIRECT)
    watch.secret(pending.state, pending.code_verifier)
    callback = watch.consent(pending.url)
    with Transport(client.settings.transport) as transport:
        watch.show(pending, finish(client.settings, pending, callback, transport))
    assert watch.found() == []


def test_failing_sign_in_lets_no_secret_out(client: Client, watch: Watch) -> None:
    """Sign-ins that fail at each of their checks show no secret either."""
    pending = start(client.settings, REDIRECT)
    watch.secret(pending.state, pending.code_verifier)
    callback = watch.consent(pending.url)
    started = pending.started_at
    attempts = [
        (callback.replace(pending.state, "canary-state"), started),
        (callback.replace(REDIRECT, "http://127.0.0.1:1/other"), started),
        (f"{callback}&code=again", started),
        (callback, started + timedelta(hours=1)),
        (callback, started),
    ]
    with Transport(client.settings.transport) as transport:
        for text, now in attempts:
            with pytest.raises(OAuthError) as caught:
                finish(client.settings, pending, text, transport, now=lambda now=now: now)
            watch.show_error(caught.value)
    assert watch.found() == []
