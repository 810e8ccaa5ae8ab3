# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Loading and saving the record of one connection, so that no rotated refresh token is lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    ImapOAuthError,
    TokenPersistError,
    TokenStoreError,
)
from airflow_imap_oauth.tokens.file_store import FileTokenStore
from airflow_imap_oauth.tokens.record import TokenRecord
from airflow_imap_oauth.tokens.store import ComparingStore, TokenStore

logger = logging.getLogger(__name__)

_STEP = "token store"
_MAX_ATTEMPTS = 5

#: After so long no further attempt to save begins: other hosts wait for a renewal, but not forever.
_ATTEMPT_WITHIN_SECONDS = 45.0


class RecordKeeper:
    """
    The record of one connection in its store.

    A record with a rotated refresh token that the store does not take is kept, sealed as it is, in
    a folder of this host, until the store works again (:meth:`recover`).

    :param unsaved_folder: That folder.
    :param retry_delays_seconds: How long to wait before each further attempt to save such a record.
    :param monotonic: This host's clock.
    """

    def __init__(
        self,
        store: TokenStore,
        conn_id: str,
        *,
        unsaved_folder: Path,
        retry_delays_seconds: Sequence[float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._conn_id = conn_id
        self._unsaved = FileTokenStore(unsaved_folder)
        self._retry_delays_seconds = tuple(retry_delays_seconds)
        self._monotonic = monotonic

    def load(self) -> TokenRecord | None:
        """
        Read the record: one read of the store.

        :raises TokenStoreError: If the store does not work. A retry helps.
        :raises ConfigurationError: If what it holds cannot be understood. A retry cannot help.
        """
        with self._guarded("read"):
            text = self._store.load(self._conn_id)
        return None if text is None else TokenRecord.from_json(text)

    def save(self, record: TokenRecord) -> bool:
        """
        Save a record, unless the store holds a later one by now.

        :return: Whether it was saved.
        :raises TokenStoreError: If the store does not work. A retry helps.
        """
        text = record.to_json()
        for _ in range(_MAX_ATTEMPTS):
            with self._guarded("read"):
                stored = self._store.load(self._conn_id)
            if stored is not None and _is_later(stored, record):
                logger.warning(
                    "Connection '%s': the token store holds later tokens by now; they stay.",
                    self._conn_id,
                )
                return False
            with self._guarded("written"):
                if not isinstance(self._store, ComparingStore):
                    self._store.save(self._conn_id, text)
                    return True
                if self._store.replace(self._conn_id, text, expected=stored):
                    return True
        raise TokenStoreError("Others kept changing the token record.", step=_STEP)

    def delete(self) -> None:
        """
        Delete the record, if there is one.

        :raises TokenStoreError: If the store does not work. A retry helps.
        """
        with self._guarded("deleted"):
            self._store.delete(self._conn_id)

    def save_rotated(self, record: TokenRecord) -> None:
        """
        Save a record that holds a refresh token of which there is no other copy.

        :raises TokenPersistError: If the store does not take it, although asked several times. The
            record is then kept on this host. A retry helps, on this host.
        """
        saved = False
        try:
            failure = self._attempts(record)
            saved = failure is None
        finally:
            # Also when a time limit of the task, or a signal, ends the attempts.
            kept = saved or self._keep(record)
        if failure is not None:
            where = "It is kept, sealed, on this host" if kept else "It could not be kept either"
            raise TokenPersistError(
                f"The token store did not take the rotated refresh token. {where}. "
                f"({failure.message})",
                hint="Repair the token store; the next renewal on this host saves it."
                if kept
                else "Repair the token store, then authorize again if the connection needs it.",
                step=_STEP,
            ) from failure

    def recover(self, opens: Callable[[TokenRecord], bool]) -> bool:
        """
        Save what an earlier renewal on this host could not save.

        To be called by whoever holds the renewal lock, before the record is read.

        :param opens: Tells whether the tokens of a record open here; if not, the record belongs to
            another installation or an earlier configuration, and stays where it is; so does one
            of a later version of this package.
        :return: Whether there was something, which is saved now or outdated.
        :raises TokenPersistError: If the store still does not take it. A retry helps.
        """
        kept = self._kept(opens)
        if kept is None:
            return False
        newer = _ahead(kept, self.load())
        if newer is not None:
            self.save_rotated(newer)
            logger.warning(
                "Connection '%s': saved the rotated refresh token that could not be saved before.",
                self._conn_id,
            )
        self.forget_unsaved()
        return True

    def newest(self, opens: Callable[[TokenRecord], bool]) -> TokenRecord | None:
        """
        Read the record, or what an earlier renewal on this host could not save if that is newer.

        :param opens: As for :meth:`recover`.
        :raises TokenStoreError: If the store does not work. A retry helps.
        :raises ConfigurationError: If what it holds cannot be understood. A retry cannot help.
        """
        kept, stored = self._kept(opens), self.load()
        return (kept and _ahead(kept, stored)) or stored

    def forget_unsaved(self) -> None:
        """Remove what :meth:`save_rotated` has kept on this host."""
        self._unsaved.delete(self._conn_id)

    def _kept(self, opens: Callable[[TokenRecord], bool]) -> TokenRecord | None:
        text = self._unsaved.load(self._conn_id)
        if text is None:
            return None
        try:
            kept = TokenRecord.from_json(text)
        except ConfigurationError:
            return None
        return kept if opens(kept) else None

    def _attempts(self, record: TokenRecord) -> ImapOAuthError | None:
        failure: ImapOAuthError | None = None
        began_at = self._monotonic()
        for delay in (0.0, *self._retry_delays_seconds):
            if failure is not None:
                if self._monotonic() - began_at > _ATTEMPT_WITHIN_SECONDS:
                    break
                logger.warning(
                    "Connection '%s': a rotated refresh token is not saved yet: %s",
                    self._conn_id,
                    failure.message,
                )
            time.sleep(delay)
            try:
                self.save(record)
            except ImapOAuthError as error:
                failure = error
            else:
                return None
        return failure

    def _keep(self, record: TokenRecord) -> bool:
        try:
            self._unsaved.save(self._conn_id, record.to_json())
        except ImapOAuthError as error:
            logger.error("Connection '%s': %s", self._conn_id, error.message)  # noqa: TRY400  # the traceback says no more
            return False
        return True

    @contextmanager
    def _guarded(self, verb: str) -> Iterator[None]:
        try:
            yield
        except ImapOAuthError as error:
            raise error.located(conn_id=self._conn_id, step=_STEP) from error.__cause__
        except Exception as error:  # noqa: BLE001  # the code of other distributions may raise anything
            # Not chained: the message may quote what was to be written.
            raise TokenStoreError(
                f"The token record could not be {verb} ({type(error).__name__}).",
                conn_id=self._conn_id,
                step=_STEP,
            ) from None


def _ahead(kept: TokenRecord, stored: TokenRecord | None) -> TokenRecord | None:
    """Return a record that was kept, if the store has nothing as new, as it goes into the store."""
    if stored is None or stored.generation < kept.generation:
        return kept
    if stored.in_flight_at is not None and stored.in_flight_at == kept.last_refresh_at:
        # What it is the answer to is still unanswered there; the tokens were only sealed anew.
        return replace(kept, generation=stored.generation + 1)
    return None  # whatever was authorized or renewed since is at least as new


def _is_later(text: str, record: TokenRecord) -> bool:
    try:
        stored = TokenRecord.from_json(text)
    except ConfigurationError:
        return False  # whoever saves has decided to replace it
    if stored.generation == record.generation:
        # Whoever goes back to the refresh token before the last rotation swaps the two.
        return stored.refresh_token not in (record.refresh_token, record.previous_refresh_token)
    return stored.generation > record.generation
