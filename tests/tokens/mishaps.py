# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What befalls a process amid a renewal: it is killed or stopped, at one step or at any instant."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, Literal, get_args

from sqlalchemy import Engine, event

from airflow_imap_oauth.tokens.leases import HostMemory, LeaseTerms
from airflow_imap_oauth.tokens.record import TokenRecord
from airflow_imap_oauth.tokens.sql_database import TokenDatabase
from airflow_imap_oauth.tokens.sql_lease import SqlLease
from airflow_imap_oauth.tokens.sql_store import SqlTokenStore
from airflow_imap_oauth.tokens.store import ComparingStore, TokenStore
from tests.tokens.workers import WAIT_SECONDS, Host, forkserver

#: ``entered``: it may renew, and has written nothing. ``announced``: its note is saved, and no
#: request sent. ``answered``: nothing of the answer is saved. ``saving``: that is written, and not
#: in force yet. ``saved``: neither lock nor lease is given back.
Step = Literal["entered", "announced", "answered", "saving", "saved"]
STEPS: tuple[Step, ...] = get_args(Step)


def struck(host: Host, step: Step, strike: Callable[[], None]) -> TokenStore:
    """Return a host's store during whose use something happens at a step of a renewal."""
    store = host.store()
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


class WaitingStore(SqlTokenStore):
    """The database, for a host on whose clock a minute passes whenever it finds the lease taken."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._leases = TokenDatabase(url)

    def lease(self, terms: LeaseTerms, host: HostMemory) -> SqlLease:
        """Return such a lease."""
        return _WaitingLease(self._leases, terms, host)


class _WaitingLease(SqlLease):
    def __init__(self, database: TokenDatabase, terms: LeaseTerms, host: HostMemory) -> None:
        self._waited_seconds = 0.0
        super().__init__(
            database, terms, host, monotonic=lambda: time.monotonic() + self._waited_seconds
        )

    def attempt(self, generation: int) -> bool:
        """Try, and wait if it is in vain."""
        entered = super().attempt(generation)
        if not entered:
            self._waited_seconds += 60
        return entered


def survivor(host: Host) -> TokenStore:
    """Return a host's store as somebody has it who comes when the dead are cold."""
    return WaitingStore(host.database_url) if host.store_name == "sql" else host.store()


def _strike_before_it_is_in_force(strike: Callable[[], None]) -> None:
    os.rename = lambda *_, **__: strike()
    event.listen(Engine, "commit", lambda _: strike())


def _exit_code(target: Callable[..., None], *args: object) -> int | None:
    worker = forkserver().Process(target=target, args=args)
    worker.start()
    worker.join(WAIT_SECONDS)
    return worker.exitcode


def _die_at(host: Host, step: Step) -> None:
    host.manager(struck(host, step, die)).get_access_token()


def _die_within(host: Host, seconds: float) -> None:
    manager = host.manager()
    death = threading.Timer(seconds, die)
    death.daemon = True
    death.start()
    manager.get_access_token()
