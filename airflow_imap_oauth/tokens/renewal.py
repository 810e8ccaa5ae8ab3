# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""One renewal, under the lock: spend, save, and only then hand out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from airflow_imap_oauth.exceptions import (
    ImapOAuthError,
    ReauthorizationRequiredError,
    TokenPersistError,
    TokenStoreError,
)
from airflow_imap_oauth.oauth.expiry import expiry_warning
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.scopes import surplus_warning
from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.tokens import transitions
from airflow_imap_oauth.tokens.answers import checked_account, record_of_renewal
from airflow_imap_oauth.tokens.freshness import due, lives
from airflow_imap_oauth.tokens.leases import Lease, lease_is_taken
from airflow_imap_oauth.tokens.record import TokenRecord
from airflow_imap_oauth.tokens.record_keeper import RecordKeeper
from airflow_imap_oauth.tokens.refreshing import Refresh
from airflow_imap_oauth.tokens.rejections import Rejections
from airflow_imap_oauth.tokens.ruling import Ruling
from airflow_imap_oauth.tokens.seeds import Tokens, TokenSealer, fingerprint
from airflow_imap_oauth.tokens.shield import shielded

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalTimes:
    """
    When to renew, and how long to wait.

    :param renew_before_seconds: How long before its end a living access token may be renewed.
    :param lease_timeout_seconds: How long to wait for another host.
    :param poll_seconds: How often to look whether it is done.
    :param jitter: 0 to 1: when within that time this one begins.
    """

    renew_before_seconds: float
    jitter: float
    lease_timeout_seconds: float
    poll_seconds: float


class Renewal:
    """
    Renews the tokens of one connection.

    :param lease: Parts the hosts.
    :param rejections: Of access tokens.
    :param refresh: Spends a refresh token.
    :param now: The clock.
    """

    def __init__(
        self,
        settings: OAuthSettings,
        ruling: Ruling,
        *,
        keeper: RecordKeeper,
        sealer: TokenSealer,
        lease: Lease,
        rejections: Rejections,
        refresh: Refresh,
        times: RenewalTimes,
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._conn_id = settings.conn_id
        self._ruling = ruling
        self._keeper = keeper
        self._sealer = sealer
        self._lease = lease
        self._rejections = rejections
        self._refresh = refresh
        self._times = times
        self._now = now

    def due(self, tokens: Tokens) -> bool:
        """Tell whether the living access token is to be renewed ahead of its end."""
        return due(
            tokens.record,
            self._now(),
            renew_before_seconds=self._times.renew_before_seconds,
            jitter=self._times.jitter,
        )

    def serves(self, tokens: Tokens) -> bool:
        """Tell whether the access token is good for a while."""
        return (
            tokens.access_token is not None
            and lives(tokens.record, self._now())
            and not self._rejections.holds(tokens.access_token)
        )

    def renew(self, seen: Tokens, *, early: bool) -> str:
        """
        Renew, unless another worker has done so, or was refused, meanwhile.

        To be called by whoever holds the renewal lock.

        :param seen: What ruled before the lock was had.
        :param early: The access token still lives.
        :return: An access token that is good for a while.
        """
        if self._keeper.recover(self._sealer.opens):
            self._lease.end_left()
        deadline = time.monotonic() + self._times.lease_timeout_seconds
        entered: int | None = None
        try:
            while True:
                current = self._ruling.current()
                if self._is_settled(seen, current, early=early):
                    return current.access_token or ""
                # What was read before entering may have changed by then.
                if entered == current.record.generation:
                    return self._spend(current, frozenset())
                if self._lease.attempt(current.record.generation):
                    entered = current.record.generation
                elif early:
                    return current.access_token or ""
                elif time.monotonic() > deadline:
                    raise lease_is_taken(self._times.lease_timeout_seconds)
                else:
                    time.sleep(self._times.poll_seconds)
        except TokenPersistError:
            # Only this host has the new refresh token: no other is to try the spent one meanwhile.
            self._lease.leave()
            entered = None
            raise
        finally:
            if entered is not None:
                self._lease.release()

    def _is_settled(self, seen: Tokens, current: Tokens, *, early: bool) -> bool:
        """Tell whether somebody else has renewed; all who waited share an error that he got."""
        if self.serves(current):
            return not (early and self.due(current))
        error = current.record.last_error
        if error is not None and error != seen.record.last_error:
            raise transitions.error_again(error)
        return False

    def _spend(self, current: Tokens, tried: frozenset[str]) -> str:
        """
        Ask for new tokens.

        :param tried: Fingerprints of the refresh tokens that were refused before, just now.
        """
        asked_at = self._now()
        for warning in self._ruling.warnings(current):
            self._warn(warning)
        self._warn(expiry_warning(self._settings, asked_at.date()))
        lost_at = current.record.in_flight_at if _is_in_flight(current) else None
        current = self._announced(current, at=asked_at)
        outcome, interruption = shielded(lambda: self._answer(current, asked_at))
        if interruption is not None:
            raise interruption
        if isinstance(outcome, ReauthorizationRequiredError):
            return self._refused(current, outcome, tried=tried, lost_at=lost_at)
        if isinstance(outcome, ImapOAuthError):
            at = self._now()
            self._note(current, transitions.failed(current.record, outcome, at=at, lost_at=lost_at))
            raise outcome
        response, record = outcome
        self._rejections.clear()
        if response.scopes is not None and {*response.scopes} != {*current.record.scopes}:
            self._warn(surplus_warning(self._settings, response.scopes))
        if response.fault is not None:
            raise response.fault
        rotated = record.refresh_token != current.record.refresh_token
        logger.info(
            "Connection '%s': renewed the access token, good until %s (generation %d, refresh "
            "token %s).",
            self._conn_id,
            record.access_token_expires_at,
            record.generation,
            "rotated" if rotated else "unchanged",
        )
        return response.access_token

    def _announced(self, current: Tokens, *, at: datetime) -> Tokens:
        """
        Write down which refresh token is about to be spent, where spending it may end it.

        So a store that cannot be written shows before the harm is done.
        """
        profile = self._settings.profile
        if self._settings.grant != "user_consent" or not profile.rotates_refresh_token:
            return current
        mark = fingerprint(current.refresh_token)
        record = transitions.sent(current.record, mark, at=at)
        if not current.replaces_unreadable and not self._keeper.save(record):
            raise TokenStoreError("The tokens were replaced just now.", step="token renewal")
        return replace(current, record=record)

    def _answer(
        self, current: Tokens, asked_at: datetime
    ) -> tuple[TokenResponse, TokenRecord] | ImapOAuthError:
        """
        Ask, and save what comes: it is neither handed out nor refused before that.

        :return: The answer and what was saved of it, or why there is none.
        """
        if not self._lease.may_begin():
            raise TokenStoreError(
                "This process stood still for too long to renew the tokens safely.",
                step="renewal lease",
            )
        try:
            response = self._refresh(current.refresh_token)
        except ImapOAuthError as error:
            return error
        response = checked_account(response, current.record, self._conn_id)
        record = record_of_renewal(current, response, self._sealer, asked_at=asked_at)
        if record.refresh_token != current.record.refresh_token:
            self._keeper.save_rotated(record)
        elif response.fault is None:
            self._save(record)
        else:
            self._note(current, record)
        return response, record

    def _refused(
        self,
        spent: Tokens,
        error: ReauthorizationRequiredError,
        *,
        tried: frozenset[str],
        lost_at: datetime | None,
    ) -> str:
        """Go on with what another host saved, or the one before; else somebody must act."""
        tried |= {fingerprint(spent.refresh_token)}
        current = self._ruling.current()
        if fingerprint(current.refresh_token) not in tried:
            if self.serves(current):
                return current.access_token or ""
            return self._spend(current, tried)
        if self._settings.profile.previous_refresh_token_serves:
            previous = self._sealer.with_previous(current)
            if previous is not None and fingerprint(previous.refresh_token) not in tried:
                return self._spend(previous, tried)
        if lost_at is not None:
            error.message = (
                f"The renewal of {lost_at:%Y-%m-%d %H:%M} UTC was cut off before its answer was "
                f"saved; a new refresh token that came with it is lost. ({error.message})"
            )
        self._note(current, transitions.refused(current.record, error, at=self._now()))
        raise error

    def _warn(self, warning: str | None) -> None:
        if warning:
            logger.warning("Connection '%s': %s", self._conn_id, warning)

    def _note(self, tokens: Tokens, record: TokenRecord) -> None:
        """Save news of a failure; that this fails must not hide the failure itself."""
        if not tokens.replaces_unreadable:
            self._save(record)

    def _save(self, record: TokenRecord) -> None:
        """Save what costs a request at most if it is lost."""
        try:
            self._keeper.save(record)
        except ImapOAuthError as error:
            logger.warning("Connection '%s': %s", self._conn_id, error.message)


def _is_in_flight(tokens: Tokens) -> bool:
    return tokens.record.in_flight_fingerprint == fingerprint(tokens.refresh_token)
