# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""After a change of keys: the same tokens, sealed by the first key, so that the others can go."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_imap_oauth.exceptions import SealingError, TokenStoreError
from airflow_imap_oauth.tokens.record import TokenRecord
from airflow_imap_oauth.tokens.record_keeper import RecordKeeper
from airflow_imap_oauth.tokens.ruling import Ruling
from airflow_imap_oauth.tokens.seeds import TokenSealer

_STEP = "sealing anew"


class Resealing:
    """
    Seals one connection's record anew.

    :param renewal_seconds: How long a renewal may last whose host this one does not know of,
        because the store parts no hosts; 0: it does.
    """

    def __init__(
        self,
        ruling: Ruling,
        *,
        keeper: RecordKeeper,
        sealer: TokenSealer,
        renewal_seconds: float,
    ) -> None:
        self._ruling = ruling
        self._keeper = keeper
        self._sealer = sealer
        self._renewal_seconds = renewal_seconds

    def is_due(self) -> bool:
        """Tell whether the store's record is not sealed by the first key, or not the newest."""
        stored = self._keeper.load()
        return (
            self._resealed(stored) is not None or self._keeper.newest(self._sealer.opens) != stored
        )

    def run(self, at: datetime) -> None:
        """
        Save what an earlier renewal on this host could not save, and seal the record anew.

        To be called by whoever holds the renewal lock and the lease.
        """
        self._keeper.recover(self._sealer.opens)
        resealed = self._resealed(self._keeper.load())
        if resealed is None:
            return
        self._keep_off_renewals(resealed, at)
        if not self._keeper.save(resealed):
            raise TokenStoreError("The tokens were replaced just now.", step=_STEP)

    def _resealed(self, stored: TokenRecord | None) -> TokenRecord | None:
        if stored is None:
            return None
        try:
            return self._sealer.resealed(stored)
        except SealingError:
            self._ruling.reconciled(stored)  # raises, unless the connection's own takes its place
            return None

    def _keep_off_renewals(self, record: TokenRecord, at: datetime) -> None:
        """Leave a record alone whose renewal may be under way: it would come back out of date."""
        began_at = record.in_flight_at
        if began_at is not None and at - began_at < timedelta(seconds=self._renewal_seconds):
            raise TokenStoreError(
                f"A renewal began at {began_at:%Y-%m-%d %H:%M:%S} UTC, and its answer is not saved "
                "yet.",
                hint=f"Try again in {self._renewal_seconds:g} seconds.",
                step=_STEP,
            )
