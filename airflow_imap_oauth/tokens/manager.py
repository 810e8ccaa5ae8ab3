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
from contextlib import AbstractContextManager, contextmanager
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
from airflow_imap_oauth.tokens.answers import (
    record_of_authorization,
)
from airflow_imap_oauth.tokens.file_store import FileTokenStore
from airflow_imap_oauth.tokens.leases import (
    BEGIN_WITHIN_SECONDS,
    HostMemory,
    Lease,
    LeaseTerms,
    NoLease,
    held,
)
from airflow_imap_oauth.tokens.locks import RenewalLock
from airflow_imap_oauth.tokens.record_keeper import RecordKeeper
from airflow_imap_oauth.tokens.refreshing import Refresh, ServerRefresh
from airflow_imap_oauth.tokens.rejections import Rejections
from airflow_imap_oauth.tokens.renewal import Renewal, RenewalTimes
from airflow_imap_oauth.tokens.resealing import Resealing
from airflow_imap_oauth.tokens.ruling import Ruling
from airflow_imap_oauth.tokens.sealing import Sealer
from airflow_imap_oauth.tokens.seeds import (
    Seed,
    Tokens,
    TokenSealer,
)
from airflow_imap_oauth.tokens.state import TokenState, state_of, state_of_failure
from airflow_imap_oauth.tokens.store import LeasingStore, TokenStore

if TYPE_CHECKING:
    from airflow_imap_oauth.oauth.http import Transport

logger = logging.getLogger(__name__)

DEFAULT_RENEW_BEFORE_SECONDS = 300.0

#: On top of what the requests of a renewal may take: saving, with its retries and those of Airflow.
_SAVING_SECONDS = 90.0


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
    :param poll_seconds: How often to look whether another host is done.
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
        poll_seconds: float = 0.5,
    ) -> None:
        self._settings = settings
        self._conn_id = settings.conn_id
        self._sealer = TokenSealer(sealer, binding, conn_id=settings.conn_id)
        self._lock = RenewalLock(lock_folder, settings.conn_id)
        self._keeper = RecordKeeper(
            store,
            settings.conn_id,
            unsaved_folder=lock_folder / "unsaved",
            retry_delays_seconds=save_retry_delays_seconds,
        )
        self._now = now
        self._rejections = Rejections(lock_folder, settings.conn_id)
        abandoned_after_seconds = _abandoned_after_seconds(settings)
        self._times = RenewalTimes(
            renew_before_seconds=renew_before_seconds,
            jitter=jitter(),
            # A waiter may see the claim of somebody dead, and then wait for one more renewal.
            lease_timeout_seconds=2 * abandoned_after_seconds,
            poll_seconds=poll_seconds,
        )
        self._lease = _lease(
            store,
            LeaseTerms(conn_id=settings.conn_id, abandoned_after_seconds=abandoned_after_seconds),
            FileTokenStore(lock_folder / "leases"),
        )
        self._ruling = Ruling(
            settings,
            Seed.of(settings, seed, self._sealer),
            keeper=self._keeper,
            sealer=self._sealer,
            now=now,
        )
        self._renewal = Renewal(
            settings,
            self._ruling,
            keeper=self._keeper,
            sealer=self._sealer,
            lease=self._lease,
            rejections=self._rejections,
            refresh=refresh or ServerRefresh(settings, transport_factory),
            times=self._times,
            now=now,
        )
        self._resealing = Resealing(
            self._ruling,
            keeper=self._keeper,
            sealer=self._sealer,
            renewal_seconds=0.0 if isinstance(store, LeasingStore) else abandoned_after_seconds,
        )

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
            seen = self._ruling.current()
            if not self._renewal.serves(seen):
                with self._lock.hold(timeout_seconds=self._lock_timeout_seconds):
                    return self._renewal.renew(seen, early=False)
            living = seen.access_token or ""
            return self._renew_early(seen, living) if self._renewal.due(seen) else living

    def reject_access_token(self, token: str) -> None:
        """
        Drop an access token that the IMAP server rejected, so that the next call renews.

        That call may be of another manager of this process. A newer token, of another worker, is
        handed out as ever.
        """
        self._rejections.add(token)
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

    def forget(self, revoke: Callable[[str], None] | None = None) -> ImapOAuthError | None:
        """
        Delete the tokens of this host and its store, whatever the authorization server says.

        :param revoke: Asks the authorization server to revoke the refresh token; None: do not.
        :return: Why the refresh token may live on at the authorization server, or None.
        :raises TokenStoreError: If the store does not work, or the renewal lock is not to be had.
            A retry helps.
        """
        with self._located(), self._lock.hold(timeout_seconds=self._lock_timeout_seconds):
            try:
                with self._leased():
                    return self._forgotten(revoke)
            finally:
                self._keeper.forget_unsaved()

    def must_reseal(self) -> bool:
        """
        Tell whether another key than the first has sealed the tokens: no lock, no network.

        :raises SealingError: If they do not open here. A retry cannot help.
        :raises TokenStoreError: If the store does not work. A retry helps.
        """
        with self._located():
            return self._resealing.is_due()

    def reseal(self) -> None:
        """
        Seal the tokens with the first key, so that the others are needed no more.

        :raises SealingError: If they do not open here. A retry cannot help.
        :raises TokenStoreError: If the store does not work, or a renewal is under way. A retry
            helps.
        """
        timeout_seconds = self._lock_timeout_seconds
        with self._located(), self._lock.hold(timeout_seconds=timeout_seconds), self._leased():
            self._resealing.run(self._now())

    def state(self) -> TokenState:
        """
        Describe the tokens: one read of the store, no network, no lock.

        :raises TokenStoreError: If the store does not work. A retry helps.
        """
        stored = None
        try:
            stored = self._keeper.load()
            return state_of(stored, self._ruling.reconciled(stored))
        except (ConfigurationError, ReauthorizationRequiredError, SealingError) as error:
            return state_of_failure(stored, error)

    def _forgotten(self, revoke: Callable[[str], None] | None) -> ImapOAuthError | None:
        try:
            if revoke is not None and self._settings.grant == "user_consent":
                newest = self._keeper.newest(self._sealer.opens)
                revoke(self._ruling.reconciled(newest).refresh_token)
        except ReauthorizationRequiredError:
            return None  # there is none to revoke
        except TokenStoreError:
            raise
        except ImapOAuthError as error:
            return error
        finally:
            self._keeper.delete()
        return None

    def _leased(self) -> AbstractContextManager[None]:
        return held(
            self._lease,
            self._generation,
            timeout_seconds=self._times.lease_timeout_seconds,
            poll_seconds=self._times.poll_seconds,
        )

    def _generation(self) -> int:
        try:
            record = self._keeper.load()
        except ImapOAuthError:
            return 0  # whatever is wrong with it is no reason not to remove it
        return 0 if record is None else record.generation

    @property
    def _lock_timeout_seconds(self) -> float:
        return self._times.lease_timeout_seconds + _abandoned_after_seconds(self._settings)

    def _renew_early(self, seen: Tokens, living: str) -> str:
        with self._lock.attempt() as entered:
            if not entered:
                return living
            try:
                return self._renewal.renew(seen, early=True)
            except (ReauthorizationRequiredError, TokenPersistError):
                raise
            except (OAuthError, TokenStoreError) as error:
                logger.warning(
                    "Connection '%s': early renewal failed, the living access token serves on: %s",
                    self._conn_id,
                    error.message,
                )
                return living

    @contextmanager
    def _located(self) -> Iterator[None]:
        try:
            yield
        except ImapOAuthError as error:
            raise error.located(conn_id=self._conn_id) from error.__cause__


def _abandoned_after_seconds(settings: OAuthSettings) -> float:
    """Return more than any renewal takes: discovery, the token request, and saving."""
    transport = settings.transport
    request_seconds = transport.connect_timeout_seconds + 2 * transport.read_timeout_seconds
    return BEGIN_WITHIN_SECONDS + 2 * request_seconds + _SAVING_SECONDS


def _lease(store: TokenStore, terms: LeaseTerms, host: HostMemory) -> Lease:
    return store.lease(terms, host) if isinstance(store, LeasingStore) else NoLease()
