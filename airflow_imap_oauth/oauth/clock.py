# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The server's clock against this machine's: signed assertions and id_tokens depend on both."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

_TOLERABLE_SECONDS = 120.0


def utc_now() -> datetime:
    """Return the current instant by this machine's clock."""
    return datetime.now(timezone.utc)


def server_time(headers: Mapping[str, str]) -> datetime | None:
    """
    Return the instant that a server states in ``Date`` (RFC 9110 section 6.6.1).

    :param headers: By lower-case name.
    :return: Aware, or None where the header is missing or unreadable.
    """
    try:
        moment = parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def skew_advice(headers: Mapping[str, str], now: datetime) -> str:
    """
    Say so where this machine's clock is off by more than two minutes; else return nothing.

    :param headers: Of an answer that has just come, by lower-case name.
    :param now: This machine's clock.
    """
    theirs = server_time(headers)
    if theirs is None:
        return ""
    ahead = (now - theirs).total_seconds()
    if abs(ahead) <= _TOLERABLE_SECONDS:
        return ""
    direction = "ahead of" if ahead > 0 else "behind"
    return (
        f"This machine's clock is {abs(ahead):.0f} seconds {direction} the server's: set it right."
    )
