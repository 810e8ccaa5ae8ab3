# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The only place that refreshes.

Invariant: a rotated refresh token is durable before the access token that came with it is used,
and for many workers one renewal is one token request.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    ImapOAuthError,
    OAuthError,
    ReauthorizationRequiredError,
    SealingError,
    TokenPersistError,
    TokenStoreError,
)
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.settings import OAuthSettings, TransportSettings
from airflow_imap_oauth.tokens import transitions
from airflow_imap_oauth.tokens.answers import record_of_authorization, record_of_renewal
from airflow_imap_oauth.tokens.freshness import due, lives
from airflow_imap_oauth.tokens.locks import RenewalLock
from airflow_imap_oauth.tokens.record import TokenRecord
from airflow_imap_oauth.tokens.record_keeper import RecordKeeper
from airflow_imap_oauth.tokens.refreshing import Refresh, ServerRefresh, spend
from airflow_imap_oauth.tokens.sealing import Sealer
from airflow_imap_oauth.tokens.seeds import (
    Seed,
    Tokens,
    TokenSealer,
    reconcile,
    same_token,
    sealing_warnings,
)
from airflow_imap_oauth.tokens.state import TokenState, state_of, state_of_failure
from airflow_imap_oauth.tokens.store import TokenStore

if TYPE_CHECKING:
    from airflow_imap_oauth.oauth.http import Transport

logger = logging.getLogger(__name__)

DEFAULT_RENEW_BEFORE_SECONDS = 300.0

#: On top of what the requests of a renewal may take: saving, with its retries.
_SAVING_SECONDS = 60.0


def utc_now() -> datetime:
    """Return the current instant."""
    return datetime.now(timezone.utc)


class TokenManager:
    """
    Hands out access tokens of one connection, and renews them.

    It may be made anew for each use: everything that lasts is in the store.

    :param settings: As configured, before discovery.
    :param binding: What secrets are bound to (:func:`~.binding.binding` of the same settings).
    :param seed: The refresh token as it stands in the connection, sealed or plain; None or empty:
        there is none.
    :param lock_folder: Where the processes of this host meet; also keeps, sealed, what the store
        did not take.
    :param transport_factory: Makes the transport of token requests; None: this package's own.
    :param renew_before_seconds: How long before its end a living access token may be renewed.
    :param now: The clock.
    :param jitter: Draws from 0 to 1, once: when within that time this manager begins.
    :param refresh: Spends a refresh token; None: asks the authorization server.
    :param save_retry_delays_seconds: How long to wait before each further attempt to save a
        rotated refresh token.
    """

    def __init__(  # noqa: PLR0913  # every collaborator is handed in, by name
        self,
        *,
        settings: OAuthSettings,
        binding: Mapping[str, str],
        store: TokenStore,
        sealer: Sealer,
        seed: str | None,
        lock_folder: Path,
        transport_factory: Callable[[TransportSettings], Transport] | None = None,
        renew_before_seconds: float = DEFAULT_RENEW_BEFORE_SECONDS,
        now: Callable[[], datetime] = utc_now,
        jitter: Callable[[], float] = random.random,
        refresh: Refresh | None = None,
        save_retry_delays_seconds: tuple[float, ...] = (0.2, 0.5, 1.0),
    ) -> None:
        self._settings = settings
        self._conn_id = settings.conn_id
        self._sealer = TokenSealer(sealer, binding, conn_id=settings.conn_id)
        self._seed = Seed.read(seed, self._sealer)
        self._lock = RenewalLock(lock_folder, settings.conn_id)
        self._keeper = RecordKeeper(
            store,
            settings.conn_id,
            unsaved_folder=lock_folder / "unsaved",
            retry_delays_seconds=save_retry_delays_seconds,
        )
        self._refresh = refresh or ServerRefresh(settings, transport_factory)
        self._renew_before_seconds = renew_before_seconds
        self._now = now
        self._jitter = jitter()

    def get_access_token(self) -> str:
        """
        Return an access token that is good for a while.

        With a living one this is one read of the store: no lock, no network. Near its end one
        caller renews it while all others go on with the living one; after its end all wait for the
        one that renews.

        :raises ReauthorizationRequiredError: If somebody must authorize (again). A retry cannot
            help.
        :raises TransientOAuthError: If the authorization server is out of order. A retry helps.
        :raises OAuthError: If it refuses for another reason. A retry cannot help.
        :raises TokenPersistError: If a rotated refresh token could not be saved; the access token
            that came with it is not handed out. A retry helps.
        :raises TokenStoreError: If the store does not work, or the renewal lock is not to be had.
            A retry helps.
        :raises SealingError: If the tokens do not open here. A retry cannot help.
        """
        with self._located():
            seen = self._current()
            if seen.access_token is None or not lives(seen.record, self._now()):
                with self._lock.hold(timeout_seconds=self._lock_timeout_seconds):
                    return self._renew(seen, early=False)
            if self._due(seen):
                return self._renew_early(seen, seen.access_token)
            return seen.access_token

    def reject_access_token(self, token: str) -> None:
        """
        Drop an access token that the IMAP server rejected, so that the next call renews.

        Only if it is still the one in the store: a newer one, of another worker, stays.

        :raises TokenStoreError: If the store does not work, or the renewal lock is not to be had.
            A retry helps.
        """
        with self._located(), self._lock.hold(timeout_seconds=self._lock_timeout_seconds):
            record = self._keeper.load()
            if record is None:
                return
            try:
                stored = self._sealer.open_access_token(record)
            except SealingError:
                return  # not the token that was rejected: that one opened
            if stored is not None and same_token(stored, token):
                self._keeper.save(transitions.without_access_token(record))
                logger.info("Connection '%s': dropped a rejected access token.", self._conn_id)

    def accept_authorization(self, response: TokenResponse) -> None:
        """
        Begin anew with what an authorization has just brought, and keep its access token.

        The connection must hold the new refresh token already (:func:`seal_refresh_token`): should
        this fail, it wins over the record all the same.

        :raises ReauthorizationRequiredError: If the response has no refresh token. A retry cannot
            help.
        :raises TokenStoreError: If the store does not work, or the renewal lock is not to be had.
            A retry helps.
        """
        with self._located(), self._lock.hold(timeout_seconds=self._lock_timeout_seconds):
            try:
                before = self._keeper.load()
            except ConfigurationError as error:
                logger.warning("Connection '%s': replacing it: %s", self._conn_id, error.message)
                before = None
            record = record_of_authorization(response, before, self._sealer, at=self._now())
            self._keeper.save(record)
            self._keeper.forget_unsaved()

    def state(self) -> TokenState:
        """
        Describe the tokens: one read of the store, no network, no lock.

        :raises TokenStoreError: If the store does not work. A retry helps.
        """
        stored = None
        try:
            stored = self._keeper.load()
            return state_of(stored, self._reconciled(stored))
        except (ConfigurationError, ReauthorizationRequiredError, SealingError) as error:
            return state_of_failure(stored, error)

    @property
    def _lock_timeout_seconds(self) -> float:
        transport = self._settings.transport
        request_seconds = transport.connect_timeout_seconds + 2 * transport.read_timeout_seconds
        return 2 * request_seconds + _SAVING_SECONDS  # discovery and the token request

    def _current(self) -> Tokens:
        """Read what rules, and fail at once where only a human can help."""
        tokens = self._reconciled(self._keeper.load())
        record = tokens.record
        if record.status == "needs_authorization":
            if self._seed.error is not None:  # perhaps what was authorized since
                raise self._seed.error
            raise ReauthorizationRequiredError(
                f"Somebody must authorize again, since {record.status_since_at:%Y-%m-%d %H:%M} "
                f"UTC: {record.status_reason}",
                hint=record.last_error.hint if record.last_error else None,
                step="token renewal",
            )
        return tokens

    def _reconciled(self, stored: TokenRecord | None) -> Tokens:
        return reconcile(
            stored,
            self._seed,
            self._sealer,
            seed_survives_rotation=not self._settings.profile.rotates_refresh_token,
            at=self._now(),
        )

    def _due(self, tokens: Tokens) -> bool:
        return due(
            tokens.record,
            self._now(),
            renew_before_seconds=self._renew_before_seconds,
            jitter=self._jitter,
        )

    def _renew_early(self, seen: Tokens, living: str) -> str:
        with self._lock.attempt() as entered:
            if not entered:
                return living
            try:
                return self._renew(seen, early=True)
            except (ReauthorizationRequiredError, TokenPersistError):
                raise
            except (OAuthError, TokenStoreError) as error:
                logger.warning(
                    "Connection '%s': early renewal failed, the living access token serves on: %s",
                    self._conn_id,
                    error.message,
                )
                return living

    def _renew(self, seen: Tokens, *, early: bool) -> str:
        """Renew under the lock, unless another worker has done so, or was refused, meanwhile."""
        self._keeper.recover(self._opens)
        current = self._current()
        if current.access_token is not None and lives(current.record, self._now()):
            if not (early and self._due(current)):
                return current.access_token
        elif (
            current.record.last_error is not None
            and current.record.last_error != seen.record.last_error
        ):
            # All who waited share the answer that the first of them got.
            raise transitions.error_again(current.record.last_error)
        return self._spend(current, may_adopt=True)

    def _spend(self, current: Tokens, *, may_adopt: bool) -> str:
        for warning in sealing_warnings(current, self._seed):
            logger.warning("Connection '%s': %s", self._conn_id, warning)
        asked_at = self._now()
        try:
            response, interruption = spend(self._refresh, current.refresh_token)
        except ReauthorizationRequiredError as error:
            return self._refused(current, error, may_adopt=may_adopt)
        except ImapOAuthError as error:
            self._note(current, transitions.failed(current.record, error, at=self._now()))
            raise
        record = record_of_renewal(current, response, self._sealer, asked_at=asked_at)
        rotated = record.refresh_token != current.record.refresh_token
        # Not handed out, nor refused, before its refresh token is safe.
        self._keeper.save_rotated(record)
        if interruption is not None:
            raise interruption
        if response.fault is not None:
            raise response.fault
        logger.info(
            "Connection '%s': renewed the access token, good until %s (generation %d, refresh "
            "token %s).",
            self._conn_id,
            record.access_token_expires_at,
            record.generation,
            "rotated" if rotated else "unchanged",
        )
        return response.access_token

    def _refused(
        self, spent: Tokens, error: ReauthorizationRequiredError, *, may_adopt: bool
    ) -> str:
        """Adopt what a worker of another host has renewed meanwhile; else somebody must act."""
        current = self._current()
        if may_adopt and not same_token(current.refresh_token, spent.refresh_token):
            if current.access_token is not None and lives(current.record, self._now()):
                return current.access_token
            return self._spend(current, may_adopt=False)
        self._note(current, transitions.refused(current.record, error, at=self._now()))
        raise error

    def _note(self, tokens: Tokens, record: TokenRecord) -> None:
        """Save news of a failure; that this fails must not hide the failure itself."""
        if tokens.replaces_unreadable:
            return
        try:
            self._keeper.save(record)
        except ImapOAuthError as error:
            logger.warning("Connection '%s': %s", self._conn_id, error.message)

    def _opens(self, record: TokenRecord) -> bool:
        try:
            self._sealer.open_refresh_token(record)
        except SealingError:
            return False
        return True

    @contextmanager
    def _located(self) -> Iterator[None]:
        try:
            yield
        except ImapOAuthError as error:
            raise error.located(conn_id=self._conn_id) from error.__cause__
