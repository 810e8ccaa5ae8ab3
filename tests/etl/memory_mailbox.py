# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A mail folder in memory behind the session's interface, with faults on order."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from airflow_imap_oauth.exceptions import ImapConnectionError, MailFolderNotFoundError
from airflow_imap_oauth.imap.decoding import decoder_for
from airflow_imap_oauth.imap.model import (
    FetchedPart,
    FolderInfo,
    FolderState,
    MessageMetadata,
    Part,
    PartReport,
    PartRequest,
)

RECEIVED_AT = datetime(2026, 1, 31, 8, 15, tzinfo=timezone.utc)


@dataclass(frozen=True)
class MemoryMessage:
    """One message: its raw bytes, and its parts with their encoded bytes by section."""

    raw: bytes
    parts: tuple[Part, ...] = ()
    bodies: dict[str, bytes] = field(default_factory=dict)
    headers: bytes = b""
    flags: tuple[str, ...] = ()
    structure_error: str | None = None


def mail(subject: str = "Hello", **files: bytes) -> MemoryMessage:
    """Make a message with attachments by file name (``_`` stands for the dot)."""
    headers = (
        f"Subject: {subject}\r\nFrom: Ann <ann@example.test>\r\nTo: bob@example.test\r\n"
        f"Date: Sat, 31 Jan 2026 08:14:00 +0000\r\nMessage-ID: <{subject}@example.test>\r\n\r\n"
    ).encode()
    bodies = {str(n): base64.encodebytes(data) for n, data in enumerate(files.values(), 2)}
    parts = tuple(
        Part(
            section=str(number),
            content_type="text/csv",
            encoding="base64",
            size_bytes=len(bodies[str(number)]),
            filename=name.replace("_", "."),
            disposition="attachment",
        )
        for number, name in enumerate(files, 2)
    )
    text = Part(section="1", content_type="text/plain", encoding="7bit", size_bytes=4)
    return MemoryMessage(
        raw=headers + b"text\r\n" + b"".join(bodies.values()),
        parts=(text, *parts),
        bodies={"1": b"text", **bodies},
        headers=headers,
    )


def named(message: MemoryMessage, filename: str | None) -> MemoryMessage:
    """Give the first attachment a name that Python's keyword arguments cannot hold."""
    text, attachment, *others = message.parts
    renamed = replace(attachment, filename=filename)
    return replace(message, parts=(text, renamed, *others))


class MemoryMailbox:
    """
    A :class:`~airflow_imap_oauth.imap.model.MailSession` on one folder.

    :ivar faults: Raised when this part of this message is read, by (UID, section).
    :ivar metadata_faults: Raised when a FETCH of metadata reaches this UID.
    :ivar silent: UIDs that a FETCH leaves out although they are there.
    :ivar lost_after: The connection breaks after so many parts; None: never.
    :ivar requested: Every part asked for.
    :ivar searches: Every search, as (criteria, first UID, last UID).
    :ivar before_parts: Called before parts are sent.
    """

    capabilities = frozenset({"IMAP4REV1"})

    def __init__(self, *messages: MemoryMessage, uidvalidity: int = 7) -> None:
        self.name = "INBOX"
        self.uidvalidity = uidvalidity
        self.knows_uidnext = True
        self.messages: dict[int, MemoryMessage] = {}
        self.uidnext = 1
        self.faults: dict[tuple[int, str], Exception] = {}
        self.metadata_faults: dict[int, Exception] = {}
        self.silent: set[int] = set()
        self.lost_after: int | None = None
        self.requested: list[PartRequest] = []
        self.searches: list[tuple[str, int, int | None]] = []
        self.before_parts: Callable[[], None] = lambda: None
        for message in messages:
            self.deliver(message)

    def deliver(self, message: MemoryMessage) -> int:
        """Add a message and return its UID."""
        uid = self.uidnext
        self.messages[uid] = message
        self.uidnext += 1
        return uid

    def list_folders(self, pattern: str = "*") -> Sequence[FolderInfo]:
        """List the one folder."""
        return [FolderInfo(name=self.name, delimiter="/", attributes=(pattern,))]

    def examine(self, folder: str) -> FolderState:
        """Open it."""
        if folder != self.name:
            raise MailFolderNotFoundError(f"There is no mail folder '{folder}'.", step="EXAMINE")
        return FolderState(
            name=folder,
            exists=len(self.messages),
            uidvalidity=self.uidvalidity,
            uidnext=self.uidnext if self.knows_uidnext else None,
        )

    def search(
        self, criteria: str = "ALL", *, uid_from: int = 1, uid_to: int | None = None
    ) -> list[int]:
        r"""Understand ALL, FLAGGED and ``SUBJECT "word"``."""
        self.searches.append((criteria, uid_from, uid_to))
        last = self.uidnext if uid_to is None else uid_to
        return [
            uid
            for uid, message in sorted(self.messages.items())
            if uid_from <= uid <= last and _matches(criteria, message)
        ]

    def fetch_metadata(
        self, uids: Sequence[int], *, headers: bool = False
    ) -> Iterator[MessageMetadata]:
        """Yield what is known."""
        for uid in uids:
            if uid in self.metadata_faults:
                raise self.metadata_faults[uid]
            message = self.messages.get(uid)
            if message is None or uid in self.silent:
                continue
            yield MessageMetadata(
                uid=uid,
                flags=message.flags,
                internaldate_at=RECEIVED_AT,
                size_bytes=len(message.raw),
                parts=message.parts,
                headers=message.headers if headers else None,
                structure_error=message.structure_error,
            )

    def fetch_parts(self, requests: Iterable[PartRequest]) -> Iterator[FetchedPart]:
        """Yield each part."""
        self.before_parts()
        for request in requests:
            self.requested.append(request)
            report = PartReport()
            yield FetchedPart(request, self._decoded(request, report), report)

    def _decoded(self, request: PartRequest, report: PartReport) -> Iterator[bytes]:
        decoder = decoder_for(request.encoding)
        for piece in self._pieces(request):
            yield decoder.feed(piece)
        yield decoder.finish()
        report.damage = decoder.damage

    def _pieces(self, request: PartRequest) -> Iterator[bytes]:
        if self.lost_after is not None:
            if not self.lost_after:
                raise ImapConnectionError("The connection was lost.", step="IMAP")
            self.lost_after -= 1
        message = self.messages[request.uid]
        data = message.bodies[request.section] if request.section else message.raw
        yield data[: len(data) // 2]
        if (request.uid, request.section) in self.faults:
            raise self.faults[request.uid, request.section]
        yield data[len(data) // 2 :]

    def noop(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def _matches(criteria: str, message: MemoryMessage) -> bool:
    if criteria == "FLAGGED":
        return "\\Flagged" in message.flags
    if criteria.startswith("SUBJECT"):
        return criteria.split('"')[1].encode() in message.headers
    return True
