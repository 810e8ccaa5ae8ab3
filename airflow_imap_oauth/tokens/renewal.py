# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""One renewal, under the lock: spend, save, and only then hand out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from airflow_imap_oauth.exceptions import (
    ImapOAuthError,
    ReauthorizationRequiredError,
)
from airflow_imap_oauth.oauth.expiry import expiry_warning
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.scopes import surplus_warning
from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.tokens import transitions
from airflow_imap_oauth.tokens.answers import checked_account, record_of_renewal
from airflow_imap_oauth.tokens.freshness import due, lives
from airflow_imap_oauth.tokens.record import TokenRecord
from airflow_imap_oauth.tokens.record_keeper import RecordKeeper
from airflow_imap_oauth.tokens.refreshing import Refresh
from airflow_imap_oauth.tokens.ruling import Ruling
from airflow_imap_oauth.tokens.seeds import Tokens, TokenSealer, same_token
from airflow_imap_oauth.tokens.shield import shielded

logger = logging.getLogger(__name__)


class Renewal:
    """
    Renews the tokens of one connection.

    :param refresh: Spends a refresh token.
    :param renew_before_seconds: How long before its end a living access token may be renewed.
    :param jitter: 0 to 1: when within that time this one begins.
    :param now: The clock.
    """

    def __init__(
        self,
        settings: OAuthSettings,
        ruling: Ruling,
        *,
        keeper: RecordKeeper,
        sealer: TokenSealer,
        refresh: Refresh,
        renew_before_seconds: float,
        jitter: float,
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._conn_id = settings.conn_id
        self._ruling = ruling
        self._keeper = keeper
        self._sealer = sealer
        self._refresh = refresh
        self._renew_before_seconds = renew_before_seconds
        self._jitter = jitter
        self._now = now

    def due(self, tokens: Tokens) -> bool:
        """Tell whether the living access token is to be renewed ahead of its end."""
        return due(
            tokens.record,
            self._now(),
            renew_before_seconds=self._renew_before_seconds,
            jitter=self._jitter,
        )

    def renew(self, seen: Tokens, *, early: bool) -> str:
        """
        Renew, unless another worker has done so, or was refused, meanwhile.

        To be called by whoever holds the renewal lock.

        :param seen: What ruled before the lock was had.
        :param early: The access token still lives.
        :return: An access token that is good for a while.
        """
        self._keeper.recover(self._sealer.opens)
        current = self._ruling.current()
        if current.access_token is not None and lives(current.record, self._now()):
            if not (early and self.due(current)):
                return current.access_token
        elif (
            current.record.last_error is not None
            and current.record.last_error != seen.record.last_error
        ):
            # All who waited share the answer that the first of them got.
            raise transitions.error_again(current.record.last_error)
        return self._spend(current, may_adopt=True)

    def _spend(self, current: Tokens, *, may_adopt: bool) -> str:
        asked_at = self._now()
        for warning in self._ruling.warnings(current):
            self._warn(warning)
        self._warn(expiry_warning(self._settings, asked_at.date()))
        outcome, interruption = shielded(lambda: self._answer(current, asked_at))
        if interruption is not None:
            raise interruption
        if isinstance(outcome, ReauthorizationRequiredError):
            return self._refused(current, outcome, may_adopt=may_adopt)
        if isinstance(outcome, ImapOAuthError):
            self._note(current, transitions.failed(current.record, outcome, at=self._now()))
            raise outcome
        response, record = outcome
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

    def _answer(
        self, current: Tokens, asked_at: datetime
    ) -> tuple[TokenResponse, TokenRecord] | ImapOAuthError:
        """
        Ask, and save what comes: it is neither handed out nor refused before that.

        :return: The answer and what was saved of it, or why there is none.
        """
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
        self, spent: Tokens, error: ReauthorizationRequiredError, *, may_adopt: bool
    ) -> str:
        """Adopt what a worker of another host has renewed meanwhile; else somebody must act."""
        current = self._ruling.current()
        if may_adopt and not same_token(current.refresh_token, spent.refresh_token):
            if current.access_token is not None and lives(current.record, self._now()):
                return current.access_token
            return self._spend(current, may_adopt=False)
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
