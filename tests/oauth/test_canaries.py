# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""No secret leaves through logs, errors or representations, whatever happens."""

from __future__ import annotations

import base64
import logging
import traceback
from datetime import timedelta
from urllib.parse import quote_plus

import pytest

from airflow_imap_oauth.exceptions import OAuthError
from airflow_imap_oauth.oauth.authorization_code import finish, start
from airflow_imap_oauth.oauth.engines import refresh
from airflow_imap_oauth.oauth.http import Transport
from tests.oauth.clients import LOGIN, Client

REDIRECT = "http://127.0.0.1:8123/callback"


class Watch:
    """Everything that a flow let out, and the secrets to look for in it."""

    def __init__(self, client: Client, caplog: pytest.LogCaptureFixture) -> None:
        self._client = client
        self._caplog = caplog
        self._secrets = {str(client.settings.client_secret)}
        self._shown: list[str] = []

    def secret(self, *values: str | None) -> None:
        """Add secrets that the server does not know of."""
        self._secrets.update(value for value in values if value)

    def consent(self, url: str) -> str:
        """Let somebody consent; what the browser itself logs is not of interest."""
        self._shown += self._logged()
        callback = self._client.server.consent(url, LOGIN)
        self._caplog.clear()
        self.secret(callback)
        return callback

    def show(self, *things: object) -> None:
        """Add what a log or a debugger would show of things."""
        self._shown.extend(f"{thing} {thing!r}" for thing in things)

    def show_error(self, error: BaseException) -> None:
        """Add all that can be seen of an error, and of what stands behind it."""
        link: BaseException | None = error
        while link is not None:
            self.show(link, vars(link), link.args)
            link = link.__cause__ or link.__context__
        self._shown.extend(traceback.format_exception(error))

    def found(self) -> list[str]:
        """Return the secrets that were let out, in any of their encodings."""
        text = "\n".join([*self._shown, *self._logged()])
        secrets = self._secrets | self._client.server.secrets_issued()
        return [secret for secret in secrets for form in _forms(secret) if form in text]

    def _logged(self) -> list[str]:
        # The authorization server is a part of this process, and of no user's.
        return [
            f"{record.getMessage()} {record.args} {record.exc_text}"
            for record in self._caplog.records
            if not record.name.startswith("authlib")
        ]


def _forms(secret: str) -> set[str]:
    return {secret, quote_plus(secret), base64.b64encode(secret.encode()).decode()}


@pytest.fixture
def watch(client: Client, caplog: pytest.LogCaptureFixture) -> Watch:
    """Give a watch over all loggers at their most talkative."""
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "msal", "google", "google.auth", "airflow_imap_oauth"):
        caplog.set_level(logging.DEBUG, logger=name)
    return Watch(client, caplog)


FAULTS = [
    {"kind": "json_error", "status": 400, "error": "invalid_grant"},
    {"kind": "json_error", "status": 401, "error": "invalid_client"},
    {"kind": "error_200", "error": "invalid_grant"},
    {"kind": "html", "status": 502},
    {"kind": "html", "status": 200},
    {"kind": "truncated_json"},
    {"kind": "reset"},
    {"kind": "redirect"},
    {"kind": "slow", "seconds": 1.0},
]


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
