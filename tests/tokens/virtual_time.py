# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Hosts that share one text, in simulated time: a second of theirs costs nothing here."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from greenlet import greenlet


class Simulation:
    """
    Runs contenders one at a time, whoever's moment comes first.

    A contender is plain code that calls :meth:`sleep`; what happens later (a delayed request) is
    put on the same agenda by :meth:`at`.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._agenda: list[tuple[float, int, Callable[[], Any]]] = []
        self._numbers = count()
        self._hub = greenlet(self._work)

    def at(self, moment: float, call: Callable[[], Any]) -> None:
        """Call something at that moment."""
        heapq.heappush(self._agenda, (moment, next(self._numbers), call))

    def begin(self, contender: Callable[[], None], *, after_seconds: float) -> None:
        """Let a contender begin."""
        self.at(self.now + after_seconds, greenlet(contender, parent=self._hub).switch)

    def sleep(self, seconds: float) -> None:
        """Let the calling contender's time pass."""
        self.at(self.now + seconds, greenlet.getcurrent().switch)
        self._hub.switch()

    def run(self) -> None:
        """Go on until nobody has anything left to do."""
        self._hub.switch()

    def _work(self) -> None:
        while self._agenda:
            self.now, _, call = heapq.heappop(self._agenda)
            call()


@dataclass
class Network:
    """
    What happens to requests on their way to the text that all hosts share.

    :param lost_answers: Share of writes whose answer is lost: the client sends them again.
    :param latency_seconds: From, to: how long a request or an answer takes.
    :param resend_seconds: After how long without an answer a client sends again.
    :param stray_seconds: The longest time that a write which was sent again may still be under way.
    """

    lost_answers: float
    latency_seconds: tuple[float, float] = (0.01, 0.2)
    resend_seconds: float = 5.0
    stray_seconds: float = 20.0


@dataclass
class SharedText:
    """A text that is read and blindly overwritten over a network, as an Airflow Variable is."""

    simulation: Simulation
    network: Network
    chance: random.Random
    text: str | None = None
    writes: int = field(default=0)

    def read(self) -> str | None:
        """Return the text."""
        self._travel()
        found = self.text
        self._travel()
        return found

    def write(self, text: str) -> None:
        """Overwrite it; sent again, perhaps to take effect twice, while the answer is lost."""
        while True:
            self._travel()
            self._overwrite(text)
            if self.chance.random() >= self.network.lost_answers:
                self._travel()
                return
            # The request itself may have been lost instead, and stray.
            stray = self.simulation.now + self.chance.uniform(0, self.network.stray_seconds)
            if self.chance.random() < 0.5:
                self.simulation.at(stray, lambda: self._overwrite(text))
            self.simulation.sleep(self.network.resend_seconds)

    def _overwrite(self, text: str) -> None:
        self.writes += 1
        self.text = text

    def _travel(self) -> None:
        self.simulation.sleep(self.chance.uniform(*self.network.latency_seconds))
