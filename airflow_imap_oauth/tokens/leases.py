# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
One renewal at a time among hosts, where a store can do no more than read and write a text.

Lamport's account of Fischer's timed mutual exclusion ("A Fast Mutual Exclusion Algorithm", 1987,
section 2): read that the lease is free, write one's own claim, wait a delay, and enter if the claim
still stands. It holds as long as a write takes effect within that delay; so whoever took longer
than half of it, from reading to the acknowledged write, does not enter. Clocks of different hosts
are never compared.

Nobody takes a claim back: a request to do so that is sent twice could take back the claim of the
next. A claim names the generation of the record that it is about, and is over once the record has
a later one.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from airflow_imap_oauth.exceptions import TokenStoreError

#: How long after entering a request may still begin.
BEGIN_WITHIN_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTerms:
    """
    What all who share a lease must agree on.

    :param conn_id: Whose tokens it is about.
    :param abandoned_after_seconds: Longer than any holder needs: a claim that stood unchanged for
        so long, by the clock of whoever watches it, is one of somebody dead.
    """

    conn_id: str
    abandoned_after_seconds: float


class Lease(Protocol):
    """
    The right of a host to renew one connection's tokens.

    To be used by whoever holds the renewal lock of the host, and made anew each time.
    """

    def attempt(self, generation: int) -> bool:
        """
        Take it, if it is free or abandoned.

        :param generation: Of the record as read before; 0 where there is none.
        :return: Whether it is held now. The record has to be read again then.
        :raises TokenStoreError: If the store does not work. A retry helps.
        """
        ...

    def may_begin(self) -> bool:
        """Tell whether there is time left to spend a refresh token and save its successor."""
        ...

    def release(self) -> None:
        """Give it back, as far as that can be done safely. Raises nothing."""
        ...

    def leave(self) -> None:
        """
        Let it stand until it counts as abandoned: for the next holder of this host.

        Where the next one of this host could not take it over, it is given back.
        """
        ...

    def end_left(self) -> None:
        """Give back what a holder of this host has left standing. Raises nothing."""
        ...


class HostMemory(Protocol):
    """What the processes of one host remember for each other; a token store does."""

    def load(self, conn_id: str, /) -> str | None:
        """Return what was saved, or None."""
        ...

    def save(self, conn_id: str, text: str, /) -> None:
        """Remember a text."""
        ...


class Register(Protocol):
    """One text that all hosts can read and overwrite."""

    def read(self) -> str | None:
        """Return the text, or None where there is none."""
        ...

    def write(self, text: str, /) -> None:
        """Overwrite it; this returns once it took effect."""
        ...


class NoLease:
    """For stores that know none: only the processes of one host take turns."""

    def attempt(self, generation: int) -> bool:
        """Succeed."""
        del generation
        return True

    def may_begin(self) -> bool:
        """Agree."""
        return True

    def release(self) -> None:
        """Do nothing."""

    def leave(self) -> None:
        """Do nothing."""

    def end_left(self) -> None:
        """Do nothing."""


@contextmanager
def held(
    lease: Lease, generation: Callable[[], int], *, timeout_seconds: float, poll_seconds: float
) -> Iterator[None]:
    """
    Wait for a lease, and hold it.

    :param generation: Reads that of the record.
    :raises TokenStoreError: If another host holds it for that long. A retry helps.
    """
    deadline = time.monotonic() + timeout_seconds
    while not lease.attempt(generation()):
        if time.monotonic() > deadline:
            raise lease_is_taken(timeout_seconds)
        time.sleep(poll_seconds)
    try:
        yield
    finally:
        lease.release()


def lease_is_taken(seconds: float) -> TokenStoreError:
    """Say that another host does not give the lease back."""
    return TokenStoreError(
        f"Another host has been renewing the tokens for {seconds:g} seconds.",
        hint="Try again; if this recurs, look for a worker that hangs.",
        step="renewal lease",
    )


class Watch:
    """Tells how long something has been seen unchanged."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._seen: object = None
        self._since: float | None = None

    def unchanged_for(self, seen: object) -> float:
        """Note what is seen now, and return for how many seconds it has been that."""
        now = self._monotonic()
        if self._since is None or seen != self._seen:
            self._seen, self._since = seen, now
        return now - self._since


class Holding:
    """
    What a lease knows on its own host: whose claim is over, and how long it has held its own.

    :param host: Remembers which claim a process of this host entered with last. Whoever holds this
        host's renewal lock knows that process to be done, or dead.
    :param monotonic: This host's clock.
    """

    def __init__(
        self,
        terms: LeaseTerms,
        host: HostMemory,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._terms = terms
        self._host = host
        self._monotonic = monotonic
        self._watch = Watch(monotonic)
        self._since: float | None = None

    def is_over(self, claim: str) -> bool:
        """Tell whether the holder of a claim is surely gone."""
        if self._watch.unchanged_for(claim) > self._terms.abandoned_after_seconds:
            return True
        return self._host.load(self._terms.conn_id) == claim

    def last(self) -> str | None:
        """Return the claim with which a process of this host entered last."""
        return self._host.load(self._terms.conn_id)

    def begin(self, claim: str, *, since: float) -> None:
        """Note that this process holds the lease, by that claim, since that instant."""
        self._host.save(self._terms.conn_id, claim)
        self._since = since

    def may_begin(self) -> bool:
        """See :meth:`Lease.may_begin`."""
        return self._since is not None and self._monotonic() - self._since < BEGIN_WITHIN_SECONDS


class TimedLease:
    """
    The lease of stores without compare-and-set; see the module's description.

    :param register: Where claims stand.
    :param delay_seconds: How long a claim must stand; the same on all hosts.
    :param monotonic: This host's clock.
    """

    def __init__(
        self,
        register: Register,
        terms: LeaseTerms,
        *,
        host: HostMemory,
        delay_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._register = register
        self._holding = Holding(terms, host, monotonic)
        self._delay_seconds = delay_seconds
        self._monotonic = monotonic
        self._sleep = sleep
        self.may_begin = self._holding.may_begin

    def attempt(self, generation: int) -> bool:
        """See :meth:`Lease.attempt`."""
        read_at = self._monotonic()
        found = self._register.read()
        if not (found is None or _generation(found) < generation or self._holding.is_over(found)):
            return False
        claim = json.dumps({"generation": generation, "holder": secrets.token_hex(16)})
        self._register.write(claim)
        if self._monotonic() - read_at > self._delay_seconds / 2:
            return False
        self._sleep(self._delay_seconds)
        if self._register.read() != claim:
            return False
        self._holding.begin(claim, since=read_at)
        return True

    def release(self) -> None:
        """Do nothing: see the module's description."""

    def leave(self) -> None:
        """Do nothing: it stands anyway, as the record has no later generation."""

    def end_left(self) -> None:
        """Do nothing: the record has a later generation."""


def _generation(claim: str) -> float:
    try:
        return float(json.loads(claim)["generation"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return float("inf")  # of a later version: it ends by time
