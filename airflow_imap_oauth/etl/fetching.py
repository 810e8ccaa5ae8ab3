# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
One run: the new messages of one mail folder to a destination, exactly once.

Plan, then batch by batch: objects, then the commit that makes them count; last the run record. A
killed run leaves objects that nothing names, and its next try goes on after the last commit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_imap_oauth.etl.criteria import ALL, normalize_criteria
from airflow_imap_oauth.etl.landing import Choice, Landing
from airflow_imap_oauth.etl.ledger import Batch, Ledger
from airflow_imap_oauth.etl.ledger_files import Commit, Plan
from airflow_imap_oauth.etl.metadata import Unreadable, read_metadata
from airflow_imap_oauth.etl.names import FolderKey, run_record
from airflow_imap_oauth.etl.paths import Destination
from airflow_imap_oauth.etl.position import Position
from airflow_imap_oauth.etl.records import Counts
from airflow_imap_oauth.etl.run_record import CommitReference, FolderRun, RunRecord
from airflow_imap_oauth.etl.schema import utc_now
from airflow_imap_oauth.etl.uids import UidSet
from airflow_imap_oauth.exceptions import ConfigurationError, UidValidityChangedError
from airflow_imap_oauth.imap.model import FolderState, MailSession, MessageMetadata

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOptions:
    """
    What a run lands.

    :param criteria: A raw SEARCH string.
    :param max_messages: At most so many messages, the oldest first; None: all.
    :param commit_messages: A commit is made after so many messages ...
    :param commit_bytes: ... or so many bytes: that is what a kill can lose.
    """

    mail_folder: str = "INBOX"
    criteria: str = ALL
    choice: Choice = field(default_factory=Choice)
    max_messages: int | None = None
    commit_messages: int = 200
    commit_bytes: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not self.choice.eml and not self.choice.attachments:
            raise ConfigurationError("Nothing of a message is chosen to be landed.")
        limits = (self.max_messages, self.commit_messages, self.commit_bytes)
        if any(limit is not None and limit < 1 for limit in limits):
            raise ConfigurationError("Limits of messages and bytes must be at least 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """
    What a run brought, over all its tries.

    :param manifest: Path of the run record; None where nothing was committed.
    :param uidvalidity: Of the folder.
    :param last_uid: Highest UID that was committed, or None.
    """

    manifest: str | None
    counts: Counts
    uidvalidity: int | None
    last_uid: int | None

    def to_xcom(self) -> dict[str, Any]:
        """Return the small dictionary that tasks hand on."""
        return {
            "manifest": self.manifest,
            "messages": self.counts.messages,
            "attachments": self.counts.attachments,
            "bytes": self.counts.stored_bytes,
            "quarantined": self.counts.quarantined,
            "uidvalidity": self.uidvalidity,
            "last_uid": self.last_uid,
        }


def read_position(destination: Destination, *, account: str, mail_folder: str) -> Position:
    """
    Tell what of a folder is committed in a destination.

    :param account: The mailbox, as the hook names it.
    :return: With ``uidvalidity`` None where nothing is.
    :raises LedgerError: The ledger cannot be read. A retry cannot help.
    """
    return Ledger(destination.store, FolderKey.of(account, mail_folder)).position()


def fetch(
    session: MailSession,
    destination: Destination,
    options: FetchOptions,
    *,
    account: str,
    run_id: str,
    now: Callable[[], datetime] = utc_now,
) -> RunResult:
    """
    Land what is new in a folder.

    :param account: The mailbox, as the hook names it: part of every occurrence key.
    :param run_id: The same for every try of a run, and for no other run.
    :raises UidValidityChangedError: The folder was renumbered. A retry cannot help.
    :raises DestinationError: See there. What is committed stays.
    :raises CommitConflictError: Another run landed the same messages. A retry continues.
    :raises ImapConnectionError: The session is lost. A retry continues.
    """
    run = _Run(session, destination, options, FolderKey.of(account, options.mail_folder), now)
    return run.execute(run_id)


class _Run:
    def __init__(
        self,
        session: MailSession,
        destination: Destination,
        options: FetchOptions,
        key: FolderKey,
        now: Callable[[], datetime],
    ) -> None:
        self._session = session
        self._destination = destination
        self._options = options
        self._key = key
        self._now = now
        self._ledger = Ledger(destination.store, key, now=now)

    def execute(self, run_id: str) -> RunResult:
        position = self._ledger.position()
        state = self._session.examine(self._options.mail_folder)
        check_numbering(position, state)
        plan = self._ledger.plan(run_id)
        commits: list[Commit] = []
        if plan is not None:
            finished = self._finished(plan)
            if finished is not None:
                return finished
            commits = list(self._ledger.commits_of(plan, up_to=position.seq))
        else:
            plan = self._new_plan(position, state, run_id)
            if plan is None:
                log.info("Nothing new in mail folder '%s'.", self._key.mail_folder)
                return RunResult(
                    manifest=None, counts=Counts(), uidvalidity=state.uidvalidity, last_uid=None
                )
            self._destination.verify_writable()
            plan = self._ledger.save_plan(plan)
        if plan.uidvalidity != state.uidvalidity:
            raise _renumbered(self._key.mail_folder)
        commits += self._carry_out(plan, position)
        return self._finish(plan, commits)

    def _new_plan(self, position: Position, state: FolderState, run_id: str) -> Plan | None:
        criteria = normalize_criteria(self._options.criteria)
        first = position.search_from(criteria)
        upper = None if state.uidnext is None else state.uidnext - 1
        if upper is not None and upper < first:
            return None
        found = self._session.search(criteria, uid_from=first, uid_to=upper)
        fresh = [uid for uid in found if not position.is_settled(uid)]
        if not fresh:
            return None
        if upper is None:
            upper = fresh[-1]
        chosen = fresh[: self._options.max_messages]
        return Plan(
            key=self._key,
            run_id=run_id,
            planned_at=self._now(),
            base_seq=position.seq,
            uidvalidity=state.uidvalidity,
            criteria=criteria,
            upper_uid=upper,
            uids=UidSet.of(chosen),
            searched_uid=upper if len(chosen) == len(fresh) else chosen[-1],
        )

    def _carry_out(self, plan: Plan, position: Position) -> Iterator[Commit]:
        landing = Landing(
            self._session,
            self._destination.store,
            self._key,
            uidvalidity=plan.uidvalidity,
            choice=self._options.choice,
        )
        open_uids = [uid for uid in plan.uids if not position.is_settled(uid)]
        log.info("Mail folder '%s': %d messages to land.", self._key.mail_folder, len(open_uids))
        for uids, messages in self._batches(open_uids):
            records, gone = landing.land(messages)
            known = {message.uid for message in messages}
            gone += [uid for uid in uids if uid not in known]
            is_last = uids[-1] == open_uids[-1]
            batch = Batch(
                records=records,
                gone=gone,
                searched_uid=plan.searched_uid if is_last else uids[-1],
            )
            commit, position = self._ledger.commit(position, batch, plan)
            log.info(
                "Commit %d: %d messages and %d attachments landed, %d set aside, %d gone.",
                commit.seq,
                commit.counts.messages,
                commit.counts.attachments,
                commit.counts.quarantined,
                commit.counts.gone,
            )
            yield commit

    def _batches(
        self, uids: list[int]
    ) -> Iterator[tuple[list[int], list[MessageMetadata | Unreadable]]]:
        """Yield UIDs in order, with what is known of those that exist; each pair is a commit."""
        step = self._options.commit_messages
        for start in range(0, len(uids), step):
            window = uids[start : start + step]
            known = {message.uid: message for message in read_metadata(self._session, window)}
            batch: list[int] = []
            size_bytes = 0
            for uid in window:
                message = known.get(uid)
                size_bytes += _size_bytes(message)
                if batch and size_bytes > self._options.commit_bytes:
                    yield batch, [known[item] for item in batch if item in known]
                    batch, size_bytes = [], _size_bytes(message)
                batch.append(uid)
            yield batch, [known[item] for item in batch if item in known]

    def _finished(self, plan: Plan) -> RunResult | None:
        """Return the result of a run that was carried out before, and cleared to run again."""
        name = run_record(plan.run_id)
        data = self._destination.store.read(name)
        record = RunRecord.from_bytes(data, name) if data is not None else None
        if record and any(run.key == self._key and run.complete for run in record.folders):
            log.info("This run was carried out before: its record stands.")
            return self._result(record)
        return None

    def _finish(self, plan: Plan, commits: list[Commit]) -> RunResult:
        if not commits:
            return RunResult(
                manifest=None, counts=Counts(), uidvalidity=plan.uidvalidity, last_uid=None
            )
        folder = FolderRun(
            key=self._key,
            uidvalidity=plan.uidvalidity,
            last_uid=max(commit.outcomes.uids.last for commit in commits),
            complete=True,
            commits=tuple(map(CommitReference.of, commits)),
        )
        record = RunRecord(run_id=plan.run_id, finished_at=self._now(), folders=(folder,))
        self._destination.store.write(run_record(plan.run_id), record.to_bytes())
        return self._result(record)

    def _result(self, record: RunRecord) -> RunResult:
        only = record.folders[0] if len(record.folders) == 1 else None
        return RunResult(
            manifest=self._destination.locate(run_record(record.run_id)),
            counts=record.counts,
            uidvalidity=only.uidvalidity if only else None,
            last_uid=only.last_uid if only else None,
        )


def check_numbering(position: Position, state: FolderState) -> None:
    """
    Make sure that UIDs still mean what they meant at the last commit.

    :raises UidValidityChangedError: They do not. A retry cannot help.
    """
    if not state.uidvalidity:
        raise UidValidityChangedError(
            f"The server gives mail folder '{state.name}' no UIDVALIDITY, so that its UIDs cannot "
            "be relied on.",
            hint="Ask whoever runs the mail server: RFC 9051 section 2.3.1.1 demands one.",
            step="mail folder",
        )
    if position.uidvalidity is None:
        return
    went_back = state.uidnext is not None and state.uidnext <= position.settled_uid
    if position.uidvalidity != state.uidvalidity or went_back:
        raise _renumbered(state.name)


def _renumbered(mail_folder: str) -> UidValidityChangedError:
    return UidValidityChangedError(
        f"The server has renumbered mail folder '{mail_folder}' (its UIDVALIDITY changed, or its "
        "UIDs start again), so new messages cannot be told from landed ones.",
        hint="What was landed stays valid. Fetch into a new destination to go on; that lands the "
        "folder's messages again.",
        step="mail folder",
    )


def _size_bytes(message: MessageMetadata | Unreadable | None) -> int:
    return (message.size_bytes or 0) if isinstance(message, MessageMetadata) else 0
