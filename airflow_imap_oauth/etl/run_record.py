# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The record of a run: what it brought, folder by folder, commit by commit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_imap_oauth.etl.ledger_files import Commit, key_from_json, key_to_json
from airflow_imap_oauth.etl.names import FolderKey
from airflow_imap_oauth.etl.records import Counts
from airflow_imap_oauth.etl.schema import Fields, dump, instant_text, load

RUN = "airflow-imap-oauth/run"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitReference:
    """A commit as a run record names it."""

    seq: int
    path: str
    records: str | None
    counts: Counts

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "seq": self.seq,
            "path": self.path,
            "records": self.records,
            "counts": self.counts.to_json(),
        }

    @classmethod
    def of(cls, commit: Commit) -> CommitReference:
        """Make it from the commit."""
        return cls(
            seq=commit.seq,
            path=commit.key.commit(commit.seq),
            records=commit.records,
            counts=commit.counts,
        )

    @classmethod
    def from_json(cls, fields: Fields) -> CommitReference:
        """Read it."""
        return cls(
            seq=fields.number("seq"),
            path=fields.text("path"),
            records=fields.optional_text("records"),
            counts=Counts.from_json(fields.fields("counts")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderRun:
    """
    What a run brought from one folder.

    :param last_uid: Highest UID that it committed.
    :param complete: Whether its plan was carried out.
    """

    key: FolderKey
    uidvalidity: int
    last_uid: int
    complete: bool
    commits: tuple[CommitReference, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            **key_to_json(self.key),
            "uidvalidity": self.uidvalidity,
            "last_uid": self.last_uid,
            "complete": self.complete,
            "commits": [commit.to_json() for commit in self.commits],
        }

    @classmethod
    def from_json(cls, fields: Fields) -> FolderRun:
        """Read it."""
        return cls(
            key=key_from_json(fields),
            uidvalidity=fields.number("uidvalidity"),
            last_uid=fields.number("last_uid"),
            complete=fields.truth("complete"),
            commits=tuple(map(CommitReference.from_json, fields.each("commits"))),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """Everything that a run brought, over all its tries; written last."""

    run_id: str
    finished_at: datetime
    folders: tuple[FolderRun, ...]

    @property
    def counts(self) -> Counts:
        """What it brought in all."""
        commits = [commit for folder in self.folders for commit in folder.commits]
        return sum((commit.counts for commit in commits), Counts())

    def to_bytes(self) -> bytes:
        """Write it."""
        return dump(
            RUN,
            {
                "run_id": self.run_id,
                "finished_at": instant_text(self.finished_at),
                "counts": self.counts.to_json(),
                "folders": [folder.to_json() for folder in self.folders],
            },
        )

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> RunRecord:
        """Read it."""
        fields = load(data, name, RUN)
        return cls(
            run_id=fields.text("run_id"),
            finished_at=fields.instant("finished_at"),
            folders=tuple(map(FolderRun.from_json, fields.each("folders"))),
        )
