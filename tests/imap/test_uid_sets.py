# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""UIDs as sequence sets of bounded length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_imap_oauth.imap.uid_sets import MAX_SET_CHARACTERS, uid_sets

UIDS = st.sets(st.integers(1, 2**32 - 1) | st.integers(1, 400), max_size=400).map(sorted)


@pytest.mark.parametrize(
    ("uids", "max_uids", "sets"),
    [
        ([], 10, []),
        ([7], 10, ["7"]),
        ([1, 2, 3, 7], 10, ["1:3,7"]),
        ([1, 3, 5], 2, ["1,3", "5"]),
        (list(range(1, 8)), 3, ["1:3", "4:6", "7"]),
        ([1, 2, 4, 5, 6], 4, ["1:2", "4:6"]),
    ],
)
def test_neighbours_are_compressed(uids: list[int], max_uids: int, sets: list[str]) -> None:
    """Runs become ranges, and no set holds more UIDs than it may."""
    assert [text for text, _ in uid_sets(uids, max_uids=max_uids)] == sets


@given(UIDS, st.integers(1, 200))
def test_sets_stand_for_all_uids_in_short_lines(uids: list[int], max_uids: int) -> None:
    """Together the sets name every UID once, in order, each within its bounds."""
    found: list[int] = []
    for text, members in uid_sets(uids, max_uids=max_uids):
        assert len(text) <= MAX_SET_CHARACTERS
        assert 0 < len(members) <= max_uids
        assert _expanded(text) == members
        found += members
    assert found == uids


def _expanded(text: str) -> list[int]:
    pairs = (piece.split(":") for piece in text.split(","))
    return [uid for pair in pairs for uid in range(int(pair[0]), int(pair[-1]) + 1)]
