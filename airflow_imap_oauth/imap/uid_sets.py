# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""UIDs as the sequence sets of RFC 3501 section 9, in commands of bounded length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

#: RFC 2683 section 3.2.1.5: clients keep command lines below about 1,000 octets. What is left
#: is for the rest of the command.
MAX_SET_CHARACTERS = 700


def uid_sets(uids: Sequence[int], *, max_uids: int) -> Iterator[tuple[str, list[int]]]:
    """
    Cut UIDs into sets, neighbours compressed: 1, 2, 3, 7 is ``1:3,7``.

    :param uids: In ascending order.
    :param max_uids: How many UIDs one set may hold.
    :return: Each set with the UIDs it stands for.
    """
    ranges: list[str] = []
    members: list[int] = []
    length = 0
    for first, last in _ranges(uids, max_uids):
        text = str(first) if first == last else f"{first}:{last}"
        is_full = len(members) + last - first + 1 > max_uids
        if members and (is_full or length + len(text) + 1 > MAX_SET_CHARACTERS):
            yield ",".join(ranges), members
            ranges, members, length = [], [], 0
        ranges.append(text)
        members.extend(range(first, last + 1))
        length += len(text) + 1
    if members:
        yield ",".join(ranges), members


def _ranges(uids: Sequence[int], max_uids: int) -> Iterator[tuple[int, int]]:
    """Yield runs of neighbours, none longer than ``max_uids``."""
    first = last = -1
    for uid in uids:
        if first >= 0 and uid == last + 1 and uid - first < max_uids:
            last = uid
            continue
        if first >= 0:
            yield first, last
        first = last = uid
    if first >= 0:
        yield first, last
