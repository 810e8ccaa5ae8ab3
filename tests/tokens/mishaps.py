# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What befalls a process amid a renewal: it is killed or stopped, at one step or at any instant."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from typing import Any, Literal, get_args

from sqlalchemy import Engine, event

from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.tokens.leases import HostMemory, LeaseTerms
from airflow_imap_oauth.tokens.record import TokenRecord
from airflow_imap_oauth.tokens.refreshing import ServerRefresh
from airflow_imap_oauth.tokens.sql_database import TokenDatabase
from airflow_imap_oauth.tokens.sql_lease import SqlLease
from airflow_imap_oauth.tokens.sql_store import SqlTokenStore
from airflow_imap_oauth.tokens.store import ComparingStore, TokenStore
from tests.tokens.workers import WAIT_SECONDS, Host, forkserver, outcome

#: ``entered``: it may renew, and has written nothing. ``announced``: its note is saved, and no
#: request sent. ``answered``: nothing of the answer is saved. ``saving``: that is written, and not
#: in force yet. ``saved``: neither lock nor lease is given back.
Step = Literal["entered", "announced", "answered", "saving", "saved"]
STEPS: tuple[Step, ...] = get_args(Step)


def struck(store: TokenStore, step: Step, strike: Callable[[], None]) -> TokenStore:
    """Return a store during whose use something happens at a step of a renewal."""
    name = "replace" if isinstance(store, ComparingStore) else "save"
    write = getattr(store, name)

    def written(conn_id: str, text: str, **details: Any) -> object:
        is_note = TokenRecord.from_json(text).in_flight_at is not None
        if step == ("entered" if is_note else "answered"):
            strike()
        if step == "saving" and not is_note:
            _strike_before_it_is_in_force(strike)
        done: object = write(conn_id, text, **details)
        if step == ("announced" if is_note else "saved"):
            strike()
        return done

    setattr(store, name, written)
    return store


def die() -> None:
    """End this process as the kernel does that has no memory left."""
    os.kill(os.getpid(), signal.SIGKILL)


def killed_at(host: Host, step: Step) -> bool:
    """Let a process renew, and tell whether it was killed: it came as far as that step."""
    return _exit_code(_die_at, host, step) == -signal.SIGKILL


def killed_within(host: Host, seconds: float) -> bool:
    """Let a process renew, and tell whether it was killed: it still lived after so long."""
    return _exit_code(_die_within, host, seconds) == -signal.SIGKILL


class ClockedStore(SqlTokenStore):
    """
    The database, with a lease that goes by a clock of the test's.

    :param ahead_seconds: How far that clock is ahead; may be set at any time.
    :param wait_seconds: What passes by that clock whenever the lease is found taken.
    """

    def __init__(self, url: str, *, wait_seconds: float = 0.0) -> None:
        super().__init__(url)
        self.ahead_seconds = 0.0
        self.wait_seconds = wait_seconds
        self.leases = TokenDatabase(url)

    def monotonic(self) -> float:
        """Return the instant."""
        return time.monotonic() + self.ahead_seconds

    def lease(self, terms: LeaseTerms, host: HostMemory) -> SqlLease:
        """Return such a lease."""
        return _ClockedLease(self, terms, host)


class _ClockedLease(SqlLease):
    def __init__(self, store: ClockedStore, terms: LeaseTerms, host: HostMemory) -> None:
        super().__init__(store.leases, terms, host, monotonic=store.monotonic)
        self._store = store

    def attempt(self, generation: int) -> bool:
        """Try, and wait if it is in vain."""
        entered = super().attempt(generation)
        if not entered:
            self._store.ahead_seconds += self._store.wait_seconds
        return entered


def survivor(host: Host) -> TokenStore:
    """Return a host's store as somebody has it who comes when the dead are cold."""
    if host.store_name == "sql":
        return ClockedStore(host.database_url, wait_seconds=60)
    return host.store()


class Stopped:
    """
    A process of a host that is stopped amid a renewal, and goes on when it is told so.

    :param at: ``received``: when the answer has come; else a step of its store. By its clock, ten
        minutes pass meanwhile.
    """

    def __init__(self, host: Host, at: Step | Literal["received"]) -> None:
        context = forkserver()
        stopping = context.Event()
        self._answers: Queue[str] = context.Queue()
        self._worker = context.Process(target=_stop, args=(host, at, stopping, self._answers))
        self._worker.start()
        assert stopping.wait(WAIT_SECONDS)

    def go_on(self) -> str:
        """Let it go on, and return its token, or its error as text."""
        while self._worker.is_alive():
            # Repeated, as it may be just about to stop.
            os.kill(self._worker.pid or 0, signal.SIGCONT)
            self._worker.join(0.05)
        return self._answers.get(timeout=WAIT_SECONDS)


def _strike_before_it_is_in_force(strike: Callable[[], None]) -> None:
    os.rename = lambda *_, **__: strike()
    event.listen(Engine, "commit", lambda _: strike())


def _exit_code(target: Callable[..., None], *args: object) -> int | None:
    worker = forkserver().Process(target=target, args=args)
    worker.start()
    worker.join(WAIT_SECONDS)
    assert not worker.is_alive()
    return worker.exitcode


def _die_at(host: Host, step: Step) -> None:
    host.manager(struck(survivor(host), step, die)).get_access_token()


def _die_within(host: Host, seconds: float) -> None:
    manager = host.manager(survivor(host))
    death = threading.Timer(seconds, die)
    death.daemon = True
    death.start()
    manager.get_access_token()


def _stop(host: Host, at: Step | Literal["received"], stopping: Event, answers: Queue[str]) -> None:
    store = ClockedStore(host.database_url) if host.store_name == "sql" else host.store()

    def strike() -> None:
        stopping.set()
        # To this thread, as it would go on until another one has got the signal.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        if isinstance(store, ClockedStore):
            store.ahead_seconds += 600

    ask = ServerRefresh(host.settings)

    def refresh(refresh_token: str) -> TokenResponse:
        response = ask(refresh_token)
        if at == "received":
            strike()
        return response

    used = store if at == "received" else struck(store, at, strike)
    answers.put(outcome(host.manager(used, refresh=refresh).get_access_token))
