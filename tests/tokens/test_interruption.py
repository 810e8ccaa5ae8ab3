# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A task's timeout in the middle of a renewal costs no refresh token."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from tests.oauth import clients
from tests.tokens.support import Rig
from tests.tokens.workers import Host

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer


class TimeIsUpError(BaseException):
    """What a signal handler raises, as Airflow's does at ``execution_timeout``."""


@pytest.fixture
def handler() -> Iterator[None]:
    """Let the signal of an alarm raise in the main thread."""

    def ring(*_: object) -> NoReturn:
        raise TimeIsUpError

    before = signal.signal(signal.SIGALRM, ring)
    yield
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def alarm(handler: None) -> Iterator[None]:  # noqa: ARG001  # has to be in place
    """Raise in the main thread soon after the token request has gone out."""
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)


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


@pytest.mark.parametrize("step", ["answer", "seal", "save"])
@pytest.mark.usefixtures("handler")
def test_a_signal_after_the_answer_loses_no_token(rig: Rig, step: str) -> None:
    """Whatever it strikes between answer and end of the save, the new refresh token is saved."""

    def strike() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)

    def striking(method: Any) -> Any:
        def struck(*args: Any, **kwargs: Any) -> Any:
            if rig.grant.requests:
                strike()
            return method(*args, **kwargs)

        return struck

    if step == "answer":
        rig.grant.before_answer = strike
    elif step == "seal":
        rig.sealer.seal = striking(rig.sealer.seal)  # type: ignore[method-assign]
    else:
        rig.store.save = striking(rig.store.save)
    with pytest.raises(TimeIsUpError):
        rig.manager().get_access_token()
    rig.grant.before_answer = lambda: None
    assert rig.manager().get_access_token()
    assert rig.grant.requests == 1


@pytest.mark.parametrize("begun", [False, True])
def test_a_signal_amid_the_start_of_the_thread(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    """Either nothing was spent, or all of it is safe: never is a request left behind."""
    start = threading.Thread.start

    def struck(thread: threading.Thread) -> None:
        if begun:
            start(thread)
        raise TimeIsUpError

    monkeypatch.setattr(threading.Thread, "start", struck)
    with pytest.raises(TimeIsUpError):
        rig.manager().get_access_token()
    monkeypatch.undo()
    assert rig.manager().get_access_token()
    assert rig.grant.requests == 1


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
