# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The state of a connection's tokens, for pages and commands: no secret, no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    ReauthorizationRequiredError,
    SealingError,
)
from airflow_imap_oauth.tokens.record import LastError, TokenRecord
from airflow_imap_oauth.tokens.seeds import Tokens

TokenStatus = Literal["active", "needs_authorization", "unused", "missing", "unreadable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenState:
    """
    What can be told of a connection's tokens without asking anybody.

    :param status: ``active``; ``needs_authorization``: the mail provider refuses the refresh
        token; ``unused``: the connection's refresh token was not used yet; ``missing``: there is
        none; ``unreadable``: sealed with a key that is not here, for other settings, or broken.
    :param reason: Why, in one sentence; None while active.
    :param hint: What to do where nothing rules, or empty; else ``last_error`` has one.
    :param since_at: Since when; None where that is unknown.
    :param access_token_expires_at: None where there is no access token.
    :param last_refresh_at: None before the first renewal.
    :param last_error: Of the last renewal, or None if that succeeded.
    :param scopes: As granted; empty where that is not known.
    :param account: Whose tokens they are, by claim; None where that is not known.
    :param generation: Of the record; 0 where there is none.
    """

    status: TokenStatus
    reason: str | None = None
    hint: str = ""
    since_at: datetime | None = None
    access_token_expires_at: datetime | None = None
    last_refresh_at: datetime | None = None
    last_error: LastError | None = None
    scopes: tuple[str, ...] = ()
    account: Mapping[str, str] | None = None
    generation: int = 0


def state_of(stored: TokenRecord | None, tokens: Tokens) -> TokenState:
    """
    Describe what rules.

    :param stored: What the store holds, or None.
    :param tokens: What rules; begun with the seed if it is not what the store holds.
    """
    if stored is None or tokens.record != stored:
        return TokenState(
            status="unused",
            reason="The credential of the connection was not used yet.",
            account=None if stored is None else stored.account,
            generation=0 if stored is None else stored.generation,
        )
    return _of_record(stored, status=stored.status, reason=stored.status_reason)


def state_of_failure(
    stored: TokenRecord | None,
    error: ConfigurationError | ReauthorizationRequiredError | SealingError,
) -> TokenState:
    """Describe why nothing rules."""
    status: TokenStatus = (
        "missing" if isinstance(error, ReauthorizationRequiredError) else "unreadable"
    )
    if stored is None:
        return TokenState(status=status, reason=error.message, hint=error.hint)
    return replace(_of_record(stored, status=status, reason=error.message), hint=error.hint)


def _of_record(record: TokenRecord, *, status: TokenStatus, reason: str | None) -> TokenState:
    return TokenState(
        status=status,
        reason=reason,
        since_at=record.status_since_at if status == record.status else None,
        access_token_expires_at=record.access_token_expires_at,
        last_refresh_at=record.last_refresh_at,
        last_error=record.last_error,
        scopes=record.scopes,
        account=record.account,
        generation=record.generation,
    )
