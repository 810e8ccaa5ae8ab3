# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Device authorization (RFC 8628) at the authorization server of the tests."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import httpx  # noqa: TC002  # as our own
import msal
import pytest
import requests

from tests.servers.authorization import talking
from tests.servers.authorization.parameters import DEVICE_GRANT
from tests.servers.authorization_server import (
    IMAP_SCOPE,
    MICROSOFT_IMAP_SCOPE,
    YANDEX_IMAP_SCOPE,
    AuthorizationServer,
)

LOGIN = "ada@example.test"
SCOPES = {
    "generic": IMAP_SCOPE,
    "microsoft": f"{MICROSOFT_IMAP_SCOPE} offline_access",
    "yandex": YANDEX_IMAP_SCOPE,
}


@dataclass(frozen=True)
class Device:
    """A device at one mail provider, and what it was told."""

    server: AuthorizationServer
    mail_provider: str
    told: dict[str, Any]

    @classmethod
    def start(cls, server: AuthorizationServer, mail_provider: str = "generic") -> Device:
        """Ask for codes."""
        address = talking.url(server, "device", mail_provider, "contoso")
        answer = talking.post_with_secret(server, address, scope=SCOPES[mail_provider])
        return cls(server, mail_provider, answer.json())

    def poll(self, *, wait: float = 5) -> httpx.Response:
        """Let time pass, and ask for the tokens."""
        self.server.advance_clock(wait)
        form = {"grant_type": DEVICE_GRANT, "device_code": self.told["device_code"]}
        if self.mail_provider == "yandex":
            form = {"grant_type": "device_code", "code": self.told["device_code"]}
        address = talking.url(self.server, "token", self.mail_provider, "contoso")
        return talking.post_with_secret(self.server, address, **form)

    def poll_error(self, *, wait: float = 5) -> str:
        """Return the error of an answer."""
        return str(self.poll(wait=wait).json()["error"])

    def decide(self, *, allow: bool = True) -> None:
        """Decide as a user."""
        self.server.decide_device(self.told["user_code"], LOGIN, allow=allow)


def test_what_a_device_is_told(authorization_server: AuthorizationServer) -> None:
    """Each mail provider answers with its own names."""
    common = {"device_code", "user_code", "expires_in", "interval"}
    for mail_provider, more in (
        ("generic", {"verification_uri", "verification_uri_complete"}),
        ("microsoft", {"verification_uri", "message"}),
        ("yandex", {"verification_url"}),
    ):
        assert Device.start(authorization_server, mail_provider).told.keys() == common | more


@pytest.mark.parametrize("mail_provider", SCOPES)
def test_tokens_come_once_after_the_decision(
    authorization_server: AuthorizationServer, mail_provider: str
) -> None:
    """A poll brings nothing before the user allowed it, then the tokens, and nothing again."""
    device = Device.start(authorization_server, mail_provider)
    assert device.poll_error() == "authorization_pending"
    device.decide()
    answer = device.poll().json()
    assert authorization_server.introspect(answer["access_token"])["username"] == LOGIN
    assert answer["refresh_token"]
    used = "bad_verification_code" if mail_provider == "microsoft" else "invalid_grant"
    assert device.poll_error() == used


@pytest.mark.parametrize(
    ("mail_provider", "denied", "expired"),
    [
        ("generic", "access_denied", "expired_token"),
        ("microsoft", "authorization_declined", "expired_token"),
        ("yandex", "access_denied", "invalid_grant"),
    ],
)
def test_denied_and_expired(
    authorization_server: AuthorizationServer, mail_provider: str, denied: str, expired: str
) -> None:
    """Denial and the end of the code are told in the words of the mail provider."""
    device = Device.start(authorization_server, mail_provider)
    device.decide(allow=False)
    assert device.poll_error() == denied
    assert Device.start(authorization_server, mail_provider).poll_error(wait=900) == expired


def test_codes_of_entra(authorization_server: AuthorizationServer) -> None:
    """Microsoft names each answer by a number besides."""
    device = Device.start(authorization_server, "microsoft")
    assert device.poll().json()["error_codes"] == [70016]
    assert device.poll(wait=900).json()["error_codes"] == [70019]


def test_polling_too_fast_slows_down_for_good(authorization_server: AuthorizationServer) -> None:
    """Each poll before its time makes the interval five seconds longer, decided or not."""
    device = Device.start(authorization_server)
    assert device.poll_error() == "authorization_pending"
    assert device.poll_error(wait=4.9) == "slow_down"
    assert device.poll_error(wait=9.9) == "slow_down"
    assert device.poll_error(wait=15) == "authorization_pending"
    device.decide()
    assert device.poll_error(wait=14.9) == "slow_down"
    assert device.poll(wait=20).status_code == 200


def test_the_clock_of_polls_may_be_set(authorization_server: AuthorizationServer) -> None:
    """A test may bring its own clock; a reset gives the usual one back."""
    instants = iter([0.0, 0.0, 3.0, 3.0])
    authorization_server.switch(device_interval_seconds=3)
    authorization_server.clock = lambda: next(instants)
    device = Device.start(authorization_server)
    assert device.told["interval"] == 3
    assert [device.poll_error(wait=0)] == ["authorization_pending"]
    authorization_server.reset()
    assert authorization_server.clock is time.monotonic


def test_code_of_another_client(authorization_server: AuthorizationServer) -> None:
    """A device code is good for the client that asked for it, and no other."""
    device = Device.start(authorization_server)
    device.decide()
    answer = talking.post(
        authorization_server,
        authorization_server.token_url,
        grant_type=DEVICE_GRANT,
        device_code=device.told["device_code"],
        client_id=authorization_server.public_client_id,
    )
    assert answer.json()["error"] == "invalid_grant"


def test_confidential_client_has_to_authenticate(authorization_server: AuthorizationServer) -> None:
    """At the device endpoint a client that has a secret shows it, but where it need not."""
    server = authorization_server
    for mail_provider, status in (("generic", 401), ("microsoft", 200), ("yandex", 200)):
        address = talking.url(server, "device", mail_provider, "contoso")
        form = {"client_id": server.client_id, "scope": SCOPES[mail_provider]}
        assert talking.post(server, address, **form).status_code == status
        wrong = talking.post(server, address, client_secret="wrong", **form)
        assert wrong.json()["error"] == "invalid_client"


def test_user_codes_that_cannot_be_decided(authorization_server: AuthorizationServer) -> None:
    """A user code is taken in any writing, once, and only before it expires."""
    device = Device.start(authorization_server)
    written = device.told["user_code"].replace("-", "").lower()
    authorization_server.decide_device(written, LOGIN)
    with pytest.raises(ValueError, match="before"):
        device.decide()
    with pytest.raises(ValueError, match="no such"):
        authorization_server.decide_device("AAAA-AAAA", LOGIN)
    late = Device.start(authorization_server)
    authorization_server.advance_clock(900)
    with pytest.raises(ValueError, match="expired"):
        late.decide()


def test_page_for_the_user_code(authorization_server: AuthorizationServer) -> None:
    """A user may decide in a browser as well."""
    device = Device.start(authorization_server)
    assert (
        device.told["user_code"]
        in talking.get(authorization_server, device.told["verification_uri_complete"]).text
    )
    decision = {"user_code": device.told["user_code"], "login": LOGIN, "decision": "allow"}
    address = device.told["verification_uri"]
    assert talking.post(authorization_server, address, **decision).status_code == 200
    assert device.poll().status_code == 200


def test_msal_signs_a_device_in(authorization_server: AuthorizationServer) -> None:
    """MSAL gets tokens by a device code."""
    session = requests.Session()
    session.verify = str(authorization_server.ca_file)
    session.trust_env = False
    app = msal.PublicClientApplication(
        authorization_server.public_client_id,
        authority=f"{authorization_server.base_url}/contoso",
        instance_discovery=False,
        http_client=session,
    )
    flow = app.initiate_device_flow([MICROSOFT_IMAP_SCOPE])
    authorization_server.decide_device(flow["user_code"], LOGIN)
    result = app.acquire_token_by_device_flow(flow)
    assert result["id_token_claims"]["preferred_username"] == LOGIN
    assert result["refresh_token"]
