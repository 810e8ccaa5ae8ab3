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
        self._holding = Holding(terms, host, monotonic)
        self._monotonic = monotonic
        self._name = secrets.token_hex(16)
        self.may_begin = self._holding.may_begin

    def attempt(self, generation: int) -> bool:
        """Put this holder's name where nobody's stands, or that of somebody gone."""
        del generation  # the row itself tells
        asked_at = self._monotonic()
        mine = self._database.changed
        row = LEASE.c.conn_id == self._conn_id
        found = self._database.text(self._conn_id, select(LEASE.c.holder).where(row))
        if found is not None and not self._holding.is_over(found):
            return False
        name = update(LEASE).where(row, LEASE.c.holder.is_not_distinct_from(found))
        if not mine(self._conn_id, name.values(holder=self._name)):
            new = insert(LEASE).values(conn_id=self._conn_id, holder=self._name)
            if found is not None or not mine(self._conn_id, new):
                return False
        self._holding.begin(self._name, since=asked_at)
        return True

    def release(self) -> None:
        """Take this holder's name out of the row, if it still stands there."""
        held = (LEASE.c.conn_id == self._conn_id, LEASE.c.holder == self._name)
        try:
            self._database.changed(self._conn_id, update(LEASE).where(*held).values(holder=None))
        except TokenStoreError as error:
            # Whoever comes next waits until it counts as abandoned.
            logger.warning(
                "Connection '%s': the lease was not given back: %s", self._conn_id, error.message
            )
