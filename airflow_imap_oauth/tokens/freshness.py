# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""When an access token is still good, and when to renew it: pure arithmetic on instants."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_imap_oauth.tokens.record import TokenRecord

#: With less than this left, a token is not handed out: sign-in may take a while, and clocks differ.
_MARGIN = timedelta(seconds=120)
#: Of short-lived tokens the margin takes this part at most.
_MARGIN_PART = 10
#: Early renewal begins in the second half of a token's life at the earliest.
_RENEWAL_PART = 2
#: After a failed early renewal the living token serves for this long before the next attempt.
_PAUSE_AFTER_ERROR = timedelta(seconds=60)


def lives(record: TokenRecord, now: datetime) -> bool:
    """Tell whether the record's access token can be handed out."""
    if record.access_token_expires_at is None:
        return False
    margin = _at_most(_MARGIN, record, _MARGIN_PART)
    return record.access_token_expires_at - now > margin


def due(record: TokenRecord, now: datetime, *, renew_before_seconds: float, jitter: float) -> bool:
    """
    Tell whether the living access token is to be renewed ahead of its end.

    :param renew_before_seconds: How long before its end renewal may begin; 0: not ahead.
    :param jitter: 0 to 1: how much later than that this caller begins, up to half of the time, so
        that hosts do not all begin at once.
    """
    if record.access_token_expires_at is None or _pauses(record, now):
        return False
    window = _at_most(timedelta(seconds=renew_before_seconds), record, _RENEWAL_PART)
    return record.access_token_expires_at - now <= window * (1 - jitter / 2)


def _at_most(duration: timedelta, record: TokenRecord, part: int) -> timedelta:
    if record.access_token_expires_at is None or record.last_refresh_at is None:
        return duration
    lifetime = record.access_token_expires_at - record.last_refresh_at
    return min(duration, lifetime / part)


def _pauses(record: TokenRecord, now: datetime) -> bool:
    failure = record.last_error
    if failure is None:
        return False
    if failure.retry_at is not None and failure.at <= now < failure.retry_at:
        return True
    # An instant in the future was written by a host whose clock is ahead: it says nothing here.
    return timedelta(0) <= now - failure.at < _PAUSE_AFTER_ERROR
