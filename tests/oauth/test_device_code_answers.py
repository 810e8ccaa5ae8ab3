# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What a device authorization endpoint may answer (RFC 8628 section 3.2), and what not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_imap_oauth.exceptions import (
    AuthorizationFlowError,
    ClientRejectedError,
    ConfigurationError,
    OAuthError,
    TransientOAuthError,
)
from tests.oauth.clients import custom
from tests.oauth.devices import Device

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

DEVICE_CODE = "canary-device-code-0123456789"
LEFT_OUT = object()


@pytest.fixture
def at(authorization_server: AuthorizationServer) -> Device:
    """Give a device at the server that does as the RFC says."""
    return Device(authorization_server, custom(authorization_server))


def answer(at: Device, *, status: int = 200, **members: object) -> None:
    """Let the endpoint answer with other members."""
    usual: dict[str, object] = {
        "device_code": DEVICE_CODE,
        "user_code": "BCDF-GHJK",
        "verification_uri": "https://login.example.test/activate",
        "expires_in": 900,
        "interval": 5,
    }
    told = {name: value for name, value in {**usual, **members}.items() if value is not LEFT_OUT}
    at.server.fail_next("device", "body", status=status, body=json.dumps(told))


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [
        *((LEFT_OUT, 5.0), (None, 5.0), (0, 5.0), (-1, 5.0), ("soon", 5.0), (True, 5.0)),
        *(([], 5.0), (2, 2.0), ("7", 7.0), (1.5, 1.5), (10**9, 300.0), (10**400, 5.0)),
    ],
)
def test_rfc8628_3_2_interval(at: Device, interval: object, seconds: float) -> None:
    """The interval is five seconds where none that makes sense is told, and bounded."""
    answer(at, interval=interval)
    assert at.start().interval_seconds == seconds


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        *((LEFT_OUT, 600.0), (None, 600.0), (0, 600.0), (-5, 600.0), ("never", 600.0)),
        *((True, 600.0), (60, 60.0), ("1800", 1800.0), (10**9, 3600.0)),
    ],
)
def test_lifetime(at: Device, expires_in: object, seconds: float) -> None:
    """A code ends, also where the server does not say when."""
    answer(at, expires_in=expires_in)
    device = at.start()
    assert (device.lifetime_seconds, device.ends_at_seconds) == (seconds, 1000.0 + seconds)


def test_older_name_of_the_address(at: Device) -> None:
    """verification_url, as of a draft, is understood."""
    uri = "https://login.example.test/device"
    answer(at, verification_uri=LEFT_OUT, verification_url=uri)
    assert at.start().verification_uri == uri


@pytest.mark.parametrize("member", ["device_code", "user_code", "verification_uri"])
@pytest.mark.parametrize(
    "value", [LEFT_OUT, None, "", 7, {}, "two\nlines", "\x1b[31mred", "x" * 5000]
)
def test_answer_without_what_is_needed(at: Device, member: str, value: object) -> None:
    """Without codes and address that can be shown there is no sign-in."""
    answer(at, **{member: value})
    error = at.start_refused()
    assert type(error) is OAuthError
    assert "device_url" in error.hint
    assert DEVICE_CODE not in f"{error} {error!r} {vars(error)}"


@pytest.mark.parametrize("member", ["verification_uri", "verification_uri_complete"])
@pytest.mark.parametrize(
    "uri",
    [
        "http://login.example.test/activate",
        "http://localhost/activate",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://login.example.test@evil.example.test/",
        "login.example.test",
    ],
)
def test_address_that_nobody_should_open(at: Device, member: str, uri: str) -> None:
    """Nobody is told to sign in at an address that is not https."""
    answer(at, **{member: uri})
    error = at.start_refused()
    assert type(error) is ConfigurationError
    assert "sign-in with the code" in error.message


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "html"}, TransientOAuthError),
        ({"kind": "html", "status": 200}, TransientOAuthError),
        ({"kind": "html", "status": 403}, TransientOAuthError),
        ({"kind": "html", "status": 404}, OAuthError),
        ({"kind": "status", "status": 405}, OAuthError),
        ({"kind": "status", "status": 503}, TransientOAuthError),
        ({"kind": "reset"}, TransientOAuthError),
        ({"kind": "truncated_json"}, TransientOAuthError),
        ({"kind": "redirect"}, OAuthError),
        ({"kind": "body", "status": 200, "body": "[]"}, TransientOAuthError),
        ({"kind": "body", "status": 200, "body": "{}"}, OAuthError),
        ({"kind": "error_200", "error": "invalid_client"}, ClientRejectedError),
        ({"kind": "json_error", "error": "invalid_client", "status": 401}, ClientRejectedError),
        ({"kind": "json_error", "error": "unauthorized_client"}, ClientRejectedError),
        ({"kind": "json_error", "error": "invalid_scope"}, ClientRejectedError),
        ({"kind": "json_error", "error": "never_heard_of"}, AuthorizationFlowError),
        ({"kind": "json_error", "error": "temporarily_unavailable"}, TransientOAuthError),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_no_code(at: Device, fault: dict[str, Any], kind: type[OAuthError]) -> None:
    """Pages, refusals and trouble in place of a code are told apart, after one request."""
    if fault["kind"] == "json_error":
        fault = {"status": 400, **fault}
    at.server.fail_next("device", **fault)
    error = at.start_refused()
    assert type(error) is kind
    assert error.retry_helps is (kind is TransientOAuthError)
    assert len(at.server.recorded("device")) == 1


def test_wrong_secret(at: Device) -> None:
    """A wrong secret is told before anybody is sent anywhere."""
    at = Device(at.server, custom(at.server, client_secret="wrong"))
    assert type(at.start_refused()) is ClientRejectedError


def test_address_of_the_endpoint_is_checked(at: Device) -> None:
    """The request goes by https, or nowhere."""
    endpoints = replace(at.settings.endpoints, device_url="http://login.example.test/device")
    error = Device(at.server, replace(at.settings, endpoints=endpoints)).start_refused()
    assert type(error) is ConfigurationError
    assert "not https" in error.message
