# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
How far one mail folder has been landed.

A message is *settled* when a commit names it, whatever its outcome. Two facts say which are:

- every UID up to a low-water mark, and a sparse set above it: criteria may leave gaps;
- for each criteria used, up to where it has searched: what it passed over need not be searched
  again by it, but stays open to others. So two tasks with different criteria, or criteria that
  change from run to run, neither lose a message nor land one twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from airflow_imap_oauth.etl.criteria import ALL, can_change
from airflow_imap_oauth.etl.schema import Fields
from airflow_imap_oauth.etl.uids import UidSet

# Forgetting how far criteria have searched costs them one long search, nothing else.
_REMEMBERED_CRITERIA = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """``criteria`` (normalized) have been searched for up to and including ``uid``."""

    criteria: str
    uid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """
    The state after one commit.

    :param seq: Number of that commit; 0: nothing is committed yet.
    :param epoch: Counts the numberings of the folder, from 1: a UIDVALIDITY may come back.
    :param uidvalidity: The numbering that all UIDs here belong to; None before the first commit.
    :param settled_uid: Every UID up to this one is settled.
    :param settled_above: Further settled UIDs.
    :param checkpoint: Number of the commit whose checkpoint file the later ones refer to, or None.
    """

    seq: int = 0
    epoch: int = 1
    uidvalidity: int | None = None
    settled_uid: int = 0
    settled_above: UidSet = field(default_factory=UidSet)
    searched: tuple[Searched, ...] = ()
    checkpoint: int | None = None

    def is_settled(self, uid: int) -> bool:
        """Tell whether a commit names this UID (or it never was in the folder)."""
        return uid <= self.settled_uid or uid in self.settled_above

    def search_from(self, criteria: str) -> int:
        """
        Return the first UID that a search by these normalized criteria must look at.

        Criteria that can come to match old messages look at all that is not settled.
        """
        if can_change(criteria):
            return self.settled_uid + 1
        known = (item.uid for item in self.searched if item.criteria == criteria)
        return max(self.settled_uid, *known, 0) + 1

    def settle(self, uids: Iterable[int], *, criteria: str, searched_uid: int) -> Position:
        """
        Return the next commit's position.

        :param uids: Settled by that commit.
        :param searched_uid: All that the criteria found up to this UID is settled now.
        """
        low = self.settled_uid
        searched = self.searched
        if criteria == ALL:
            # What a search for everything did not find is not there, and UIDs only grow.
            low = max(low, searched_uid)
        elif not can_change(criteria):
            others = tuple(item for item in searched if item.criteria != criteria)
            mine = Searched(
                criteria=criteria, uid=max(searched_uid, self.search_from(criteria) - 1)
            )
            searched = (*others, mine)[-_REMEMBERED_CRITERIA:]
        above = self.settled_above.union(uids).above(low)
        if above.ranges and above.ranges[0][0] == low + 1:
            low = above.ranges[0][1]
            above = above.above(low)
        return replace(
            self, seq=self.seq + 1, settled_uid=low, settled_above=above, searched=searched
        )


def searched_to_json(searched: Iterable[Searched]) -> list[dict[str, object]]:
    """Return how far each criteria has searched, as JSON."""
    return [{"criteria": item.criteria, "uid": item.uid} for item in searched]


def searched_from_json(fields: Fields) -> tuple[Searched, ...]:
    """Read it."""
    return tuple(
        Searched(criteria=item.text("criteria"), uid=item.number("uid"))
        for item in fields.each("searched")
    )
