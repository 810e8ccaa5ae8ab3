# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Worker processes that ask for one connection's access token, as tasks of one host or many do."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing.context import ForkServerContext
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, Literal

from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.tokens.binding import binding
from airflow_imap_oauth.tokens.file_store import FileTokenStore
from airflow_imap_oauth.tokens.manager import TokenManager
from airflow_imap_oauth.tokens.record import TokenRecord
from airflow_imap_oauth.tokens.sql_store import SqlTokenStore
from airflow_imap_oauth.tokens.store import TokenStore
from tests.tokens.support import sealer_of

WAIT_SECONDS = 60
POLL_SECONDS = 0.1

StoreName = Literal["file", "sql", "plain"]
#: Those that part hosts.
STORE_NAMES: tuple[StoreName, ...] = ("file", "sql")

#: Loaded once, in a process without threads, of which the workers are forked.
_PRELOADED = (
    __name__,
    "tests.tokens.mishaps",
    "airflow_imap_oauth.oauth.engines.rfc6749",
    "airflow_imap_oauth.oauth.engines.msal",
)


class PlainStore:
    """A store of somebody who offers no more than he must."""

    name = "plain"

    def __init__(self, folder: Path) -> None:
        store = FileTokenStore(folder)
        self.load, self.save, self.delete = store.load, store.save, store.delete


@dataclass(frozen=True, kw_only=True)
class Host:
    """
    One host: a connection, the store of all hosts, and the folder where its processes meet.

    :param locks: Name of that folder.
    """

    settings: OAuthSettings
    seed: str
    folder: Path
    store_name: StoreName = "file"
    locks: str = "locks"

    def another(self, number: int = 2) -> Host:
        """Return another host, with the same connection and store."""
        return replace(self, locks=f"locks of host {number}")

    def manager(self, store: TokenStore | None = None, **changes: Any) -> TokenManager:
        """Return a new manager, as each task makes one."""
        values: dict[str, Any] = {
            "settings": self.settings,
            "binding": binding(self.settings, "imap.example.test"),
            "store": store or self.store(),
            "sealer": sealer_of(1),
            "seed": self.seed,
            "lock_folder": self.folder / self.locks,
            "poll_seconds": POLL_SECONDS,
            **changes,
        }
        return TokenManager(**values)

    def store(self) -> TokenStore:
        """Return the store."""
        if self.store_name == "sql":
            return SqlTokenStore(self.database_url)
        folder = self.folder / "tokens"
        return PlainStore(folder) if self.store_name == "plain" else FileTokenStore(folder)

    @property
    def database_url(self) -> str:
        """Where the store ``sql`` keeps tokens."""
        return f"sqlite:///{self.folder / 'tokens.db'}"

    def record(self) -> TokenRecord:
        """Return what the store holds."""
        text = self.store().load(self.settings.conn_id)
        assert text is not None
        return TokenRecord.from_json(text)

    def expire(self) -> None:
        """Make the stored access token one that has just expired."""
        record = self.record()
        expired = replace(record, access_token_expires_at=record.last_refresh_at)
        self.store().save(self.settings.conn_id, expired.to_json())


def run_together(hosts: Sequence[Host], *, threads: int = 1) -> list[str]:
    """
    Let processes ask at the same instant, and return what each asker got.

    :param hosts: One for each process; several processes may be of the same host.
    :param threads: How many ask in each process.
    """
    context = forkserver()
    together = context.Barrier(len(hosts))
    answers: Queue[list[str]] = context.Queue()
    workers = [
        context.Process(target=_ask, args=(host, threads, together, answers)) for host in hosts
    ]
    for worker in workers:
        worker.start()
    found = [answers.get(timeout=WAIT_SECONDS) for _ in workers]
    for worker in workers:
        worker.join(WAIT_SECONDS)
    return [answer for some in found for answer in some]


def forkserver() -> ForkServerContext:
    """Return what starts processes: not forked from one full of threads, nor slow to start."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*_PRELOADED])
    return context


def outcome(call: Callable[[], str]) -> str:
    """Return the answer, or the error as text, for the test to compare what each worker got."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001  # see above
        return f"{type(error).__name__}: {error}"


def _ask(host: Host, threads: int, together: Barrier, answers: Queue[list[str]]) -> None:
    managers = [host.manager() for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        together.wait(WAIT_SECONDS)
        answers.put([*pool.map(lambda one: outcome(one.get_access_token), managers)])
