# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The sql store on SQLite and PostgreSQL: the contract, many processes, databases in trouble."""

from __future__ import annotations

import logging
import multiprocessing
import secrets
import socket
import sqlite3
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, make_url

from airflow_imap_oauth.exceptions import TokenStoreError
from airflow_imap_oauth.tokens import sql_database
from airflow_imap_oauth.tokens.sql_database import TokenDatabase
from airflow_imap_oauth.tokens.sql_store import SqlTokenStore
from tests.tokens.lease_contract import (
    LEASING_CONTRACT,
    RELEASED_LEASE,
    STANDING_LEASE,
    HostMemory,
    hosts_take_turns,
    lease_of,
)
from tests.tokens.store_contract import (
    COMPARING_CONTRACT,
    CONTRACT,
    Claim,
    claim_name,
    one_of_many_replaces,
)

if TYPE_CHECKING:
    from tests.servers.postgresql import PostgreSQL

WHOLE_CONTRACT = CONTRACT + COMPARING_CONTRACT + LEASING_CONTRACT + RELEASED_LEASE + STANDING_LEASE
PROCESSES = 16
WAIT_SECONDS = 60
#: Well below the time that a statement may wait for others.
BOUND_SECONDS = 10.0
CANARY = f"canary-{secrets.token_hex(12)}"
RECORD = f"record-{secrets.token_hex(12)}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/tokens.db"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.url(server.create_database())


@pytest.fixture
def database(postgresql: PostgreSQL) -> str:
    """Give the name of an empty database of PostgreSQL."""
    return postgresql.create_database()


@pytest.mark.parametrize("claim", WHOLE_CONTRACT, ids=claim_name)
def test_contract(claim: Claim, url: str) -> None:
    """The sql store keeps to the contract of all stores, and of those that part hosts."""
    claim(SqlTokenStore(url))


def test_another_instance_reads_it(url: str) -> None:
    """What one process saved, another one reads."""
    SqlTokenStore(url).save("mail", "{}")
    assert SqlTokenStore(url).load("mail") == "{}"


def test_reads_many_at_once(url: str) -> None:
    """A thousand records are read at once, and those that are not there are None."""
    store = SqlTokenStore(url)
    for number in range(0, 1_000, 100):
        store.save(f"mail_{number}", str(number))
    found = store.load_many([f"mail_{number}" for number in range(1_001)])
    assert len(found) == 1_001
    assert {conn_id: text for conn_id, text in found.items() if text is not None} == {
        f"mail_{number}": str(number) for number in range(0, 1_000, 100)
    }


def test_deleting_leaves_the_lease(url: str) -> None:
    """Whoever deletes a record while another host renews does not let a third one in."""
    store = SqlTokenStore(url)
    holder = lease_of(store)
    assert holder.attempt(1)
    store.delete("mail")
    assert not lease_of(store).attempt(1)


# --- Many processes ---------------------------------------------------------------------------


def test_many_processes_make_the_tables(url: str) -> None:
    """Of many processes that find an empty database at the same instant, all can work."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    together = context.Barrier(PROCESSES)
    workers = [
        context.Process(target=_use, args=(url, f"mail_{number}", together))
        for number in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(WAIT_SECONDS)
    assert [worker.exitcode for worker in workers] == [0] * PROCESSES
    store = SqlTokenStore(url)
    assert [store.load(f"mail_{number}") for number in range(PROCESSES)] == ["{}"] * PROCESSES


def _use(url: str, conn_id: str, together: Barrier) -> None:
    store = SqlTokenStore(url)
    together.wait(WAIT_SECONDS)
    # Each needs the other table first.
    if conn_id.endswith(("0", "2", "4", "6", "8")):
        store.save(conn_id, "{}")
        assert lease_of(store, conn_id=conn_id).attempt(0)
    else:
        assert lease_of(store, conn_id=conn_id).attempt(0)
        store.save(conn_id, "{}")


def test_a_forked_child_goes_on(url: str) -> None:
    """A child forked from a process that has used the store uses it, and so does the parent."""
    store = SqlTokenStore(url)
    store.save("mail", "old")
    child = multiprocessing.get_context("fork").Process(target=_replace, args=(store,))
    child.start()
    child.join(WAIT_SECONDS)
    assert child.exitcode == 0
    assert store.replace("mail", "newest", expected="new")


def _replace(store: SqlTokenStore) -> None:
    assert store.replace("mail", "new", expected="old")


# --- Leases -----------------------------------------------------------------------------------


def test_claim_whose_answer_was_lost(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a claim took effect and only the answer was lost, the same host need not wait."""
    store, host = SqlTokenStore(url), HostMemory()
    before = lease_of(store)
    assert before.attempt(1)
    before.release()
    changed = TokenDatabase.changed

    def lost(*arguments: Any) -> bool:
        changed(*arguments)
        raise TokenStoreError("The answer was lost.")

    monkeypatch.setattr(TokenDatabase, "changed", lost)
    with pytest.raises(TokenStoreError, match="was lost"):
        lease_of(store, host=host).attempt(1)
    monkeypatch.undo()
    assert not lease_of(store).attempt(1)
    assert lease_of(store, host=host).attempt(1)


def test_release_without_a_database_raises_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """When the lease cannot be given back, the log says so, and the renewal is not spoilt."""
    lease = lease_of(SqlTokenStore(f"sqlite:///{tmp_path}/tokens.db"))
    assert lease.attempt(1)
    (tmp_path / "tokens.db").unlink()
    (tmp_path / "tokens.db").mkdir()
    lease.release()
    assert "Connection 'mail': the lease was not given back" in caplog.text


@pytest.mark.parametrize("claim", [one_of_many_replaces, hosts_take_turns], ids=claim_name)
def test_where_serializable_is_the_default(
    claim: Claim, postgresql: PostgreSQL, database: str
) -> None:
    """Whoever comes second gets an answer, no error, whatever the database's own isolation."""
    postgresql.execute(
        f"ALTER DATABASE {database} SET default_transaction_isolation = 'serializable'"
    )
    claim(SqlTokenStore(postgresql.url(database)))


# --- Databases in trouble ---------------------------------------------------------------------


def _make_tables(url: str) -> None:
    store = SqlTokenStore(url)
    store.save("other", "{}")
    lease = lease_of(store)
    assert lease.attempt(1)
    lease.release()


@contextmanager
def _locked_file(folder: Path) -> Iterator[str]:
    url = f"sqlite:///{folder}/tokens.db"
    _make_tables(url)
    with closing(sqlite3.connect(folder / "tokens.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield f"{url}?timeout=0.3"


@contextmanager
def _read_only_file(folder: Path) -> Iterator[str]:
    (folder / "tokens.db").touch()
    yield f"sqlite:///file:{folder}/tokens.db?mode=ro&uri=true"


@contextmanager
def _no_folder(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder}/missing/tokens.db"


@contextmanager
def _no_database_in_the_file(folder: Path) -> Iterator[str]:
    (folder / "tokens.db").write_text("Something else. " * 100)
    yield f"sqlite:///{folder}/tokens.db"


@contextmanager
def _locked_tables(server: PostgreSQL) -> Iterator[str]:
    database = server.create_database()
    url = server.url(database)
    _make_tables(url)
    server.execute(f"ALTER DATABASE {database} SET statement_timeout = '300ms'")
    with server.connect(database) as other:
        other.run("BEGIN")
        other.run("LOCK TABLE imap_oauth_token, imap_oauth_lease")
        yield url


@contextmanager
def _read_only_server(server: PostgreSQL) -> Iterator[str]:
    database = server.create_database()
    _make_tables(server.url(database))
    server.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    yield server.url(database)


@contextmanager
def _wrong_password(server: PostgreSQL) -> Iterator[str]:
    yield server.url(server.create_database(), password=CANARY)


@contextmanager
def _no_right_to_make_tables(server: PostgreSQL) -> Iterator[str]:
    database = server.create_database()
    role = f"guest_{secrets.token_hex(5)}"
    server.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC", database)
    server.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{CANARY}'")
    yield server.url(database, user=role, password=CANARY)


@contextmanager
def _nobody_listens(server: PostgreSQL) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield server.url("tokens", port=probe.getsockname()[1])


@contextmanager
def _nobody_answers(server: PostgreSQL) -> Iterator[str]:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        yield server.url("tokens", port=silent.getsockname()[1]) + "?timeout=0.3"


@contextmanager
def _unknown_parameter(server: PostgreSQL) -> Iterator[str]:
    yield server.url("tokens") + f"?password_of_old={CANARY}"


#: Each with what the message says of it; SQLite's own codes need Python 3.11.
TROUBLES: tuple[tuple[Callable[[Any], AbstractContextManager[str]], str], ...] = (
    (_locked_file, r"OperationalError( SQLITE_BUSY)?"),
    (_read_only_file, r"OperationalError( SQLITE_READONLY)?"),
    (_no_folder, r"OperationalError( SQLITE_CANTOPEN)?"),
    (_no_database_in_the_file, r"DatabaseError( SQLITE_NOTADB)?"),
    (_locked_tables, r"\w+Error 57014"),
    (_read_only_server, r"\w+Error 25006"),
    (_wrong_password, r"\w+Error 28P01"),
    (_no_right_to_make_tables, r"\w+Error 42501"),
    (_nobody_listens, "InterfaceError"),
    (_nobody_answers, "TimeoutError"),
    (_unknown_parameter, "TypeError"),
)
ON_FILES = (_locked_file, _read_only_file, _no_folder, _no_database_in_the_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A database that does not work, and what is said of it."""

    url: str
    said: str


@pytest.fixture(
    params=[
        pytest.param(
            trouble,
            marks=() if trouble[0] in ON_FILES else pytest.mark.postgresql,
            id=trouble[0].__name__.strip("_"),
        )
        for trouble in TROUBLES
    ]
)
def trouble(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Trouble]:
    """Give a database in each of the troubles in turn."""
    make, said = request.param
    place = tmp_path if make in ON_FILES else request.getfixturevalue("postgresql")
    with make(place) as url:
        yield Trouble(url=url, said=said)


def test_trouble_is_told_soon(trouble: Trouble) -> None:
    """A database that does not work is told as such in bounded time, with its own code."""
    store = SqlTokenStore(trouble.url)
    began_at = time.monotonic()
    with pytest.raises(TokenStoreError, match=rf"\({trouble.said}\)") as caught:
        store.save("mail", "{}")
    assert time.monotonic() - began_at < BOUND_SECONDS
    assert caught.value.retry_helps
    assert (caught.value.conn_id, caught.value.step) == ("mail", "token store")
    assert "[imap_oauth] sql_alchemy_conn" in caught.value.hint


def test_trouble_is_no_free_lease(trouble: Trouble) -> None:
    """Nobody takes the lease of a database that does not work."""
    with pytest.raises(TokenStoreError):
        lease_of(SqlTokenStore(trouble.url)).attempt(1)


def test_trouble_shows_no_secret(trouble: Trouble, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the password nor the record is in error, traceback or log, even of level DEBUG."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="sqlalchemy")
    with pytest.raises(TokenStoreError) as caught:
        SqlTokenStore(trouble.url).save("mail", RECORD)
    error = caught.value
    assert (error.__cause__, error.__context__) == (None, None)
    shown = "".join(traceback.format_exception(error)) + repr(error) + caplog.text
    password = make_url(trouble.url).password
    assert not [secret for secret in (CANARY, RECORD, password) if secret and secret in shown]


def test_log_shows_no_secret(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Where all is well, neither password nor record is in the log, even of level DEBUG."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="sqlalchemy")
    store = SqlTokenStore(url)
    store.save("mail", RECORD)
    assert store.replace("mail", RECORD + RECORD, expected=RECORD)
    assert store.load("mail") == RECORD + RECORD
    assert store.load_many(["mail"])
    password = make_url(url).password
    assert RECORD not in caplog.text
    assert password is None or password not in caplog.text


def test_statement_does_not_wait_for_ever(
    postgresql: PostgreSQL, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the server sets no limit to a statement, the store does."""
    store = SqlTokenStore(postgresql.url(database))
    store.save("mail", "{}")
    monkeypatch.setattr(sql_database, "_STATEMENT_SECONDS", 0.3)
    with postgresql.connect(database) as other:
        other.run("BEGIN")
        other.run("LOCK TABLE imap_oauth_token")
        with pytest.raises(TokenStoreError, match="57014"):
            store.load("mail")


def test_works_again_after_trouble(postgresql: PostgreSQL, database: str) -> None:
    """Once the database works again, so does a store that was made before."""
    store = SqlTokenStore(postgresql.url(database))
    store.save("mail", "{}")
    postgresql.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
    with pytest.raises(TokenStoreError):
        store.load("mail")
    postgresql.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
    assert store.load("mail") == "{}"


def test_tables_that_vanish_are_made_again(url: str) -> None:
    """After somebody has emptied the database there is no record, and no error."""
    store = SqlTokenStore(url)
    store.save("mail", "{}")
    with create_engine(url).begin() as database:
        database.exec_driver_sql("DROP TABLE imap_oauth_token")
    assert store.load("mail") is None


def test_needs_no_right_to_make_tables(postgresql: PostgreSQL, database: str) -> None:
    """Where an administrator has made the tables, a role that may only use them is enough."""
    _make_tables(postgresql.url(database))
    role = f"guest_{secrets.token_hex(5)}"
    for statement in (
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        f"CREATE ROLE {role} LOGIN PASSWORD '{CANARY}'",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
    ):
        postgresql.execute(statement, database)
    store = SqlTokenStore(postgresql.url(database, user=role, password=CANARY))
    store.save("mail", "{}")
    assert store.load("mail") == "{}"
