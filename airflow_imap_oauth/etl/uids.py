# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Sets of UIDs as IMAP writes them (``1:4,7``, RFC 9051 section 9), small however many they are."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from airflow_imap_oauth.exceptions import LedgerError

LARGEST_UID = 2**32 - 1


@dataclass(frozen=True, slots=True)
class UidSet:
    """
    An immutable set of UIDs.

    :param ranges: First and last UID of each run, ascending, with a gap between any two.
    """

    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, uids: Iterable[int]) -> UidSet:
        """Make a set of any UIDs, in any order."""
        return cls(_joined((uid, uid) for uid in sorted(uids)))

    @classmethod
    def parse(cls, text: str) -> UidSet:
        """
        Read what ``str`` wrote; the empty string is the empty set.

        :raises LedgerError: It is not an ascending set of UIDs. A retry cannot help.
        """
        ranges: list[tuple[int, int]] = []
        for item in text.split(",") if text else ():
            first, colon, last = item.partition(":")
            last = last if colon else first
            if not _is_number(first) or not _is_number(last):
                raise _malformed()
            ranges.append((int(first), int(last)))
        below = 0
        for first_uid, last_uid in ranges:
            if not below < first_uid <= last_uid <= LARGEST_UID:
                raise _malformed()
            below = last_uid
        return cls(_joined(ranges))

    def __str__(self) -> str:
        """Write it as IMAP does."""
        return ",".join(
            f"{first}" if first == last else f"{first}:{last}" for first, last in self.ranges
        )

    def __contains__(self, uid: object) -> bool:
        """Tell whether a UID is in it."""
        if not isinstance(uid, int):
            return False
        index = bisect_right(self.ranges, (uid, LARGEST_UID)) - 1
        return index >= 0 and uid <= self.ranges[index][1]

    def __iter__(self) -> Iterator[int]:
        """Yield the UIDs, ascending."""
        for first, last in self.ranges:
            yield from range(first, last + 1)

    def __len__(self) -> int:
        """Count the UIDs."""
        return sum(last - first + 1 for first, last in self.ranges)

    @property
    def last(self) -> int:
        """The greatest; 0 for the empty set."""
        return self.ranges[-1][1] if self.ranges else 0

    def union(self, uids: Iterable[int]) -> UidSet:
        """Return the set that also holds ``uids``."""
        added = UidSet.of(uids).ranges
        return UidSet(_joined(sorted((*self.ranges, *added))))

    def above(self, uid: int) -> UidSet:
        """Return those greater than ``uid``."""
        return UidSet(
            tuple((max(first, uid + 1), last) for first, last in self.ranges if last > uid)
        )


def _joined(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    joined: list[tuple[int, int]] = []
    for first, last in ranges:
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_UID))


def _malformed() -> LedgerError:
    return LedgerError("A set of UIDs in the ledger cannot be read.", step="ledger")
