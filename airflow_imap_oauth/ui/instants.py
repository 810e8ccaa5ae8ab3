# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""How far away an instant is, in words."""

from __future__ import annotations

from datetime import datetime

from airflow_imap_oauth.tokens.manager import utc_now

#: Up to which count a unit is used, and how many seconds it has.
_UNITS = (("s", 1, 90), ("min", 60, 90), ("h", 3600, 36))
_DAY_SECONDS = 86400


def relative(at: datetime, now: datetime | None = None) -> str:
    """
    Say how long ago it was, or how long it is until then.

    :param now: None: now.
    """
    seconds = (at - (now or utc_now())).total_seconds()
    amount = abs(seconds)
    for unit, length, most in _UNITS:
        if amount <= most * length:
            told = f"{amount / length:.0f} {unit}"
            break
    else:
        told = f"{amount / _DAY_SECONDS:.0f} days"
    return f"in {told}" if seconds > 0 else f"{told} ago"
