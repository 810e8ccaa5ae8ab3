# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Retry-After, in both its forms (RFC 9110 section 10.2.3)."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from airflow_imap_oauth.oauth.failures import retry_after_seconds

DAY_SECONDS = 86_400.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0.0), ("120", 120.0), (" 7 ", 7.0), ("99999999999999999999", DAY_SECONDS)],
)
def test_seconds(value: str, seconds: float) -> None:
    """A number means seconds, at most a day."""
    assert retry_after_seconds({"retry-after": value}) == seconds


def test_date_is_compared_with_the_clock_of_the_server() -> None:
    """A date is taken relative to the server's own Date, so a wrong clock here does no harm."""
    headers = {
        "date": "Wed, 21 Oct 2015 07:27:00 GMT",
        "retry-after": "Wed, 21 Oct 2015 07:28:30 GMT",
    }
    assert retry_after_seconds(headers) == 90.0


def test_date_without_date_of_the_server_is_compared_with_ours() -> None:
    """Without Date our own clock must do."""
    soon = datetime.now(timezone.utc) + timedelta(seconds=100)
    seconds = retry_after_seconds({"retry-after": format_datetime(soon, usegmt=True)})
    assert seconds is not None
    assert 95 < seconds <= 100


def test_date_in_the_past_means_now() -> None:
    """A date that is over means that no wait is needed."""
    assert retry_after_seconds({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0


@pytest.mark.parametrize("value", ["", "soon", "-5", "1.5", "٣", "Wed, 99 Oct 2015 07:28:00 GMT"])
def test_unreadable_values_count_as_none(value: str) -> None:
    """What cannot be read is as good as absent."""
    assert retry_after_seconds({"retry-after": value}) is None


def test_absent_header() -> None:
    """Without the header there is no wait to hand on."""
    assert retry_after_seconds({}) is None
