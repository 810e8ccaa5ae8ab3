# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The files of a ledger, version 1, as data: commit, checkpoint, plan, tip."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_imap_oauth.etl.names import FolderKey
from airflow_imap_oauth.etl.position import (
    Position,
    Searched,
    searched_from_json,
    searched_to_json,
)
from airflow_imap_oauth.etl.records import Counts, Outcomes
from airflow_imap_oauth.etl.schema import Fields, dump, instant_text, load
from airflow_imap_oauth.etl.uids import UidSet

COMMIT = "airflow-imap-oauth/commit"
CHECKPOINT = "airflow-imap-oauth/checkpoint"
PLAN = "airflow-imap-oauth/plan"
TIP = "airflow-imap-oauth/tip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """
    One commit: what became of some messages, and the state after it.

    :param seq: From 1, without a gap.
    :param commit_id: Random; tells this attempt from any other at the same number.
    :param plan: Name of the plan it carries out, or None.
    :param records: Name of its JSON Lines, or None where it landed nothing.
    :param settled_above: None: too long to repeat. Then it is that of ``checkpoint`` with the
        outcomes of all commits from there to this one.
    """

    key: FolderKey
    seq: int
    epoch: int
    uidvalidity: int
    commit_id: str
    run_id: str
    committed_at: datetime
    plan: str | None
    outcomes: Outcomes
    records: str | None
    records_sha256: str | None
    counts: Counts
    settled_uid: int
    settled_above: UidSet | None
    checkpoint: int | None
    searched: tuple[Searched, ...]

    def to_bytes(self) -> bytes:
        """Write it."""
        above = self.settled_above
        return dump(
            COMMIT,
            {
                **key_to_json(self.key),
                "seq": self.seq,
                "epoch": self.epoch,
                "uidvalidity": self.uidvalidity,
                "commit_id": self.commit_id,
                "run_id": self.run_id,
                "committed_at": instant_text(self.committed_at),
                "plan": self.plan,
                "outcomes": self.outcomes.to_json(),
                "records": self.records,
                "records_sha256": self.records_sha256,
                "counts": self.counts.to_json(),
                "settled_uid": self.settled_uid,
                "settled_above": None if above is None else str(above),
                "checkpoint": self.checkpoint,
                "searched": searched_to_json(self.searched),
            },
        )

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> Commit:
        """Read it."""
        fields = load(data, name, COMMIT)
        above = fields.optional_text("settled_above")
        checkpoint = fields.optional_number("checkpoint")
        if above is None and checkpoint is None:
            raise fields.fault("has neither 'settled_above' nor 'checkpoint'")
        return cls(
            key=key_from_json(fields),
            seq=fields.number("seq"),
            epoch=fields.number("epoch"),
            uidvalidity=fields.number("uidvalidity"),
            commit_id=fields.text("commit_id"),
            run_id=fields.text("run_id"),
            committed_at=fields.instant("committed_at"),
            plan=fields.optional_text("plan"),
            outcomes=Outcomes.from_json(fields.fields("outcomes")),
            records=fields.optional_text("records"),
            records_sha256=fields.optional_text("records_sha256"),
            counts=Counts.from_json(fields.fields("counts")),
            settled_uid=fields.number("settled_uid"),
            settled_above=None if above is None else UidSet.parse(above),
            checkpoint=checkpoint,
            searched=searched_from_json(fields),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The settled UIDs as of one commit, where they are too many to repeat in each."""

    key: FolderKey
    seq: int
    epoch: int
    uidvalidity: int
    settled_uid: int
    settled_above: UidSet

    @classmethod
    def of(cls, key: FolderKey, position: Position) -> Checkpoint:
        """Take it from the position after a commit."""
        return cls(
            key=key,
            seq=position.seq,
            epoch=position.epoch,
            uidvalidity=position.uidvalidity or 0,
            settled_uid=position.settled_uid,
            settled_above=position.settled_above,
        )

    def to_bytes(self) -> bytes:
        """Write it."""
        return dump(
            CHECKPOINT,
            {
                **key_to_json(self.key),
                "seq": self.seq,
                "epoch": self.epoch,
                "uidvalidity": self.uidvalidity,
                "settled_uid": self.settled_uid,
                "settled_above": str(self.settled_above),
            },
        )

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> Checkpoint:
        """Read it."""
        fields = load(data, name, CHECKPOINT)
        return cls(
            key=key_from_json(fields),
            seq=fields.number("seq"),
            epoch=fields.number("epoch"),
            uidvalidity=fields.number("uidvalidity"),
            settled_uid=fields.number("settled_uid"),
            settled_above=fields.uids("settled_above"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What a run sets out to land, fixed before the first byte: every try of the run carries it out.

    :param base_seq: Last commit when it was made: the run's own come after it.
    :param upper_uid: Last UID that the search looked at.
    :param uids: Found, and not settled then; at most as many as the run may land.
    :param searched_uid: All that the criteria found up to this UID is in ``uids`` or settled.
    """

    key: FolderKey
    run_id: str
    planned_at: datetime
    base_seq: int
    uidvalidity: int
    criteria: str
    upper_uid: int
    uids: UidSet
    searched_uid: int

    def to_bytes(self) -> bytes:
        """Write it."""
        return dump(
            PLAN,
            {
                **key_to_json(self.key),
                "run_id": self.run_id,
                "planned_at": instant_text(self.planned_at),
                "base_seq": self.base_seq,
                "uidvalidity": self.uidvalidity,
                "criteria": self.criteria,
                "upper_uid": self.upper_uid,
                "uids": str(self.uids),
                "searched_uid": self.searched_uid,
            },
        )

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> Plan:
        """Read it."""
        fields = load(data, name, PLAN)
        return cls(
            key=key_from_json(fields),
            run_id=fields.text("run_id"),
            planned_at=fields.instant("planned_at"),
            base_seq=fields.number("base_seq"),
            uidvalidity=fields.number("uidvalidity"),
            criteria=fields.text("criteria"),
            upper_uid=fields.number("upper_uid"),
            uids=fields.uids("uids"),
            searched_uid=fields.number("searched_uid"),
        )


def key_to_json(key: FolderKey) -> dict[str, Any]:
    """Return account and mail folder as JSON."""
    return {"account": key.account, "mail_folder": key.mail_folder}


def key_from_json(fields: Fields) -> FolderKey:
    """Read account and mail folder."""
    return FolderKey(account=fields.text("account"), mail_folder=fields.text("mail_folder"))
