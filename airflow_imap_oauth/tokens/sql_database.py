# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The database of the token store ``sql``: its two tables, made on first use."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import TypeVar

from sqlalchemy import (
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
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from airflow_imap_oauth.exceptions import ConfigurationError, TokenStoreError

Result = TypeVar("Result")

OPTION = "[imap_oauth] sql_alchemy_conn"

_STEP = "token store"
_MAX_ID_LENGTH = 250  # of Airflow's own column
_MAX_HOLDER_LENGTH = 64
_DIALECTS = ("postgresql", "sqlite")
_BUSY_SECONDS = 20

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
            return self._run(conn_id, "written", work)
        except IntegrityError:
            return False

    def text(self, conn_id: str, query: Executable) -> str | None:
        """
        Return the one value that a query finds, or None.

        :raises TokenStoreError: If the database does not work. A retry helps.
        """
        found = self._run(conn_id, "read", lambda database: database.scalar(query))
        return None if found is None else str(found)

    def texts(self, query: Executable) -> dict[str, str]:
        """
        Return the texts that a query finds, by the ids of their connections.

        :raises TokenStoreError: If the database does not work. A retry helps.
        """
        rows = self._run(None, "read", lambda database: database.execute(query).all())
        return {str(conn_id): str(text) for conn_id, text in rows}

    def _run(self, conn_id: str | None, verb: str, work: Callable[[Connection], Result]) -> Result:
        try:
            return self._with_tables(work)
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            problem = type(cause).__name__
        # Not chained, and outside of the except clause: the text of some quotes the URL's password.
        raise TokenStoreError(
            f"The token record could not be {verb} in the database ({problem}).",
            hint=f"Check the database that {OPTION} names, and that it may be written.",
            conn_id=conn_id,
            step=_STEP,
        )

    def _with_tables(self, work: Callable[[Connection], Result]) -> Result:
        try:
            with self._engine.begin() as database:
                return work(database)
        except (OperationalError, ProgrammingError):
            # Perhaps the tables are not there yet, and other processes are making them, too. What
            # else it may be shows at the second attempt.
            with suppress(SQLAlchemyError):
                _METADATA.create_all(self._engine)
        with self._engine.begin() as database:
            return work(database)


@lru_cache(maxsize=8)
def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        dialect = parsed.get_backend_name()
        if dialect not in _DIALECTS:
            raise _unfit(f"is for '{dialect:.30}'")
        busy = {"timeout": _BUSY_SECONDS} if dialect == "sqlite" else {}
        # Without a pool, a forked child shares no connection; parameters are records.
        return create_engine(parsed, poolclass=NullPool, connect_args=busy, hide_parameters=True)
    except ImportError:
        problem = _unfit("needs a driver that is not installed")
    except SQLAlchemyError as error:
        problem = _unfit(f"is no URL of SQLAlchemy ({type(error).__name__})")
    raise problem


def _unfit(problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"The option {OPTION} {problem}.",
        hint="Set it to postgresql+<an installed driver>://user:password@host/database, or to "
        "sqlite:////absolute/path for a single host.",
        step=_STEP,
    )
