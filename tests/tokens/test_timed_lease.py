# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Hosts that can only read and blindly overwrite a text still take turns."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pytest

from airflow_imap_oauth.tokens.leases import LeaseTerms, TimedLease
from tests.tokens.virtual_time import Network, SharedText, Simulation

DELAY_SECONDS = 3.0
ABANDONED_AFTER_SECONDS = 260.0
TERMS = LeaseTerms(conn_id="mail", abandoned_after_seconds=ABANDONED_AFTER_SECONDS)


class Memory:
    """What the processes of one simulated host remember."""

    def __init__(self) -> None:
        self.text: str | None = None

    def load(self, conn_id: str) -> str | None:
        """Return what was saved."""
        del conn_id
        return self.text

    def save(self, conn_id: str, text: str) -> None:
        """Remember a text."""
        del conn_id
        self.text = text


@dataclass
class Race:
    """
    Hosts that want to renew the same record at about the same time.

    :param generation: Of the record, which every renewal makes one later.
    :param dies: Tells whether a holder dies instead of saving.
    """

    seed: int
    network: Network
    hosts: int = 4
    dies: Callable[[], bool] = lambda: False
    generation: int = 1
    inside: int = 0
    overlaps: int = 0
    renewals: int = 0
    entered_at: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Set the stage."""
        self.chance = random.Random(self.seed)  # noqa: S311  # the same races in every run
        self.simulation = Simulation()
        self.text = SharedText(self.simulation, self.network, self.chance)

    def run(self) -> Race:
        """Let every host try until the record is renewed, each by a clock of its own."""
        for _ in range(self.hosts):
            offset = self.chance.uniform(-600, 600)  # ten minutes
            self.simulation.begin(
                lambda offset=offset: self._host(offset),  # type: ignore[misc]
                after_seconds=self.chance.uniform(0, 2),
            )
        self.simulation.run()
        return self

    def lease(self, offset: float = 0.0, memory: Memory | None = None) -> TimedLease:
        """Return a lease as a process of some host has it."""
        return TimedLease(
            self.text,
            TERMS,
            host=memory or Memory(),
            delay_seconds=DELAY_SECONDS,
            monotonic=lambda: self.simulation.now + offset,
            sleep=self.simulation.sleep,
        )

    def _host(self, offset: float) -> None:
        lease = self.lease(offset)
        seen = 1
        while self.generation == seen:
            if lease.attempt(self.generation):
                self._renew()
                return
            self.simulation.sleep(0.5)

    def _renew(self) -> None:
        self.entered_at.append(self.simulation.now)
        self.inside += 1
        self.overlaps += self.inside > 1
        self.simulation.sleep(self.chance.uniform(0.1, 30))
        self.inside -= 1
        if self.dies():
            return
        self.renewals += 1
        self.generation += 1


def races(seeds: Iterable[int], network: Network) -> list[Race]:
    return [Race(seed, network).run() for seed in seeds]


def test_two_thousand_races_with_lost_answers() -> None:
    """With every tenth answer lost and clocks ten minutes apart, no two hosts are ever inside."""
    run = races(range(2_000), Network(lost_answers=0.1))
    assert sum(race.overlaps for race in run) == 0
    assert all(race.generation == 2 for race in run)


def test_without_lost_answers_the_first_round_decides() -> None:
    """On a healthy network somebody is inside within seconds."""
    run = races(range(200), Network(lost_answers=0.0))
    assert sum(race.overlaps for race in run) == 0
    assert max(race.entered_at[0] for race in run) < 4 * DELAY_SECONDS


def test_slow_writer_does_not_enter() -> None:
    """Who needs longer than half of the delay to write does not enter, though his claim stands."""
    race = Race(1, Network(lost_answers=0.0, latency_seconds=(DELAY_SECONDS, DELAY_SECONDS)))
    entered: list[bool] = []
    race.simulation.begin(lambda: entered.append(race.lease().attempt(1)), after_seconds=0)
    race.simulation.run()
    assert entered == [False]
    assert race.text.text is not None


def test_holder_that_dies_is_replaced() -> None:
    """After the time in which nobody can still be at work, another host goes on."""
    deaths = iter([True])
    race = Race(3, Network(lost_answers=0.0), dies=lambda: next(deaths, False)).run()
    assert (race.renewals, race.overlaps) == (1, 0)
    first, second = race.entered_at
    assert second - first > ABANDONED_AFTER_SECONDS


def test_holder_of_the_same_host_is_replaced_at_once() -> None:
    """Who has the lock of a host knows that the holder it had is gone, and does not wait."""
    race, memory = Race(4, Network(lost_answers=0.0)), Memory()
    entered: list[tuple[bool, float]] = []

    def try_twice() -> None:
        entered.append((race.lease(memory=memory).attempt(1), race.simulation.now))
        entered.append((race.lease(memory=memory).attempt(1), race.simulation.now))

    race.simulation.begin(try_twice, after_seconds=0)
    race.simulation.run()
    assert [held for held, _ in entered] == [True, True]
    assert entered[1][1] < 4 * DELAY_SECONDS


def test_success_frees_the_lease() -> None:
    """Once the record has a later generation, the claim about the one before is over."""
    race = Race(5, Network(lost_answers=0.0))
    entered: list[bool] = []

    def one_after_the_other() -> None:
        entered.append(race.lease().attempt(1))
        entered.append(race.lease().attempt(1))
        entered.append(race.lease().attempt(2))

    race.simulation.begin(one_after_the_other, after_seconds=0)
    race.simulation.run()
    assert entered == [True, False, True]


@pytest.mark.parametrize(
    "claim", ["", "null", '{"generation": "x"}', "[" * 10_000, '{"holder": 1}']
)
def test_unknown_claim_ends_by_time(claim: str) -> None:
    """A claim that this version does not understand is respected for as long as any."""
    race = Race(6, Network(lost_answers=0.0))
    race.text.text = claim
    entered: list[bool] = []

    def wait_and_try() -> None:
        lease = race.lease()
        entered.append(lease.attempt(99))
        race.simulation.sleep(ABANDONED_AFTER_SECONDS)
        entered.append(lease.attempt(99))

    race.simulation.begin(wait_and_try, after_seconds=0)
    race.simulation.run()
    assert entered == [False, True]


def test_time_to_begin_runs_out() -> None:
    """A holder that stood still after entering may not begin a renewal any more."""
    race = Race(7, Network(lost_answers=0.0))
    may: list[bool] = []

    def stand_still() -> None:
        lease = race.lease()
        may.append(lease.may_begin())
        lease.attempt(1)
        may.append(lease.may_begin())
        race.simulation.sleep(60)
        may.append(lease.may_begin())

    race.simulation.begin(stand_still, after_seconds=0)
    race.simulation.run()
    assert may == [False, True, False]
