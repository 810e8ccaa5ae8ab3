# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Stores that fail when the only living refresh token is to be saved: it is not lost."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from airflow_imap_oauth.exceptions import TokenPersistError, TokenStoreError
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.tokens.file_store import FileTokenStore
from airflow_imap_oauth.tokens.refreshing import ServerRefresh
from airflow_imap_oauth.tokens.sql_store import SqlTokenStore
from airflow_imap_oauth.tokens.store import TokenStore
from tests.tokens.support import broken_store_error
from tests.tokens.workers import Host, PlainStore
from tests.tokens.world import World


class FullDiskStore(FileTokenStore):
    """A folder on a disk that may be full: the operating system then takes few bytes for a file."""

    is_full = False

    def save(self, conn_id: str, text: str) -> None:
        """Save, on that disk."""
        with _limited_files(64) if self.is_full else _limited_files(None):
            super().save(conn_id, text)


@contextmanager
def _limited_files(size_bytes: int | None) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft if size_bytes is None else size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class StumblingStore(PlainStore):
    """A store that answers with errors for a while, as an API server does that restarts."""

    errors_left = 0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.save = self._stumbling(self.save)

    def _stumbling(self, save: Callable[[str, str], None]) -> Callable[[str, str], None]:
        def stumble(conn_id: str, text: str) -> None:
            if self.errors_left:
                self.errors_left -= 1
                raise broken_store_error()
            save(conn_id, text)

        return stumble


def _ask(host: Host, store: TokenStore, answered: Callable[[], None]) -> str:
    """Ask for a token; something happens between the server's answer and saving it."""
    ask = ServerRefresh(host.settings)

    def refresh(refresh_token: str) -> TokenResponse:
        response = ask(refresh_token)
        answered()
        return response

    manager = host.manager(store, refresh=refresh, save_retry_delays_seconds=(0.0, 0.0))
    return manager.get_access_token()


def _assert_nothing_is_lost(world: World, host: Host) -> None:
    token = host.manager().get_access_token()
    assert host.another().manager().get_access_token() == token
    assert world.server.token_requests == 1
    world.assert_well(host)


def test_full_disk(world: World) -> None:
    """What a full disk did not take is saved by the next renewal on this host."""
    host = world.host("strict", "file")
    store = FullDiskStore(host.folder / "tokens")
    with pytest.raises(TokenPersistError, match=r"kept, sealed, on this host.*File too large"):
        _ask(host, store, lambda: setattr(store, "is_full", True))
    _assert_nothing_is_lost(world, host)


def test_disk_that_is_full_already(world: World) -> None:
    """A full disk shows before anything is spent."""
    host = world.host("strict", "file")
    store = FullDiskStore(host.folder / "tokens")
    store.is_full = True
    with pytest.raises(TokenStoreError, match="File too large"):
        host.manager(store).get_access_token()
    assert world.server.token_requests == 0
    world.assert_well(host)


def test_locked_database(world: World) -> None:
    """What a database did not take that somebody has locked is saved on this host's next call."""
    host = world.host("strict", "sql")
    store = SqlTokenStore(f"{host.database_url}?timeout=0.05")
    with closing(sqlite3.connect(host.folder / "tokens.db", check_same_thread=False)) as other:
        with pytest.raises(TokenPersistError, match=r"SQLITE_BUSY|OperationalError"):
            _ask(host, store, lambda: other.execute("BEGIN EXCLUSIVE") and None)
        with pytest.raises(TokenStoreError):
            host.manager(store).get_access_token()
    _assert_nothing_is_lost(world, host)


def test_errors_for_a_moment(world: World) -> None:
    """A store that works at the last attempt costs nothing but time."""
    host = world.host("strict", "plain")
    store = StumblingStore(host.folder / "tokens")
    token = _ask(host, store, lambda: setattr(store, "errors_left", 2))
    assert host.manager().get_access_token() == token
    _assert_nothing_is_lost(world, host)


def test_errors_for_a_while(world: World) -> None:
    """As long as the store fails nothing more is spent, and then what was got is saved."""
    host = world.host("strict", "plain")
    store = StumblingStore(host.folder / "tokens")
    for _ in range(3):  # of three attempts each
        with pytest.raises(TokenPersistError):
            _ask(host, store, lambda: setattr(store, "errors_left", 9))
    assert (world.server.token_requests, store.errors_left) == (1, 0)
    assert host.manager(store).get_access_token()
    _assert_nothing_is_lost(world, host)


def test_other_hosts_wait_for_the_one_that_holds_the_token(world: World) -> None:
    """While only one host has the new refresh token, none of the others tries the spent one."""
    host = world.host("strict", "sql")
    other, store = host.another(), SqlTokenStore(host.database_url)
    replace_, broken = store.replace, True

    def refuse(conn_id: str, text: str, *, expected: str | None) -> bool:
        if broken and host.record().in_flight_at is not None:
            raise broken_store_error()
        return replace_(conn_id, text, expected=expected)

    store.replace = refuse  # type: ignore[method-assign]
    manager = host.manager(store, save_retry_delays_seconds=(0.0, 0.0))
    with pytest.raises(TokenPersistError):
        manager.get_access_token()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(other.manager().get_access_token)
        with pytest.raises(NotYetError):
            waiting.result(1.0)
        broken = False
        token = host.manager(store).get_access_token()
        assert waiting.result(20.0) == token
    assert world.server.token_requests == 1
    world.assert_well(other)
