# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Ends the demo in good order, whoever asks for it.

Airflow's components have sessions of their own, so no signal of the terminal reaches them: whoever
started them has to stop them, and must not be stopped while doing so.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(SystemExit):
    """Somebody asked the demo to end."""


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """
    Raise :class:`Ended` in the main thread at the first Ctrl-C, SIGTERM or SIGHUP.

    Later ones are ignored, so that every ``finally`` runs to its end. What was ignored before
    (``nohup``) stays ignored.
    """
    before = {one: signal.getsignal(one) for one in _SIGNALS}
    heeded = [one for one in _SIGNALS if before[one] is not signal.SIG_IGN]

    def end(number: int, _: FrameType | None) -> None:
        for one in heeded:
            signal.signal(one, signal.SIG_IGN)
        raise Ended(128 + number)  # as a shell tells it

    for one in heeded:
        signal.signal(one, end)
    try:
        yield
    finally:
        for one in heeded:
            signal.signal(one, before[one])
