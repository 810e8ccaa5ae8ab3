# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
One look at a mail folder: which messages match and lie above the baseline.

No body is read, and nothing is searched again that an earlier look has seen.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Literal

from airflow_imap_oauth.etl import Position
from airflow_imap_oauth.etl.criteria import can_change, normalize_criteria
from airflow_imap_oauth.imap.model import FolderState, MailSession
from airflow_imap_oauth.sensors.memory import Seen

log = logging.getLogger(__name__)

Baseline = Literal["any", "first_poke"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """
    What a look brought.

    :param uids: Matching messages above the baseline, ascending.
    :param seen: To be remembered for the next look.
    """

    uids: tuple[int, ...]
    seen: Seen


def look(
    session: MailSession,
    *,
    mail_folder: str,
    criteria: str,
    baseline: Baseline,
    seen: Seen | None,
    position: Position | None,
) -> Look:
    """
    Look at a folder once.

    :param baseline: Where counting starts when ``seen`` is None.
    :param seen: What the last look returned, or None at the first.
    :param position: What is committed and so does not count, or None.
    """
    state = session.examine(mail_folder)
    criteria = normalize_criteria(criteria)
    is_first = seen is None
    if seen is not None and seen.uidvalidity != state.uidvalidity:
        # UIDs mean other messages now, and no message can be told to be an old one.
        log.warning("Mail folder '%s' was renumbered: looking anew.", mail_folder)
        seen = None
    if seen is None:
        seen = _start(session, state, baseline)
    committed = position or Position()
    if committed.uidvalidity != state.uidvalidity:
        committed = Position()
    first = 1 + (seen.baseline_uid if can_change(criteria) else seen.searched_uid)
    first = max(first, committed.search_from(criteria))
    # The first look asks the server in any case: criteria that it refuses are told at once.
    if not is_first and state.uidnext is not None and first >= state.uidnext:
        return Look(uids=(), seen=_seen_all(seen, state))
    found = session.search(criteria, uid_from=first)
    uids = tuple(uid for uid in found if not committed.is_settled(uid))
    return Look(uids=uids, seen=seen if uids else _seen_all(seen, state))


def _start(session: MailSession, state: FolderState, baseline: Baseline) -> Seen:
    newest = 0
    if baseline == "first_poke":
        newest = max(session.search(), default=0) if state.uidnext is None else state.uidnext - 1
    return Seen(
        uidvalidity=state.uidvalidity,
        baseline_uid=newest,
        searched_uid=newest,
    )


def _seen_all(seen: Seen, state: FolderState) -> Seen:
    """Remember that nothing that was there when the folder was opened matches."""
    if state.uidnext is None:
        return seen
    return replace(seen, searched_uid=max(seen.searched_uid, state.uidnext - 1))
