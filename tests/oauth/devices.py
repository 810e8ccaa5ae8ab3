# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A device that signs in, with a clock of its own that the server goes by, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from airflow_imap_oauth.exceptions import ImapOAuthError
from airflow_imap_oauth.oauth import device_authorization
from airflow_imap_oauth.oauth.device_authorization import STEP, DeviceAuthorization
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.settings import OAuthSettings
from tests.oauth.clients import CONN_ID, LOGIN, custom, microsoft, yandex

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

MAKERS: dict[str, Callable[..., OAuthSettings]] = {
    "generic": custom,
    "microsoft": microsoft,
    "yandex": yandex,
}


@dataclass
class Device:
    """
    A device, and the clock that it and the server go by.

    :param waits: How long it slept each time.
    :param events: What happens after how many waits, before the poll that follows.
    """

    server: AuthorizationServer
    settings: OAuthSettings
    now: float = 1000.0
    waits: list[float] = field(default_factory=list)
    events: dict[int, Callable[[], object]] = field(default_factory=dict)

    def start(self) -> DeviceAuthorization:
        """Ask for a code."""
        self.server.clock = lambda: self.now
        with Transport(self.settings.transport) as transport:
            return device_authorization.start(self.settings, transport, monotonic=lambda: self.now)

    def start_refused(self) -> ImapOAuthError:
        """Return why there is no code."""
        with pytest.raises(ImapOAuthError) as caught:
            self.start()
        assert (caught.value.conn_id, caught.value.step) == (CONN_ID, STEP)
        return caught.value

    def wait(self, device: DeviceAuthorization) -> TokenResponse:
        """Wait until somebody decides; their events come about meanwhile."""
        with Transport(self.settings.transport) as transport:
            return device_authorization.wait(
                self.settings, device, transport, monotonic=lambda: self.now, sleep=self._sleep
            )

    def wait_refused(self, device: DeviceAuthorization, *, step: str = STEP) -> ImapOAuthError:
        """Return why it came to nothing."""
        with pytest.raises(ImapOAuthError) as caught:
            self.wait(device)
        assert (caught.value.conn_id, caught.value.step) == (CONN_ID, step)
        return caught.value

    def decide_after(
        self, waits: int, device: DeviceAuthorization, login: str = LOGIN, *, allow: bool = True
    ) -> None:
        """Let somebody enter the code after some waits."""
        self.events[waits] = lambda: self.server.decide_device(device.user_code, login, allow=allow)

    def fail_after(self, waits: int, kind: str, **details: Any) -> None:
        """Let polls fail after some waits."""
        self.events[waits] = lambda: self.server.fail_next("token", kind, **details)

    def _sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.waits.append(seconds)
        self.now += seconds
        self.events.get(len(self.waits), lambda: None)()
