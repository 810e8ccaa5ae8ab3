# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""When a token is handed out, and when it is renewed ahead of its end."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from airflow_imap_oauth.tokens.freshness import due, lives
from airflow_imap_oauth.tokens.record import LastError, TokenRecord

START_AT = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


def _record(lifetime_seconds: float) -> TokenRecord:
    return TokenRecord(
        generation=1,
        access_token="sealed",
        access_token_expires_at=START_AT + timedelta(seconds=lifetime_seconds),
        refresh_token="sealed",
        seed_fingerprint="aa",
        last_refresh_at=START_AT,
    )


@pytest.mark.parametrize(
    ("lifetime_seconds", "left_seconds", "expected"),
    [
        (3600, 121, True),
        (3600, 120, False),
        (3600, -1, False),
        (60, 7, True),
        (60, 6, False),
        (5, 4, True),
    ],
)
def test_a_token_lives_until_shortly_before_its_end(
    lifetime_seconds: float, left_seconds: float, expected: bool
) -> None:
    """Two minutes before its end, or a tenth of a short life, a token is not handed out."""
    now = START_AT + timedelta(seconds=lifetime_seconds - left_seconds)
    assert lives(_record(lifetime_seconds), now) is expected


def test_without_a_token_nothing_lives() -> None:
    """A record without an access token has none to hand out, and none to renew early."""
    record = TokenRecord(generation=1, refresh_token="sealed", seed_fingerprint="aa")
    assert not lives(record, START_AT)
    assert not due(record, START_AT, renew_before_seconds=300, jitter=0)


@pytest.mark.parametrize(
    ("jitter", "left_seconds", "expected"),
    [
        (0, 301, False),
        (0, 300, True),
        (1, 151, False),
        (1, 150, True),
        (0.5, 226, False),
        (0.5, 225, True),
    ],
)
def test_early_renewal_is_spread(jitter: float, left_seconds: float, expected: bool) -> None:
    """Workers begin at different instants of the second half of the time before the end."""
    now = START_AT + timedelta(seconds=3600 - left_seconds)
    assert due(_record(3600), now, renew_before_seconds=300, jitter=jitter) is expected


def test_short_lives_are_not_renewed_all_the_time() -> None:
    """Early renewal begins in the second half of a token's life, whatever is configured."""
    record = _record(100)
    assert not due(record, START_AT + timedelta(seconds=49), renew_before_seconds=300, jitter=0)
    assert due(record, START_AT + timedelta(seconds=50), renew_before_seconds=300, jitter=0)


def test_early_renewal_can_be_switched_off() -> None:
    """With 0 seconds, a living token is never renewed."""
    now = START_AT + timedelta(seconds=3599)
    assert not due(_record(3600), now, renew_before_seconds=0, jitter=0)


@pytest.mark.parametrize(
    ("failed_seconds_ago", "retry_after_seconds", "expected"),
    [(59, None, False), (60, None, True), (60, 90, False), (90, 90, True), (-600, 90, True)],
)
def test_after_a_failure_early_renewal_pauses(
    failed_seconds_ago: float, retry_after_seconds: float | None, expected: bool
) -> None:
    """After a failure it waits a minute, or as long as the server asked; other clocks aside."""
    now = START_AT + timedelta(seconds=3500)
    at = now - timedelta(seconds=failed_seconds_ago)
    retry_at = None if retry_after_seconds is None else at + timedelta(seconds=retry_after_seconds)
    failure = LastError(kind="TransientOAuthError", text="no", at=at, retry_at=retry_at)
    record = replace(_record(3600), last_error=failure)
    assert due(record, now, renew_before_seconds=300, jitter=0) is expected
