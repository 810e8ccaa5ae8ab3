# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The ledger of one mail folder, beside the data.

Invariant: *a message is landed when, and only when, a commit names it; of all who try to write
commit number n, one wins.* Creating the commit's file is the one step that decides; everything
before it can be repeated without harm, everything after it can be worked out again.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from airflow_imap_oauth.etl.ledger_files import TIP, Checkpoint, Commit, Plan
from airflow_imap_oauth.etl.names import FolderKey
from airflow_imap_oauth.etl.position import Position
from airflow_imap_oauth.etl.records import Counts, MessageRecord, Outcomes
from airflow_imap_oauth.etl.schema import STEP, dump, load, utc_now
from airflow_imap_oauth.etl.store import Store
from airflow_imap_oauth.exceptions import CommitConflictError, LedgerError

# A commit repeats the settled UIDs up to this size; beyond, it refers to a checkpoint.
_INLINE_CHARACTERS = 32 * 1024
# Bounds how many commits are read on top of a checkpoint.
_COMMITS_PER_CHECKPOINT = 100
_COMMIT_NAME = re.compile(r"\d{10}\.json", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """
    What one commit settles.

    :param records: Messages landed or quarantined.
    :param gone: UIDs deleted before they could be read.
    :param searched_uid: All that the plan's search found up to this UID is settled with it.
    """

    records: Sequence[MessageRecord]
    gone: Sequence[int]
    searched_uid: int

    @property
    def counts(self) -> Counts:
        """Count it."""
        quarantined = sum(1 for record in self.records if record.quarantine)
        return Counts(
            messages=len(self.records) - quarantined,
            attachments=sum(len(record.attachments) for record in self.records),
            stored_bytes=sum(record.stored_bytes for record in self.records),
            quarantined=quarantined,
            gone=len(self.gone),
        )


class Ledger:
    """
    Reads and extends the ledger of one folder.

    :param now: The clock; its instants are told, never compared.
    """

    def __init__(
        self, store: Store, key: FolderKey, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._store = store
        self._key = key
        self._now = now

    def position(self) -> Position:
        """
        Return the state after the last commit.

        :raises LedgerError: A file of the ledger is missing or cannot be read. A retry cannot help.
        """
        commit = self._last_commit()
        return Position() if commit is None else self._position_after(commit)

    def plan(self, run_id: str) -> Plan | None:
        """Return the plan that an earlier try of this run made, or None."""
        name = self._key.plan(run_id)
        data = self._store.read(name)
        return None if data is None else Plan.from_bytes(data, name)

    def save_plan(self, plan: Plan) -> Plan:
        """Save a plan, or return the one that was saved meanwhile."""
        if self._store.create(self._key.plan(plan.run_id), plan.to_bytes()):
            return plan
        return self.plan(plan.run_id) or plan

    def commits_of(self, plan: Plan, *, up_to: int) -> Iterator[Commit]:
        """Yield the commits that carried out a plan so far."""
        for seq in range(plan.base_seq + 1, up_to + 1):
            commit = self._commit(seq)
            if commit.run_id == plan.run_id:
                yield commit

    def commit(self, position: Position, batch: Batch, plan: Plan) -> tuple[Commit, Position]:
        """
        Commit a batch whose objects are all in the store.

        Where another run committed other messages meanwhile, this one goes on after it.

        :param position: The last one known here.
        :raises CommitConflictError: Another run settled one of these messages. A retry continues
            from there.
        """
        commit_id = secrets.token_hex(8)
        records, digest = self._write_records(batch, plan, commit_id)
        self._store.sync()
        draft = Commit(
            key=self._key,
            seq=0,
            epoch=position.epoch,
            uidvalidity=plan.uidvalidity,
            commit_id=commit_id,
            run_id=plan.run_id,
            committed_at=self._now(),
            plan=self._key.plan(plan.run_id),
            outcomes=Outcomes.of(batch.records, batch.gone),
            records=records,
            records_sha256=digest,
            counts=batch.counts,
            settled_uid=0,
            settled_above=None,
            checkpoint=None,
            searched=(),
        )
        while True:
            after = self._settled(position, draft, batch, plan)
            commit = self._with_state(draft, after)
            if self._store.create(self._key.commit(commit.seq), commit.to_bytes()):
                self._store.write(self._key.tip, dump(TIP, {"seq": commit.seq}))
                return commit, after
            position = self._position_of_the_winner(after.seq, draft)

    def _settled(self, before: Position, draft: Commit, batch: Batch, plan: Plan) -> Position:
        """Return the position after a commit, and write the checkpoint that it needs, if any."""
        after = replace(
            before.settle(
                draft.outcomes.uids, criteria=plan.criteria, searched_uid=batch.searched_uid
            ),
            uidvalidity=plan.uidvalidity,
        )
        if len(str(after.settled_above)) <= _INLINE_CHARACTERS:
            return after
        base = before.checkpoint
        if base is None or after.seq - base > _COMMITS_PER_CHECKPOINT:
            base = before.seq
            checkpoint = Checkpoint.of(self._key, replace(before, uidvalidity=plan.uidvalidity))
            self._store.write(self._key.checkpoint(base), checkpoint.to_bytes())
        return replace(after, checkpoint=base)

    def _with_state(self, draft: Commit, after: Position) -> Commit:
        inline = len(str(after.settled_above)) <= _INLINE_CHARACTERS
        return replace(
            draft,
            seq=after.seq,
            settled_uid=after.settled_uid,
            settled_above=after.settled_above if inline else None,
            checkpoint=after.checkpoint,
            searched=after.searched,
        )

    def _position_of_the_winner(self, seq: int, draft: Commit) -> Position:
        position = self._position_after(self._last_commit(at_least=seq) or self._commit(seq))
        same = (position.uidvalidity, position.epoch) == (draft.uidvalidity, draft.epoch)
        if not same or any(position.is_settled(uid) for uid in draft.outcomes.uids):
            raise CommitConflictError(
                f"Another run committed the same messages of '{self._key.mail_folder}' first.",
                hint="Let only one task at a time fetch a folder into one destination.",
                step=STEP,
            )
        return position

    def _write_records(
        self, batch: Batch, plan: Plan, commit_id: str
    ) -> tuple[str | None, str | None]:
        if not batch.records:
            return None, None
        records = sorted(batch.records, key=lambda record: record.uid)
        uids = (records[0].uid, records[-1].uid)
        name = self._key.records(plan.uidvalidity, uids, commit_id)
        digest = hashlib.sha256()
        with self._store.upload(name) as upload:
            for record in records:
                line = record.to_line(self._key, plan.uidvalidity)
                digest.update(line)
                upload.write(line)
        return name, digest.hexdigest()

    def _last_commit(self, *, at_least: int = 0) -> Commit | None:
        seq = max(self._hinted_seq(), at_least)
        commit = self._commit(seq) if seq else None
        while True:
            later = self._read_commit(seq + 1)
            if later is None:
                return commit
            commit, seq = later, seq + 1

    def _hinted_seq(self) -> int:
        """
        Return the number of a commit at or before the last: the hint may lag, or be lost.

        It is written after its commit: one that is ahead tells of a commit that was lost, whose
        messages must not be landed again unasked.
        """
        data = self._store.read(self._key.tip)
        if data is not None:
            try:
                return load(data, self._key.tip, TIP).number("seq")
            except LedgerError:
                pass  # a machine that lost power may leave an empty file
        names = self._store.names(f"{self._key.ledger}/commits")
        return max((int(name[:10]) for name in names if _COMMIT_NAME.fullmatch(name)), default=0)

    def _commit(self, seq: int) -> Commit:
        commit = self._read_commit(seq)
        if commit is None:
            raise LedgerError(
                f"Commit {self._key.commit(seq)} is missing.",
                hint="Restore it, or fetch into a new destination.",
                step=STEP,
            )
        return commit

    def _read_commit(self, seq: int) -> Commit | None:
        name = self._key.commit(seq)
        data = self._store.read(name)
        if data is None:
            return None
        commit = Commit.from_bytes(data, name)
        if (commit.key, commit.seq) != (self._key, seq):
            raise LedgerError(f"{name} is the commit of another folder or number.", step=STEP)
        return commit

    def _position_after(self, commit: Commit) -> Position:
        above = commit.settled_above
        if above is None:
            name = self._key.checkpoint(commit.checkpoint or 0)
            data = self._store.read(name)
            if data is None:
                raise LedgerError(f"Checkpoint {name} is missing.", step=STEP)
            checkpoint = Checkpoint.from_bytes(data, name)
            above = checkpoint.settled_above
            for seq in range(checkpoint.seq + 1, commit.seq + 1):
                above = above.union(self._commit(seq).outcomes.uids)
            above = above.above(commit.settled_uid)
        return Position(
            seq=commit.seq,
            epoch=commit.epoch,
            uidvalidity=commit.uidvalidity,
            settled_uid=commit.settled_uid,
            settled_above=above,
            searched=commit.searched,
            checkpoint=commit.checkpoint,
        )
