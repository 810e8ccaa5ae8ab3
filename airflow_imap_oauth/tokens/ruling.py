# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What rules a connection's tokens at this moment: its record, or its seed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from airflow_imap_oauth.exceptions import ReauthorizationRequiredError
from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.tokens.record import TokenRecord
from airflow_imap_oauth.tokens.record_keeper import RecordKeeper
from airflow_imap_oauth.tokens.seeds import (
    Seed,
    Tokens,
    TokenSealer,
    reconcile,
    sealing_warnings,
)


class Ruling:
    """
    Reads the record of one connection, and decides whether it or the seed rules.

    :param now: The clock.
    """

    def __init__(
        self,
        settings: OAuthSettings,
        seed: Seed,
        *,
        keeper: RecordKeeper,
        sealer: TokenSealer,
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._seed = seed
        self._keeper = keeper
        self._sealer = sealer
        self._now = now

    def tokens(self) -> Tokens:
        """
        Read what rules: one read of the store.

        :raises ReauthorizationRequiredError: If there is nothing to begin with. A retry cannot
            help.
        :raises SealingError: If it does not open here. A retry cannot help.
        :raises TokenStoreError: If the store does not work. A retry helps.
        """
        return self.reconciled(self._keeper.load())

    def current(self) -> Tokens:
        """
        Read what rules, and fail at once where only a human can help.

        :raises ImapOAuthError: As :meth:`tokens` does.
        """
        tokens = self.tokens()
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

    def reconciled(self, stored: TokenRecord | None) -> Tokens:
        """Decide between a record that was read, or None, and the seed."""
        return reconcile(
            stored,
            self._seed,
            self._sealer,
            seed_survives_rotation=not (
                self._settings.grant == "user_consent"
                and self._settings.profile.rotates_refresh_token
            ),
            at=self._now(),
        )

    def warnings(self, tokens: Tokens) -> tuple[str, ...]:
        """Say what does not open here although a renewal can go on without it."""
        return sealing_warnings(tokens, self._seed)
