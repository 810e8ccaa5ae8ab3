# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Worker processes that ask for one connection's access token, as tasks of one host do."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.tokens.binding import binding
from airflow_imap_oauth.tokens.file_store import FileTokenStore
from airflow_imap_oauth.tokens.manager import TokenManager
from airflow_imap_oauth.tokens.record import TokenRecord
from tests.tokens.support import sealer_of

WAIT_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Host:
    """One host: a connection, its file store, and the folder where its processes meet."""

    settings: OAuthSettings
    seed: str
    folder: Path

    def manager(self, store: FileTokenStore | None = None) -> TokenManager:
        """Return a new manager, as each task makes one."""
        return TokenManager(
            settings=self.settings,
            binding=binding(self.settings, "imap.example.test"),
            store=store or self.store(),
            sealer=sealer_of(1),
            seed=self.seed,
            lock_folder=self.folder / "locks",
        )

    def store(self) -> FileTokenStore:
        """Return the store."""
        return FileTokenStore(self.folder / "tokens")


class DyingStore(FileTokenStore):
    """A store whose process is killed when it is about to save what the server answered."""

    def save(self, conn_id: str, text: str) -> None:
        """Die, unless it is the note that a request is about to be sent."""
        if TokenRecord.from_json(text).in_flight_at is None:
            os.kill(os.getpid(), signal.SIGKILL)
        super().save(conn_id, text)


def run_together(host: Host, count: int) -> list[str]:
    """Let processes ask at the same instant, and return what each of them got."""
    context = _context()
    together = context.Barrier(count)
    answers: Queue[str] = context.Queue()
    workers = [context.Process(target=_ask, args=(host, together, answers)) for _ in range(count)]
    for worker in workers:
        worker.start()
    found = [answers.get(timeout=WAIT_SECONDS) for _ in workers]
    for worker in workers:
        worker.join(WAIT_SECONDS)
    return found


def run_and_die(host: Host) -> int | None:
    """Let a process be killed between the server's answer and saving it; return its exit code."""
    worker = _context().Process(target=_die, args=(host,))
    worker.start()
    worker.join(WAIT_SECONDS)
    return worker.exitcode


def _context() -> ForkServerContext:
    # Neither forked from a process full of threads, nor slow to start: what they need is loaded
    # once, in a server that has none.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "airflow_imap_oauth.oauth.engines.rfc6749"])
    return context


def _ask(host: Host, together: Barrier, answers: Queue[str]) -> None:
    manager = host.manager()
    together.wait(WAIT_SECONDS)
    answers.put(_outcome(manager.get_access_token))


def _die(host: Host) -> None:
    host.manager(DyingStore(host.folder / "tokens")).get_access_token()


def _outcome(call: Callable[[], str]) -> str:
    try:
        return call()
    except Exception as error:  # noqa: BLE001  # the test compares what each worker got
        return f"{type(error).__name__}: {error}"
