# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A task's timeout in the middle of a renewal costs no refresh token."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.oauth import clients
from tests.tokens.workers import Host

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer


class TimeIsUpError(BaseException):
    """What a signal handler raises, as Airflow's does at ``execution_timeout``."""


@pytest.fixture
def alarm() -> Iterator[None]:
    """Raise in the main thread soon after the token request has gone out."""

    def ring(*_: object) -> NoReturn:
        raise TimeIsUpError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def _host(server: AuthorizationServer, folder: Path) -> Host:
    return Host(
        settings=clients.custom(server),
        seed=server.mint_refresh_token(clients.LOGIN),
        folder=folder,
    )


@pytest.mark.usefixtures("alarm")
def test_a_signal_during_the_request_loses_no_token(
    authorization_server: AuthorizationServer, tmp_path: Path
) -> None:
    """The signal's error rises once the answer is saved, and the next call needs no request."""
    host = _host(authorization_server, tmp_path)
    authorization_server.fail_next("token", "slow", seconds=1.0)
    with pytest.raises(TimeIsUpError):
        host.manager().get_access_token()
    assert host.manager().get_access_token()
    assert authorization_server.token_requests == 1


@pytest.mark.usefixtures("alarm")
def test_a_signal_during_a_request_that_fails_still_rises(
    authorization_server: AuthorizationServer, tmp_path: Path
) -> None:
    """What the signal raised is not hidden by a failure that comes after it."""
    host = _host(authorization_server, tmp_path)
    settings = replace(
        host.settings,
        transport=replace(host.settings.transport, read_timeout_seconds=0.6),
    )
    authorization_server.fail_next("token", "slow", seconds=1.5)
    with pytest.raises(TimeIsUpError):
        replace(host, settings=settings).manager().get_access_token()
