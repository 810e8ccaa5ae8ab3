# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""One renewal at a time among hosts that share a database."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable

from sqlalchemy import insert, select, update

from airflow_imap_oauth.exceptions import TokenStoreError
from airflow_imap_oauth.tokens.leases import Holding, HostMemory, LeaseTerms
from airflow_imap_oauth.tokens.sql_database import LEASE, TokenDatabase

logger = logging.getLogger(__name__)


class SqlLease:
    """
    A row in which one holder at a time has its name; see :class:`~.leases.Lease`.

    No transaction stays open: a holder that stands still blocks nobody beyond its time.

    :param monotonic: This host's clock.
    """

    def __init__(
        self,
        database: TokenDatabase,
        terms: LeaseTerms,
        host: HostMemory,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._conn_id = terms.conn_id
        self._host = host
        self._holding = Holding(terms, host, monotonic)
        self._monotonic = monotonic
        self._name: str | None = None
        self.may_begin = self._holding.may_begin

    def attempt(self, generation: int) -> bool:
        """Put this holder's name where nobody's stands, or that of somebody gone."""
        del generation  # the row itself tells
        asked_at = self._monotonic()
        query = select(LEASE.c.holder).where(LEASE.c.conn_id == self._conn_id)
        found = self._database.text(self._conn_id, query)
        if found is not None and not self._holding.is_over(found):
            return False
        # A new one each time: whoever watches must not take two renewals for one that hangs.
        name = self._name = secrets.token_hex(16)
        if found is None:
            # Before it stands there: should the answer be lost, the next process of this host
            # knows the name, and need not wait until it counts as abandoned. That is safe where a
            # name never takes the place of another holder's, however late it arrives.
            self._host.save(self._conn_id, name)
        if not self._put(name, in_place_of=found):
            return False
        self._holding.begin(name, since=asked_at)
        return True

    def _put(self, name: str, *, in_place_of: str | None) -> bool:
        unchanged = (
            LEASE.c.conn_id == self._conn_id,
            LEASE.c.holder.is_not_distinct_from(in_place_of),
        )
        change = update(LEASE).where(*unchanged).values(holder=name)
        if self._database.changed(self._conn_id, change):
            return True
        new = insert(LEASE).values(conn_id=self._conn_id, holder=name)
        return in_place_of is None and self._database.changed(self._conn_id, new)

    def leave(self) -> None:
        """Let this holder's name stand; the next one of this host knows it."""

    def end_left(self) -> None:
        """Take the name of the last holder of this host out of the row, if it still stands."""
        self._remove(self._holding.last())

    def release(self) -> None:
        """Take this holder's name out of the row, if it still stands there."""
        self._remove(self._name)

    def _remove(self, name: str | None) -> None:
        if name is None:
            return
        held = (LEASE.c.conn_id == self._conn_id, LEASE.c.holder == name)
        try:
            self._database.changed(self._conn_id, update(LEASE).where(*held).values(holder=None))
        except TokenStoreError as error:
            # Whoever comes next waits until it counts as abandoned.
            logger.warning(
                "Connection '%s': the lease was not given back: %s", self._conn_id, error.message
            )
