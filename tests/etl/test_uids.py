# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Sets of UIDs, positions and criteria: against plain Python sets, on seeded random input."""

from __future__ import annotations

import random

import pytest

from airflow_imap_oauth.etl.criteria import can_change, normalize_criteria
from airflow_imap_oauth.etl.position import Position
from airflow_imap_oauth.etl.uids import UidSet
from airflow_imap_oauth.exceptions import LedgerError


@pytest.mark.parametrize("seed", range(20))
def test_a_uid_set_behaves_like_a_set(seed: int) -> None:
    """Union, cut, membership, text and back agree with a plain set."""
    chance = random.Random(seed)  # noqa: S311  # a plan, not a secret
    first, second = ({chance.randrange(1, 60) for _ in range(25)} for _ in range(2))

    united = UidSet.of(first).union(second)

    assert list(united) == sorted(first | second)
    assert len(united) == len(first | second)
    assert [uid in united for uid in range(70)] == [uid in first | second for uid in range(70)]
    assert list(united.above(30)) == sorted(uid for uid in first | second if uid > 30)
    assert UidSet.parse(str(united)) == united
    assert united.last == max(first | second)


@pytest.mark.parametrize(
    "text",
    ["0", "1,", "2:1", "3,1", "1:2:3", "a", "1:*", "-1", "1,1", "99999999999", "1:", "\u0661"],
)
def test_what_is_no_uid_set_is_refused(text: str) -> None:
    """Garbage in a ledger is an error, not an empty set."""
    with pytest.raises(LedgerError):
        UidSet.parse(text)


@pytest.mark.parametrize("seed", range(20))
def test_settling_forgets_nothing_and_invents_nothing(seed: int) -> None:
    """Whatever is settled in whatever order by filters, exactly that is settled."""
    chance = random.Random(seed)  # noqa: S311  # a plan, not a secret
    position = Position(uidvalidity=1)
    settled: set[int] = set()
    for _ in range(30):
        uids = {uid for uid in range(1, 80) if chance.random() < 0.05} - settled
        settled |= uids
        position = position.settle(uids, criteria="SUBJECT x", searched_uid=max(uids, default=0))
        assert {uid for uid in range(1, 90) if position.is_settled(uid)} == settled


def test_a_search_for_everything_settles_the_gaps() -> None:
    """UIDs that a search for everything did not find are not there."""
    position = Position().settle([3, 5], criteria="ALL", searched_uid=9)

    assert (position.settled_uid, str(position.settled_above)) == (9, "")


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ("UNSEEN", True),
        ('(FROM "a" NOT DELETED)', True),
        ("KEYWORD x", True),
        ("YOUNGER 3600", True),
        ('X-GM-RAW "has:attachment"', True),
        ('SUBJECT "unseen"', False),
        ("(OR FROM a TO b SINCE 1-Jan-2026)", False),
        ("ALL", False),
    ],
)
def test_criteria_on_flags_labels_and_age_can_change(criteria: str, expected: bool) -> None:
    """What may come to match later is told from what never will."""
    assert can_change(criteria) is expected


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ("", "ALL"),
        (" (all) ", "ALL"),
        ('FROM  "a  b"   TO c', 'FROM "a  b" TO c'),
        ("FROM all", "FROM all"),
    ],
)
def test_two_spellings_of_criteria_are_one(criteria: str, expected: str) -> None:
    """Blanks do not matter, except inside quotes."""
    assert normalize_criteria(criteria) == expected
