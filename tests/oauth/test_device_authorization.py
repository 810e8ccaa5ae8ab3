# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Sign in by a code that is entered elsewhere (RFC 8628), in no time: the test brings the clock."""

from __future__ import annotations

from collections.abc import Callable
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
from airflow_imap_oauth.oauth.engines import refresh
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.settings import OAuthSettings
from tests.oauth.clients import LOGIN, custom, google, microsoft, signer, yahoo, yandex, zoho
from tests.oauth.devices import MAKERS, Device
from tests.servers.authorization.client_keys import ClientKey

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer


@pytest.fixture(params=sorted(MAKERS))
def at(request: pytest.FixtureRequest, authorization_server: AuthorizationServer) -> Device:
    """Give a device at each mail provider that knows devices, in turn."""
    return Device(authorization_server, MAKERS[request.param](authorization_server))


@pytest.fixture
def generic(authorization_server: AuthorizationServer) -> Device:
    """Give a device at the server that does as the RFC says."""
    return Device(authorization_server, custom(authorization_server))


# --- The code -------------------------------------------------------------------------------------


def test_rfc8628_3_2_code_and_address_to_show(at: Device) -> None:
    """Code and address are there to be shown; the device code is not."""
    device = at.start()
    assert device.user_code in repr(device)
    assert device.verification_uri.startswith(f"{at.server.base_url}/")
    assert device.device_code not in f"{device} {device!r}"
    assert (device.interval_seconds, device.lifetime_seconds) == (5.0, 900.0)
    assert device.ends_at_seconds == 1900.0
    assert at.server.token_requests == 0


def test_address_with_the_code_in_it(generic: Device) -> None:
    """Where the server gives an address that holds the code, that can be shown instead."""
    device = generic.start()
    assert device.verification_uri_complete == (
        f"{device.verification_uri}?user_code={device.user_code}"
    )
    assert Device(generic.server, yandex(generic.server)).start().verification_uri_complete is None


def test_all_scopes_are_asked_for(at: Device) -> None:
    """The scopes of IMAP and those asked for besides are in the request."""
    at.start()
    [request] = at.server.recorded("device")
    wanted = [*at.settings.scopes, *at.settings.extra_scopes]
    assert request.parameters["scope"].split() == wanted
    assert request.parameters["client_id"] == at.settings.client_id


def test_client_that_signs(authorization_server: AuthorizationServer) -> None:
    """A client with a key authenticates by it, for the code and for the tokens."""
    key = ClientKey.create("P-256")
    settings = signer(authorization_server, key, grant="user_consent")
    at = Device(authorization_server, settings)
    device = at.start()
    at.decide_after(1, device)
    assert at.wait(device).refresh_token


def test_public_client(authorization_server: AuthorizationServer) -> None:
    """A client without a secret names itself."""
    server = authorization_server
    at = Device(server, custom(server, client_id=server.public_client_id, client_secret=None))
    device = at.start()
    at.decide_after(1, device)
    assert at.wait(device).refresh_token


@pytest.mark.parametrize("make", [google, yahoo, zoho, custom], ids=lambda make: make.__name__)
def test_mail_provider_without_devices(
    authorization_server: AuthorizationServer, make: Callable[..., OAuthSettings]
) -> None:
    """Where there is no such grant, the way to sign in without it is told."""
    settings = make(authorization_server)
    settings = replace(settings, endpoints=replace(settings.endpoints, device_url=None))
    error = Device(authorization_server, settings).start_refused()
    assert type(error) is ConfigurationError
    assert error.hint == settings.profile.no_device_hint
    assert "--no-browser" in error.hint
    assert not authorization_server.requests


# --- The wait -------------------------------------------------------------------------------------


def test_rfc8628_3_5_polls_at_the_interval_until_somebody_decides(at: Device) -> None:
    """Pending is asked again at the server's interval; consent brings tokens that work."""
    at.server.switch(device_interval_seconds=7)
    device = at.start()
    at.decide_after(3, device)
    response = at.wait(device)
    assert at.waits == [7.0, 7.0, 7.0]
    assert at.server.token_requests == 3
    assert at.server.introspect(response.access_token)["username"] == LOGIN
    with Transport(at.settings.transport) as transport:
        assert refresh(at.settings, response.refresh_token or "", transport).access_token


def test_account_that_signed_in_is_known(authorization_server: AuthorizationServer) -> None:
    """Where there is an id_token, it is checked and says whose tokens they are."""
    for settings in (
        microsoft(authorization_server),
        custom(
            authorization_server,
            extra_scopes=("openid",),
            endpoints=replace(
                custom(authorization_server).endpoints, jwks_url=authorization_server.jwks_url
            ),
        ),
    ):
        at = Device(authorization_server, settings)
        device = at.start()
        at.decide_after(1, device, "eve@example.test")
        account = at.wait(device).account
        assert account is not None
        assert account.shown == "eve@example.test"


def test_rfc8628_3_5_slow_down_is_for_good(generic: Device) -> None:
    """Each slow_down makes the interval five seconds longer, for this wait and all others."""
    device = generic.start()
    generic.fail_after(1, "json_error", status=400, error="slow_down")
    generic.fail_after(3, "json_error", status=400, error="slow_down")
    generic.decide_after(5, device)
    assert generic.wait(device).refresh_token
    assert generic.waits == [5.0, 10.0, 10.0, 15.0, 15.0]


@pytest.mark.parametrize("kind", ["status", "reset", "html", "truncated_json"])
def test_rfc8628_3_5_trouble_doubles_the_interval(generic: Device, kind: str) -> None:
    """A server in trouble is asked more and more seldom, and then served all the same."""
    details = {"status": 503} if kind == "status" else {}
    device = generic.start()
    generic.fail_after(1, kind, times=2, **details)
    generic.decide_after(4, device)
    assert generic.wait(device).refresh_token
    assert generic.waits == [5.0, 10.0, 20.0, 20.0]


def test_trouble_that_lasts_ends_with_the_code(generic: Device) -> None:
    """No interval grows beyond five minutes, and the end of the code ends the wait."""
    device = generic.start()
    generic.server.fail_next("token", "status", status=503, times=99)
    generic.server.switch(device_lifetime_seconds=3600)
    device = generic.start()
    assert type(generic.wait_refused(device)) is AuthorizationFlowError
    assert generic.waits[:7] == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0]
    assert max(generic.waits) == 300.0
    assert sum(generic.waits) <= device.lifetime_seconds


def test_our_own_clock_ends_the_wait(generic: Device) -> None:
    """Nobody is waited for beyond the life of the code, and no poll is sent after it."""
    generic.server.switch(device_lifetime_seconds=12)
    device = generic.start()
    error = generic.wait_refused(device)
    assert type(error) is AuthorizationFlowError
    assert "in time" in error.message
    assert generic.waits == [5.0, 5.0]


# --- The end --------------------------------------------------------------------------------------


def test_denial_ends_it(at: Device) -> None:
    """Whoever refuses ends the wait at once: a new sign-in is needed."""
    device = at.start()
    at.decide_after(2, device, allow=False)
    error = at.wait_refused(device)
    assert type(error) is AuthorizationFlowError
    assert "did not consent" in error.hint
    assert len(at.waits) == 2


def test_code_that_expired_at_the_server(at: Device) -> None:
    """The server's word that the code is over ends the wait."""
    device = at.start()
    at.events[2] = lambda: at.server.advance_clock(900)
    error = at.wait_refused(device)
    assert type(error) is AuthorizationFlowError
    assert "tart the sign-in again" in error.hint
    assert len(at.waits) == 2


def test_device_code_is_spent_once(at: Device) -> None:
    """What was redeemed brings nothing a second time."""
    device = at.start()
    at.decide_after(1, device)
    at.wait(device)
    assert type(at.wait_refused(device)) is AuthorizationFlowError


def test_sign_in_without_refresh_token(authorization_server: AuthorizationServer) -> None:
    """A consent that brings no refresh token is refused with what to ask for."""
    at = Device(authorization_server, microsoft(authorization_server, extra_scopes=("openid",)))
    device = at.start()
    at.decide_after(1, device)
    error = at.wait_refused(device)
    assert type(error) is AuthorizationFlowError
    assert "offline_access" in error.hint


def test_keys_that_cannot_be_had_end_it(authorization_server: AuthorizationServer) -> None:
    """Once the code is spent nothing is polled any more, whatever becomes of the id_token."""
    at = Device(authorization_server, microsoft(authorization_server))
    device = at.start()
    authorization_server.rotate_signing_key()
    authorization_server.fail_next("jwks", "status", status=503)
    at.decide_after(1, device)
    assert type(at.wait_refused(device, step="discovery")) is TransientOAuthError
    assert at.waits == [5.0]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "json_error", "error": "invalid_client"}, ClientRejectedError),
        ({"kind": "error_200", "error": "access_denied"}, AuthorizationFlowError),
        ({"kind": "json_error", "error": "never_heard_of"}, AuthorizationFlowError),
        ({"kind": "redirect"}, OAuthError),
        ({"kind": "html", "status": 404}, OAuthError),
    ],
    ids=lambda value: value.get("error", value["kind"]) if isinstance(value, dict) else "",
)
def test_refused_poll_is_the_last(
    generic: Device, fault: dict[str, Any], kind: type[OAuthError]
) -> None:
    """A refusal ends the wait: no second poll follows."""
    device = generic.start()
    generic.server.fail_next("token", **fault)
    error = generic.wait_refused(device)
    assert type(error) is kind
    assert generic.waits == [5.0]


def test_pending_under_status_200(generic: Device) -> None:
    """HTTP 200 does not mean success: pending may come with it."""
    device = generic.start()
    generic.server.fail_next("token", "error_200", error="authorization_pending", times=2)
    generic.decide_after(3, device)
    assert generic.wait(device).refresh_token
