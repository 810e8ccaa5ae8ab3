# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""No secret leaves through logs, errors or representations: keys, devices, revocation."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from airflow_imap_oauth.exceptions import ConfigurationError, ImapOAuthError, OAuthError
from airflow_imap_oauth.oauth.engines import obtain
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.revocation import revoke
from airflow_imap_oauth.oauth.settings import ClientKey, OAuthSettings
from tests.oauth.clients import (
    LOGIN,
    application,
    custom,
    google,
    service_account,
    signer,
    yahoo,
    zoho,
)
from tests.oauth.devices import MAKERS, Device
from tests.oauth.watching import FAULTS, Watch
from tests.servers.authorization import client_keys

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

NAMED = {"ids": lambda one: one.__name__.strip("_")}


@pytest.fixture
def watch(authorization_server: AuthorizationServer, caplog: pytest.LogCaptureFixture) -> Watch:
    """Give a watch; each test tells it whom to guard."""
    return Watch(authorization_server, caplog)


# --- Access of the application itself -------------------------------------------------------------


@cache
def key_of(kind: client_keys.KeyKind) -> client_keys.ClientKey:
    return client_keys.ClientKey.create(kind)


def by_basic(server: AuthorizationServer) -> OAuthSettings:
    return application(server, client_auth_method="basic")


def by_key(server: AuthorizationServer) -> OAuthSettings:
    return signer(server, key_of("P-256"), key_id="key-1")


def by_secret_at_microsoft(server: AuthorizationServer) -> OAuthSettings:
    return application(server, "microsoft")


def by_certificate(server: AuthorizationServer) -> OAuthSettings:
    return signer(server, key_of("RSA"), "microsoft")


OWN = pytest.mark.parametrize(
    "make",
    [application, by_basic, by_key, by_secret_at_microsoft, by_certificate, service_account],
    **NAMED,
)
EACH_FAULT = pytest.mark.parametrize(
    "fault", FAULTS, ids=lambda fault: "-".join(map(str, fault.values()))
)


def impatient(settings: OAuthSettings) -> OAuthSettings:
    return replace(settings, transport=replace(settings.transport, read_timeout_seconds=0.4))


def watched_obtain(watch: Watch, settings: OAuthSettings) -> None:
    """Ask for a token and show what comes of it, or what does not."""
    with Transport(settings.transport) as transport:
        watch.show(settings, settings.client_key, transport)
        try:
            watch.show(obtain(settings, transport))
        except ImapOAuthError as error:
            watch.show_error(error)


@OWN
def test_own_access_lets_no_secret_out(
    authorization_server: AuthorizationServer, watch: Watch, make: Callable[..., OAuthSettings]
) -> None:
    """Neither secret, nor key, nor assertion, nor token is shown where all goes well."""
    watched_obtain(watch, watch.guard(make(authorization_server)))
    assert authorization_server.token_requests == 1
    assert watch.found() == []


@OWN
@EACH_FAULT
def test_failing_own_access_lets_no_secret_out(
    authorization_server: AuthorizationServer,
    watch: Watch,
    make: Callable[..., OAuthSettings],
    fault: dict[str, Any],
) -> None:
    """Nor where it fails, however it fails."""
    settings = impatient(watch.guard(make(authorization_server)))
    authorization_server.fail_next("token", **fault)
    watched_obtain(watch, settings)
    assert watch.found() == []


@OWN
@pytest.mark.parametrize("offset", [-7200, 7200])
def test_refused_assertion_is_not_shown(
    authorization_server: AuthorizationServer,
    watch: Watch,
    make: Callable[..., OAuthSettings],
    offset: int,
) -> None:
    """Where clocks differ, the advice about it shows no assertion."""
    authorization_server.switch(clock_offset_seconds=offset)
    watched_obtain(watch, watch.guard(make(authorization_server)))
    assert watch.found() == []


@OWN
@pytest.mark.parametrize("status", [200, 400])
def test_echo_of_a_key_is_not_repeated(
    authorization_server: AuthorizationServer,
    watch: Watch,
    make: Callable[..., OAuthSettings],
    status: int,
) -> None:
    """A server that answers with what it must not know does not get it into our errors."""
    settings = watch.guard(make(authorization_server))
    by_length = sorted(watch.own_secrets(), key=len)
    for secret in (by_length[0], by_length[-1]):
        body = json.dumps({"error": secret, "error_description": secret, "suberror": secret})
        authorization_server.fail_next("token", "body", status=status, body=body)
        watched_obtain(watch, settings)
    assert watch.found() == []


@pytest.mark.parametrize("make", [by_key, by_certificate, service_account], **NAMED)
@pytest.mark.parametrize("cut", [40, 300])
def test_broken_key_is_not_shown(
    authorization_server: AuthorizationServer,
    watch: Watch,
    make: Callable[..., OAuthSettings],
    cut: int,
) -> None:
    """A key that cannot be read is not quoted, neither by us nor by a library."""
    settings = watch.guard(make(authorization_server))
    key = settings.client_key or ClientKey(private_key="")
    broken = replace(
        settings,
        client_key=replace(key, private_key=key.private_key[:-cut]),
        service_account_key=(settings.service_account_key or "")[:-cut],
    )
    with Transport(settings.transport) as transport, pytest.raises(ConfigurationError) as caught:
        obtain(broken, transport)
    watch.show_error(caught.value)
    assert authorization_server.token_requests == 0
    assert watch.found() == []


# --- Devices --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mail_provider", MAKERS)
@pytest.mark.parametrize("fault", [None, *FAULTS], ids=str)
def test_device_sign_in_lets_no_secret_out(
    authorization_server: AuthorizationServer,
    watch: Watch,
    mail_provider: str,
    fault: dict[str, Any] | None,
) -> None:
    """The device code and what it brings are not shown, whether a poll succeeds or fails."""
    settings = impatient(watch.guard(MAKERS[mail_provider](authorization_server)))
    at = Device(authorization_server, settings)
    device = at.start()
    at.decide_after(2, device)
    if fault is not None:
        authorization_server.fail_next("token", **fault)
    watch.show(device)
    try:
        watch.show(at.wait(device))
    except OAuthError as error:
        watch.show_error(error)
    assert device.device_code in authorization_server.secrets_issued()
    assert watch.found() == []


@EACH_FAULT
def test_failing_start_of_a_device_lets_no_secret_out(
    authorization_server: AuthorizationServer, watch: Watch, fault: dict[str, Any]
) -> None:
    """A device that gets no code shows nothing of what it sent, nor of what came half."""
    settings = impatient(watch.guard(custom(authorization_server)))
    authorization_server.fail_next("device", **fault)
    watch.show_error(Device(authorization_server, settings).start_refused())
    assert watch.found() == []


@pytest.mark.parametrize("status", [200, 400])
def test_echo_of_a_device_code_is_not_repeated(
    authorization_server: AuthorizationServer, watch: Watch, status: int
) -> None:
    """A server that sends the device code back in an error does not get it into ours."""
    at = Device(authorization_server, watch.guard(custom(authorization_server)))
    device = at.start()
    body = json.dumps({"error": device.device_code, "error_description": device.device_code})
    authorization_server.fail_next("token", "body", status=status, body=body)
    watch.show_error(at.wait_refused(device))
    assert watch.found() == []


# --- Revocation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [custom, by_basic, by_key, google, yahoo, zoho], **NAMED)
@pytest.mark.parametrize("fault", [None, *FAULTS], ids=str)
def test_revocation_lets_no_secret_out(
    authorization_server: AuthorizationServer,
    watch: Watch,
    make: Callable[..., OAuthSettings],
    fault: dict[str, Any] | None,
) -> None:
    """The token that is taken back, and what proves the client, are not shown."""
    settings = impatient(watch.guard(make(authorization_server)))
    token = authorization_server.mint_refresh_token(LOGIN, client_id=settings.client_id)
    if fault is not None:
        authorization_server.fail_next("revocation", **fault)
    with Transport(settings.transport) as transport:
        try:
            revoke(settings, token, transport)
        except OAuthError as error:
            watch.show_error(error)
    assert watch.found() == []
