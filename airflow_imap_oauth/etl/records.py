# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What is said of one message: a line of the JSON Lines, and its outcome in the commit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from airflow_imap_oauth.etl.names import FolderKey
from airflow_imap_oauth.etl.schema import Fields, dump_line, instant_text
from airflow_imap_oauth.etl.uids import UidSet

RECORD = "airflow-imap-oauth/record"

#: Where a message failed: ``fetch`` (the server could not give it), ``parse`` (it could not be
#: taken apart), ``policy`` (a limit forbids it).
Stage = Literal["fetch", "parse", "policy"]
_STAGES: tuple[Stage, ...] = ("fetch", "parse", "policy")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object written to the destination: name relative to its root, size, content hash."""

    path: str
    size_bytes: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"path": self.path, "bytes": self.size_bytes, "sha256": self.sha256}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAttachment:
    """
    One attachment, decoded.

    :param filename: As the sender wrote it, or None; ``stored.path`` is the safe one.
    :param damaged: What was wrong with its encoding (the rest was decoded as well as can be), or
        None.
    """

    section: str
    filename: str | None
    content_type: str
    stored: StoredObject
    damaged: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON; ``damaged`` only where there is something to say."""
        fields = {
            "section": self.section,
            "filename": self.filename,
            "content_type": self.content_type,
            **self.stored.to_json(),
        }
        return {**fields, "damaged": self.damaged} if self.damaged else fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """
    Why a message was set aside.

    :param raw: Its bytes as the server sent them, or None where they could not be had.
    """

    stage: Stage
    reason: str
    raw: StoredObject | None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "stage": self.stage,
            "reason": self.reason,
            "raw": self.raw.to_json() if self.raw else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRecord:
    """
    One message that was landed or quarantined.

    :param sender: Addresses of From, as the header names them; ``to`` and ``cc`` likewise.
    :param date_header_at: The sender's Date, or None where it is missing or makes no sense.
    :param date_header_raw: The same as sent.
    :param internaldate_at: When the server received it, or None.
    :param size_bytes: RFC822.SIZE, the server's hint; the truth is in ``eml``.
    """

    uid: int
    flags: tuple[str, ...] = ()
    message_id: str | None = None
    date_header_at: datetime | None = None
    date_header_raw: str | None = None
    internaldate_at: datetime | None = None
    sender: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    subject: str | None = None
    size_bytes: int | None = None
    eml: StoredObject | None = None
    attachments: tuple[StoredAttachment, ...] = ()
    quarantine: Quarantine | None = None

    @property
    def stored_bytes(self) -> int:
        """Bytes of all its objects."""
        stored = [self.eml, *(item.stored for item in self.attachments)]
        # Where the whole message was landed, it is also what the quarantine names.
        if self.quarantine and self.quarantine.raw != self.eml:
            stored.append(self.quarantine.raw)
        return sum(item.size_bytes for item in stored if item)

    def to_line(self, key: FolderKey, uidvalidity: int) -> bytes:
        """Return its line of JSON Lines."""
        return dump_line(
            RECORD,
            {
                "account": key.account,
                "mail_folder": key.mail_folder,
                "uidvalidity": uidvalidity,
                "uid": self.uid,
                "outcome": "quarantined" if self.quarantine else "ok",
                "message_id": self.message_id,
                "date_header": _optional_instant(self.date_header_at),
                "date_header_raw": self.date_header_raw,
                "internaldate_at": _optional_instant(self.internaldate_at),
                "from": list(self.sender),
                "to": list(self.to),
                "cc": list(self.cc),
                "subject": self.subject,
                "size_bytes": self.size_bytes,
                "flags": list(self.flags),
                "eml": self.eml.to_json() if self.eml else None,
                "attachments": [item.to_json() for item in self.attachments],
                "quarantine": self.quarantine.to_json() if self.quarantine else None,
            },
        )


def _optional_instant(value: datetime | None) -> str | None:
    return instant_text(value) if value else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """
    What a commit or a run brought.

    :param messages: Landed whole; the quarantined are not among them.
    :param stored_bytes: Of messages, attachments and quarantined raw bytes.
    """

    messages: int = 0
    attachments: int = 0
    stored_bytes: int = 0
    quarantined: int = 0
    gone: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Count both together."""
        return Counts(
            messages=self.messages + other.messages,
            attachments=self.attachments + other.attachments,
            stored_bytes=self.stored_bytes + other.stored_bytes,
            quarantined=self.quarantined + other.quarantined,
            gone=self.gone + other.gone,
        )

    def to_json(self) -> dict[str, int]:
        """Return them as JSON."""
        return {
            "messages": self.messages,
            "attachments": self.attachments,
            "bytes": self.stored_bytes,
            "quarantined": self.quarantined,
            "gone": self.gone,
        }

    @classmethod
    def from_json(cls, fields: Fields) -> Counts:
        """Read them."""
        return cls(
            messages=fields.number("messages"),
            attachments=fields.number("attachments"),
            stored_bytes=fields.number("bytes"),
            quarantined=fields.number("quarantined"),
            gone=fields.number("gone"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedUid:
    """A quarantined message as its commit names it."""

    uid: int
    stage: Stage
    reason: str
    raw_path: str | None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"uid": self.uid, "stage": self.stage, "reason": self.reason, "raw": self.raw_path}

    @classmethod
    def from_json(cls, fields: Fields) -> QuarantinedUid:
        """Read it."""
        stage = next((known for known in _STAGES if known == fields.text("stage")), None)
        if stage is None:
            raise fields.fault("names a stage that is not known")
        return cls(
            uid=fields.number("uid"),
            stage=stage,
            reason=fields.text("reason"),
            raw_path=fields.optional_text("raw"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What became of each message of a commit. ``gone``: deleted before it could be read."""

    ok: UidSet = field(default_factory=UidSet)
    gone: UidSet = field(default_factory=UidSet)
    quarantined: tuple[QuarantinedUid, ...] = ()

    @property
    def uids(self) -> UidSet:
        """All of them."""
        return self.ok.union(self.gone).union(item.uid for item in self.quarantined)

    def to_json(self) -> dict[str, Any]:
        """Return them as JSON."""
        return {
            "ok": str(self.ok),
            "gone": str(self.gone),
            "quarantined": [item.to_json() for item in self.quarantined],
        }

    @classmethod
    def from_json(cls, fields: Fields) -> Outcomes:
        """Read them."""
        return cls(
            ok=fields.uids("ok"),
            gone=fields.uids("gone"),
            quarantined=tuple(map(QuarantinedUid.from_json, fields.each("quarantined"))),
        )

    @classmethod
    def of(cls, records: Iterable[MessageRecord], gone: Iterable[int]) -> Outcomes:
        """Take them from the records of a commit."""
        ok: list[int] = []
        quarantined: list[QuarantinedUid] = []
        for record in sorted(records, key=lambda item: item.uid):
            fault = record.quarantine
            if fault is None:
                ok.append(record.uid)
            else:
                raw_path = fault.raw.path if fault.raw else None
                quarantined.append(
                    QuarantinedUid(
                        uid=record.uid, stage=fault.stage, reason=fault.reason, raw_path=raw_path
                    )
                )
        return cls(ok=UidSet.of(ok), gone=UidSet.of(gone), quarantined=tuple(quarantined))
