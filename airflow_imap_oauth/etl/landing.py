# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Messages on their way from the session into objects of the destination.

One odd message never stops the others: whatever is wrong with it alone is its outcome. What is
wrong with the connection or the store is not its fault, and rises.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from airflow_imap_oauth.etl.metadata import Unreadable, still_listed
from airflow_imap_oauth.etl.names import FolderKey
from airflow_imap_oauth.etl.records import (
    MessageRecord,
    Quarantine,
    Stage,
    StoredAttachment,
    StoredObject,
)
from airflow_imap_oauth.etl.store import Store
from airflow_imap_oauth.exceptions import ImapCommandError, ImapProtocolError
from airflow_imap_oauth.imap.addresses import MailAddress
from airflow_imap_oauth.imap.headers import read_headers
from airflow_imap_oauth.imap.model import (
    FetchedPart,
    MailSession,
    MessageMetadata,
    Part,
    PartRequest,
)
from airflow_imap_oauth.imap.names import attachment_name
from airflow_imap_oauth.imap.shown import shown

log = logging.getLogger(__name__)

_WHOLE = ""
# A message with more is an attack or a mistake: each would be an object and a line of the record.
_MOST_ATTACHMENTS = 1000
# A record is a line of JSON; header fields of megabytes exist.
_LONGEST_TEXT = 10_000
_MOST_ADDRESSES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """
    What of a message is landed.

    :param eml: The whole message, byte by byte.
    :param attachments: Its attachments, decoded.
    :param attachment_glob: Only those with such a file name, in any case; None: all.
    """

    eml: bool = True
    attachments: bool = True
    attachment_glob: str | None = None

    def wants(self, part: Part) -> bool:
        """Tell whether a part is landed."""
        if not self.attachments or not part.is_attachment:
            return False
        if self.attachment_glob is None:
            return True
        return fnmatchcase((part.filename or "").lower(), self.attachment_glob.lower())


@dataclass(slots=True, kw_only=True)
class _Draft:
    """A message while its objects are written."""

    uid: int
    metadata: MessageMetadata | None = None
    wanted: Mapping[str, Part] = field(default_factory=dict)
    eml: StoredObject | None = None
    attachments: dict[str, StoredAttachment] = field(default_factory=dict)
    fault: tuple[Stage, str] | None = None

    def fail(self, stage: Stage, reason: str) -> None:
        self.fault = self.fault or (stage, shown(reason))


class Landing:
    """
    Lands messages of one folder in one numbering.

    :param session: With that folder open.
    """

    def __init__(
        self,
        session: MailSession,
        store: Store,
        key: FolderKey,
        *,
        uidvalidity: int,
        choice: Choice,
    ) -> None:
        self._session = session
        self._store = store
        self._key = key
        self._uidvalidity = uidvalidity
        self._choice = choice

    def land(
        self, messages: Sequence[MessageMetadata | Unreadable]
    ) -> tuple[list[MessageRecord], list[int]]:
        """
        Write the objects of some messages.

        :return: Their records, and the UIDs of those deleted meanwhile.
        """
        drafts = {message.uid: self._draft(message) for message in messages}
        for fetched in self._session.fetch_parts(self._requests(drafts.values())):
            self._store_part(drafts[fetched.request.uid], fetched)
        for draft in drafts.values():
            self._check(draft)
        faulty = [draft.uid for draft in drafts.values() if draft.fault]
        listed = still_listed(self._session, faulty)
        gone = [uid for uid in faulty if uid not in listed]
        records = [
            _record(draft, self._quarantine(draft))
            for draft in drafts.values()
            if not draft.fault or draft.uid in listed
        ]
        return records, gone

    def _draft(self, message: MessageMetadata | Unreadable) -> _Draft:
        draft = _Draft(uid=message.uid)
        if isinstance(message, Unreadable):
            draft.fail("fetch", message.reason)
            return draft
        draft.metadata = message
        wanted = {part.section: part for part in message.parts if self._choice.wants(part)}
        if self._choice.attachments and message.structure_error:
            draft.fail("parse", f"structure: {message.structure_error}")
        elif len(wanted) > _MOST_ATTACHMENTS:
            draft.fail("policy", f"{len(wanted)} attachments; at most {_MOST_ATTACHMENTS} are read")
        else:
            draft.wanted = wanted
        return draft

    def _requests(self, drafts: Iterable[_Draft]) -> Iterator[PartRequest]:
        for draft in drafts:
            if draft.metadata is None:
                continue
            if self._choice.eml:
                yield PartRequest(
                    uid=draft.uid, section=_WHOLE, size_hint_bytes=draft.metadata.size_bytes
                )
            for section, part in draft.wanted.items():
                yield PartRequest(
                    uid=draft.uid,
                    section=section,
                    encoding=part.encoding,
                    size_hint_bytes=part.size_bytes,
                )

    def _store_part(self, draft: _Draft, fetched: FetchedPart) -> None:
        section = fetched.request.section
        try:
            if section == _WHOLE:
                name = self._key.eml(self._uidvalidity, draft.uid)
                draft.eml = self._upload(name, fetched.pieces)
                return
            part = draft.wanted[section]
            name = self._key.attachment(
                self._uidvalidity, draft.uid, section, attachment_name(part)
            )
            stored = self._upload(name, fetched.pieces)
            draft.attachments[section] = StoredAttachment(
                section=section,
                filename=part.filename,
                content_type=part.content_type,
                stored=stored,
                damaged=fetched.report.damage,
            )
        except (ImapCommandError, ImapProtocolError) as exc:
            draft.fail("fetch", f"part {section}: {exc.message}" if section else exc.message)

    def _upload(self, name: str, pieces: Iterator[bytes]) -> StoredObject:
        digest = hashlib.sha256()
        size_bytes = 0
        with self._store.upload(name) as upload:
            for piece in pieces:
                digest.update(piece)
                size_bytes += len(piece)
                upload.write(piece)
        return StoredObject(path=name, size_bytes=size_bytes, sha256=digest.hexdigest())

    def _check(self, draft: _Draft) -> None:
        """Notice what the server left out without saying so."""
        if draft.fault or draft.metadata is None:
            return
        missing = draft.wanted.keys() - draft.attachments.keys()
        if missing or (self._choice.eml and draft.eml is None):
            draft.fail("fetch", "the server left out a part that was asked for")
        elif draft.eml and not draft.eml.size_bytes and draft.metadata.size_bytes:
            draft.fail("fetch", "the server sent an empty message and says that it is not")

    def _quarantine(self, draft: _Draft) -> Quarantine | None:
        if draft.fault is None:
            return None
        stage, reason = draft.fault
        whole = draft.eml if draft.eml and draft.eml.size_bytes else self._fetch_raw(draft.uid)
        return Quarantine(stage=stage, reason=reason, raw=whole)

    def _fetch_raw(self, uid: int) -> StoredObject | None:
        name = self._key.quarantined(self._uidvalidity, uid)
        try:
            for fetched in self._session.fetch_parts([PartRequest(uid=uid, section=_WHOLE)]):
                return self._upload(name, fetched.pieces)
        except (ImapCommandError, ImapProtocolError):
            log.debug("The raw bytes of UID %d cannot be had.", uid)
        return None


def _record(draft: _Draft, quarantine: Quarantine | None) -> MessageRecord:
    metadata = draft.metadata or MessageMetadata(uid=draft.uid)
    headers = read_headers(metadata.headers)
    return MessageRecord(
        uid=draft.uid,
        flags=metadata.flags,
        message_id=_bounded(headers.message_id),
        date_header_at=headers.date_at,
        date_header_raw=_bounded(headers.date_header),
        internaldate_at=metadata.internaldate_at,
        sender=_addresses(headers.from_addresses),
        to=_addresses(headers.to_addresses),
        cc=_addresses(headers.cc_addresses),
        subject=_bounded(headers.subject),
        size_bytes=metadata.size_bytes,
        eml=draft.eml,
        attachments=tuple(
            draft.attachments[section] for section in draft.wanted if section in draft.attachments
        ),
        quarantine=quarantine,
    )


def _bounded(text: str | None) -> str | None:
    return text[:_LONGEST_TEXT] if text else text


def _addresses(addresses: Sequence[MailAddress]) -> tuple[str, ...]:
    return tuple(str(address)[:_LONGEST_TEXT] for address in addresses[:_MOST_ADDRESSES])
