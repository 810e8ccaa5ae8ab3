# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
What every token store keeps to that lets hosts take turns, as claims about one that is empty.

To be used as those of ``store_contract.py``.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow_imap_oauth.tokens.leases import Lease, LeaseTerms, held
from tests.tokens.store_contract import Claim

ALIKE_CONN_IDS = ("Mail", "mail", "m" * 250, "m" * 249 + "n")

_PATIENCE_SECONDS = 60.0
_SHORT_SECONDS = 0.4
#: Longer than anybody holds a lease here.
_LONG_SECONDS = 5.0
_FOREVER_SECONDS = 3600.0


class HostMemory:
    """What the processes of one host remember."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def load(self, conn_id: str) -> str | None:
        """Return what was saved."""
        return self._texts.get(conn_id)

    def save(self, conn_id: str, text: str) -> None:
        """Remember a text."""
        self._texts[conn_id] = text


def lease_of(
    store: Any,
    *,
    conn_id: str = "mail",
    host: HostMemory | None = None,
    abandoned_after_seconds: float = _FOREVER_SECONDS,
) -> Lease:
    """Return a lease, as a process has it: of the host with that memory, or of one of its own."""
    terms = LeaseTerms(conn_id=conn_id, abandoned_after_seconds=abandoned_after_seconds)
    lease: Lease = store.lease(terms, host or HostMemory())
    return lease


def hosts_take_turns(store: Any) -> None:
    """Check that of many hosts that want to renew no two ever hold the lease at once."""
    lock = threading.Lock()
    inside, overlaps, generation = 0, 0, 1

    def renew(lease: Lease) -> None:
        nonlocal inside, overlaps, generation
        with held(lease, lambda: generation, timeout_seconds=_PATIENCE_SECONDS, poll_seconds=0.02):
            with lock:
                inside += 1
                overlaps += inside > 1
            store.load("mail")  # takes a while
            with lock:
                inside -= 1
                generation += 1

    hosts = 6
    leases = [lease_of(store, abandoned_after_seconds=_LONG_SECONDS) for _ in range(hosts)]
    with ThreadPoolExecutor(hosts) as pool:
        for renewal in [pool.submit(renew, lease) for lease in leases]:
            renewal.result()
    assert (overlaps, generation) == (0, 1 + hosts)


def connections_have_their_own(store: Any) -> None:
    """Check that one connection's lease is free while those of all others are held."""
    leases = [lease_of(store, conn_id=conn_id) for conn_id in ALIKE_CONN_IDS]
    assert all(lease.attempt(1) for lease in leases)


def excludes_others(store: Any) -> None:
    """Check that a lease that is held cannot be taken, whatever generation was read."""
    holder = lease_of(store)
    assert holder.attempt(1)
    assert not lease_of(store).attempt(1)
    assert not lease_of(store).attempt(0)


def leaves_time_to_begin(store: Any) -> None:
    """Check that who has just taken the lease may begin."""
    lease = lease_of(store)
    assert lease.attempt(1)
    assert lease.may_begin()


def ends_with_the_renewal(store: Any) -> None:
    """Check that the lease is free once its holder has renewed and given it back."""
    holder = lease_of(store)
    assert holder.attempt(1)
    holder.release()
    assert lease_of(store).attempt(2)


def ends_without_a_renewal(store: Any) -> None:
    """Check that the lease is free at once when its holder gives it back after a failure."""
    holder = lease_of(store)
    assert holder.attempt(1)
    holder.release()
    assert lease_of(store).attempt(1)


def can_be_taken_again(store: Any) -> None:
    """Check that one object serves for one renewal after the other."""
    lease = lease_of(store)
    for generation in (1, 2):
        assert lease.attempt(generation)
        assert not lease_of(store).attempt(generation)
        lease.release()


def is_not_released_by_others(store: Any) -> None:
    """Check that who did not get the lease cannot give it back either."""
    holder, other = lease_of(store), lease_of(store)
    assert holder.attempt(1)
    assert not other.attempt(1)
    other.release()
    assert not lease_of(store).attempt(1)


def own_host_takes_over_at_once(store: Any) -> None:
    """Check that the claim of a process that died is over for the next process of its host."""
    host = HostMemory()
    died = lease_of(store, host=host)
    assert died.attempt(1)
    assert not lease_of(store).attempt(1)
    assert lease_of(store, host=host).attempt(1)


def other_hosts_wait_before_taking_over(store: Any) -> None:
    """Check that other hosts respect a claim until it must be one of somebody dead."""
    died = lease_of(store)
    assert died.attempt(1)
    waiting = lease_of(store, abandoned_after_seconds=_SHORT_SECONDS)
    began_at = time.monotonic()
    _take_over(waiting)
    assert time.monotonic() - began_at > _SHORT_SECONDS


def late_release_frees_nothing(store: Any) -> None:
    """Check that a holder that was given up for dead does not give back its successor's lease."""
    late, successor = lease_of(store), lease_of(store, abandoned_after_seconds=0.0)
    assert late.attempt(1)
    _take_over(successor)
    late.release()
    assert not lease_of(store).attempt(1)


def busy_holder_is_not_given_up(store: Any) -> None:
    """Check that one renewal after the other by one host is not taken for one that hangs."""
    busy = lease_of(store)
    watching = lease_of(store, abandoned_after_seconds=_SHORT_SECONDS)
    deadline = time.monotonic() + 3 * _SHORT_SECONDS
    generation = 1
    while time.monotonic() < deadline:
        assert busy.attempt(generation)
        assert not watching.attempt(generation)
        busy.release()
        generation += 1


def _take_over(lease: Lease) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not lease.attempt(1):
        assert time.monotonic() < deadline


#: For every store that parts hosts.
LEASING_CONTRACT: tuple[Claim, ...] = (
    hosts_take_turns,
    connections_have_their_own,
    excludes_others,
    leaves_time_to_begin,
    ends_with_the_renewal,
    is_not_released_by_others,
)

#: Where a lease is given back, and does not only end with the generation of the record.
RELEASED_LEASE: tuple[Claim, ...] = (
    ends_without_a_renewal,
    can_be_taken_again,
    busy_holder_is_not_given_up,
)

#: Where the lease of a process that died goes on standing; elsewhere it ends with its process.
STANDING_LEASE: tuple[Claim, ...] = (
    own_host_takes_over_at_once,
    other_hosts_wait_before_taking_over,
    late_release_frees_nothing,
)
