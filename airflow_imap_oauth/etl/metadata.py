# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of many messages, asked for in one go, so that one fault hides no other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from airflow_imap_oauth.exceptions import ImapCommandError, ImapProtocolError
from airflow_imap_oauth.imap.model import MailSession, MessageMetadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A message that is there, and of which the server tells nothing that can be understood."""

    uid: int
    reason: str


def read_metadata(session: MailSession, uids: Sequence[int]) -> list[MessageMetadata | Unreadable]:
    """
    Return what is known of those messages that still exist, in the order of ``uids``.

    A message without an answer counts as deleted only when the server no longer lists it: some
    leave out what they cannot read, and say OK.

    :raises ImapConnectionError: The session is lost. A retry helps.
    """
    found: dict[int, MessageMetadata | Unreadable] = {}
    for message in _isolated(session, uids):
        found.setdefault(message.uid, message)
    missing = [uid for uid in uids if uid not in found]
    for uid in still_listed(session, missing):
        found[uid] = Unreadable(uid=uid, reason="the server lists the message and does not give it")
    return [found[uid] for uid in uids if uid in found]


def still_listed(session: MailSession, uids: Sequence[int]) -> set[int]:
    """Return those of ``uids`` that the server still has, or may have."""
    if not uids:
        return set()
    try:
        session.noop()  # lets the server tell of deletions first
        listed = session.search(uid_from=min(uids), uid_to=max(uids))
    except (ImapCommandError, ImapProtocolError):
        return set(uids)
    return set(uids).intersection(listed)


def _isolated(session: MailSession, uids: Sequence[int]) -> Iterator[MessageMetadata | Unreadable]:
    """Ask for all; where that fails, for halves of what is missing, down to the one at fault."""
    if not uids:
        return
    wanted = set(uids)
    answered: set[int] = set()
    try:
        for message in session.fetch_metadata(uids, headers=True):
            if message.uid in wanted:
                answered.add(message.uid)
                yield message
        return
    except (ImapCommandError, ImapProtocolError) as exc:
        missing = [uid for uid in uids if uid not in answered]
        if len(uids) == 1 and missing:
            yield Unreadable(uid=uids[0], reason=exc.message)
            return
    middle = (len(missing) + 1) // 2
    yield from _isolated(session, missing[:middle])
    yield from _isolated(session, missing[middle:])
