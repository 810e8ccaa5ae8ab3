# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""How often a user may do what reaches other servers."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable
from threading import Lock
from typing import Any

from fastapi import HTTPException

_WINDOW_SECONDS = 60.0
_MAX_USERS = 10_000


class RateLimit:
    """
    At most so many of an action a minute, for each user, in each process of the API server.

    :param at_most: How many.
    """

    def __init__(self, at_most: int, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._at_most = at_most
        self._monotonic = monotonic
        self._done: defaultdict[str, deque[float]] = defaultdict(deque)
        self._lock = Lock()

    def count(self, user: Any) -> None:
        """
        Count one.

        :raises HTTPException: 429, if it is one too many.
        """
        now = self._monotonic()
        with self._lock:
            if len(self._done) > _MAX_USERS:
                self._done.clear()
            times = self._done[str(user.get_id())]
            while times and now - times[0] > _WINDOW_SECONDS:
                times.popleft()
            if len(times) >= self._at_most:
                wait = int(_WINDOW_SECONDS - (now - times[0])) + 1
                raise HTTPException(
                    429,
                    f"That was asked too often. Wait {wait} seconds.",
                    headers={"Retry-After": str(wait)},
                )
            times.append(now)
