# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The database of the token store ``sql``: its two tables, made on first use."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    Executable,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable

from airflow_imap_oauth.exceptions import ConfigurationError, TokenStoreError

Result = TypeVar("Result")

OPTION = "[imap_oauth] sql_alchemy_conn"

_STEP = "token store"
_MAX_ID_LENGTH = 250  # of Airflow's own column
_MAX_HOLDER_LENGTH = 64
_DIALECTS = ("postgresql", "sqlite")
_UNDEFINED_TABLE = "42P01"  # of PostgreSQL

#: For how long one statement may wait for others.
_STATEMENT_SECONDS = 20.0
_LIBPQ: dict[str, float] = {"connect_timeout": 10, "tcp_user_timeout": 20_000}
#: What bounds connecting, and waiting for an answer, by driver; the query of the URL may set it.
_BOUNDS: dict[str, dict[str, float]] = {
    "pg8000": {"timeout": 25.0},
    "psycopg": _LIBPQ,
    "psycopg2": _LIBPQ,
    "pysqlite": {"timeout": _STATEMENT_SECONDS},
}
_LOGGING_NAME = "imap_oauth"

_METADATA = MetaData()

#: One row for each connection: its token record.
TOKEN = Table(
    "imap_oauth_token",
    _METADATA,
    Column("conn_id", String(_MAX_ID_LENGTH), primary_key=True),
    Column("record", Text, nullable=False),
)

#: One row for each connection that was ever renewed: who renews it now, or NULL.
LEASE = Table(
    "imap_oauth_lease",
    _METADATA,
    Column("conn_id", String(_MAX_ID_LENGTH), primary_key=True),
    Column("holder", String(_MAX_HOLDER_LENGTH)),
)


class TokenDatabase:
    """
    Runs single statements, each in a transaction and over a connection of its own.

    :param url: Of SQLAlchemy.
    :raises ConfigurationError: If the URL is none, is of another database than PostgreSQL and
        SQLite, or its driver is missing. A retry cannot help.
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)

    def changed(self, conn_id: str, statement: Executable) -> bool:
        """
        Run a statement that changes a row, or does not find it, or finds it there already.

        :return: Whether it has changed one.
        :raises TokenStoreError: If the database does not work. A retry helps.
        """

        def work(database: Connection) -> bool:
            return bool(database.execute(statement).rowcount)

        try:
            return self._run(conn_id, "written to", work)
        except IntegrityError:
            return False

    def text(self, conn_id: str, query: Executable) -> str | None:
        """
        Return the one value that a query finds, or None.

        :raises TokenStoreError: If the database does not work. A retry helps.
        """
        found = self._run(conn_id, "read from", lambda database: database.scalar(query))
        return None if found is None else str(found)

    def texts(self, query: Executable) -> dict[str, str]:
        """
        Return the texts that a query finds, by the ids of their connections.

        :raises TokenStoreError: If the database does not work. A retry helps.
        """
        rows = self._run(None, "read from", lambda database: database.execute(query).all())
        return {str(conn_id): str(text) for conn_id, text in rows}

    def _run(self, conn_id: str | None, verb: str, work: Callable[[Connection], Result]) -> Result:
        try:
            return self._with_tables(work)
        except IntegrityError:
            raise
        except Exception as error:  # noqa: BLE001  # drivers raise what they please where they connect
            problem = _problem(error)
        # Not chained, and outside of the except clause: the text of some quotes the URL's password.
        raise TokenStoreError(
            f"The token record could not be {verb} the database ({problem}).",
            hint=f"Check the database that {OPTION} names, and that it may be written.",
            conn_id=conn_id,
            step=_STEP,
        )

    def _with_tables(self, work: Callable[[Connection], Result]) -> Result:
        try:
            with self._begun() as database:
                return work(database)
        except DBAPIError as error:
            if not _lacks_table(error):
                raise
        failure = self._make_tables()
        try:
            with self._begun() as database:
                return work(database)
        except DBAPIError as error:
            if failure is not None and _lacks_table(error):
                raise failure from None  # why there is none says more
            raise

    def _make_tables(self) -> DBAPIError | None:
        """Make both tables, and return what went wrong; other processes may be making them, too."""
        failures = [self._make(table) for table in _METADATA.sorted_tables]
        return next(filter(None, failures), None)

    def _make(self, table: Table) -> DBAPIError | None:
        try:
            with self._begun() as database:
                database.execute(CreateTable(table, if_not_exists=True))
        except DBAPIError as error:
            return error
        return None

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        with self._engine.begin() as database:
            if self._engine.dialect.name == "postgresql":
                # For this transaction, as a pooler may share the session; a limit of the role, or
                # of the database, stays.
                database.exec_driver_sql(
                    f"SELECT set_config('statement_timeout', '{_STATEMENT_SECONDS * 1000:.0f}', "
                    "true) WHERE current_setting('statement_timeout') = '0'"
                )
            yield database


@lru_cache(maxsize=8)
def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        dialect = parsed.get_backend_name()
        if dialect not in _DIALECTS:
            problem = f"is for '{dialect:.30}'"
        elif dialect == "sqlite" and not _is_absolute(parsed.database or ""):
            problem = "names no file by its absolute path"
        else:
            engine = _made(parsed)
            if not engine.dialect.is_async:
                return engine
            problem = f"names '{engine.dialect.driver:.30}', which is for asynchronous programs"
    except ImportError as error:
        problem = f"needs the driver '{error.name or parsed.get_driver_name()}', which is missing"
    except NoSuchModuleError:
        problem = "names a driver that SQLAlchemy does not know"
    except (SQLAlchemyError, ValueError, TypeError) as error:
        problem = f"is no URL of SQLAlchemy ({type(error).__name__})"
    # Not chained, and outside of the except clause: the text of some quotes parts of the password.
    raise ConfigurationError(
        f"The option {OPTION} {problem}.",
        hint="Set it to postgresql+<an installed driver>://user:password@host/database, or to "
        "sqlite:////absolute/path for a single host; a password is percent-encoded.",
        step=_STEP,
    )


def _made(url: URL) -> Engine:
    bounds = _BOUNDS.get(url.get_driver_name(), {})
    query: Any = url.query
    options: dict[str, Any] = {}
    if url.get_backend_name() == "postgresql":
        # Where serializable is the default, whoever comes second gets an error, not an answer.
        options["isolation_level"] = "READ COMMITTED"
    engine = create_engine(
        url,
        # A forked child shares no connection.
        poolclass=NullPool,
        connect_args={name: type(bound)(query.get(name, bound)) for name, bound in bounds.items()},
        # Parameters and rows are records.
        hide_parameters=True,
        logging_name=_LOGGING_NAME,
        **options,
    )
    logging.getLogger(f"sqlalchemy.engine.Engine.{_LOGGING_NAME}").setLevel(logging.WARNING)
    return engine


def _is_absolute(file: str) -> bool:
    # Components of Airflow run in different folders; one in memory is gone with its connection.
    return Path(file.removeprefix("file:")).is_absolute()


def _lacks_table(error: DBAPIError) -> bool:
    return _code(error.orig) == _UNDEFINED_TABLE or "no such table" in str(error.orig)


def _problem(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return " ".join(filter(None, (type(cause).__name__, _code(cause))))


def _code(cause: BaseException | None) -> str | None:
    """Return the code of the database for an error, by whichever name its driver gives it."""
    told = cause.args[0] if cause is not None and cause.args else None
    if isinstance(told, dict):  # pg8000
        return told.get("C")
    codes = (getattr(cause, name, None) for name in ("sqlstate", "pgcode", "sqlite_errorname"))
    return next(filter(None, codes), None)
