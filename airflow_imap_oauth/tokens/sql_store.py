# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The token store ``sql``: two tables in a database of its own, PostgreSQL or SQLite.

For fleets whose authorization server punishes a refresh token that is spent twice: records are
replaced by compare-and-set, and the right to renew is a row. Workers of Airflow cannot reach
Airflow's own database, so this is another one, which they can.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import delete, insert, select, update

from airflow_imap_oauth.tokens.leases import HostMemory, LeaseTerms
from airflow_imap_oauth.tokens.sql_database import TOKEN, TokenDatabase
from airflow_imap_oauth.tokens.sql_lease import SqlLease

_MAX_IDS_AT_ONCE = 500


class SqlTokenStore:
    """
    Keeps each record in a row; the tables are made on first use.

    Every method raises :class:`~airflow_imap_oauth.exceptions.TokenStoreError` when the database
    does not work; a retry helps.

    :param url: Of SQLAlchemy, with a driver that is installed.
    :raises ConfigurationError: If the URL is none that serves. A retry cannot help.
    """

    def __init__(self, url: str) -> None:
        self._database = TokenDatabase(url)

    @property
    def name(self) -> str:
        """The value of ``[imap_oauth] token_store`` that chooses this store."""
        return "sql"

    def load(self, conn_id: str) -> str | None:
        """Return the record's text, or None where there is none."""
        return self._database.text(
            conn_id, select(TOKEN.c.record).where(TOKEN.c.conn_id == conn_id)
        )

    def load_many(self, conn_ids: Collection[str]) -> dict[str, str | None]:
        """Return the texts of records by connection id, None where there is none."""
        ids = [*conn_ids]
        texts: dict[str, str | None] = dict.fromkeys(ids)
        for begin in range(0, len(ids), _MAX_IDS_AT_ONCE):
            some = ids[begin : begin + _MAX_IDS_AT_ONCE]
            texts |= self._database.texts(
                select(TOKEN.c.conn_id, TOKEN.c.record).where(TOKEN.c.conn_id.in_(some))
            )
        return texts

    def save(self, conn_id: str, text: str) -> None:
        """Store the text; it is committed once this returns."""
        change = update(TOKEN).where(TOKEN.c.conn_id == conn_id).values(record=text)
        # Both fail only where another process has just made the row, and one has removed it.
        while not (
            self._database.changed(conn_id, change) or self.replace(conn_id, text, expected=None)
        ):
            pass

    def replace(self, conn_id: str, text: str, *, expected: str | None) -> bool:
        """
        Store the text if what is stored is still what was read.

        :param expected: As it was read; None: nothing.
        :return: Whether it was, and is replaced now.
        """
        if expected is None:
            return self._database.changed(
                conn_id, insert(TOKEN).values(conn_id=conn_id, record=text)
            )
        unchanged = (TOKEN.c.conn_id == conn_id, TOKEN.c.record == expected)
        return self._database.changed(conn_id, update(TOKEN).where(*unchanged).values(record=text))

    def delete(self, conn_id: str) -> None:
        """Remove the record; a missing one is no error."""
        self._database.changed(conn_id, delete(TOKEN).where(TOKEN.c.conn_id == conn_id))

    def lease(self, terms: LeaseTerms, host: HostMemory) -> SqlLease:
        """Return the lease of a connection: a row in which one holder at a time has its name."""
        return SqlLease(self._database, terms, host)
