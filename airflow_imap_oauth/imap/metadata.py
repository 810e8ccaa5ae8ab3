# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""FETCH of what is known before a body is read; one odd message costs nothing but itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta, timezone

from airflow_imap_oauth.exceptions import ImapCommandError
from airflow_imap_oauth.imap._wire import Wire
from airflow_imap_oauth.imap.headers import RECORD_FIELDS
from airflow_imap_oauth.imap.model import MessageMetadata
from airflow_imap_oauth.imap.refusals import Refusal
from airflow_imap_oauth.imap.responses import (
    FetchRow,
    RowError,
    Value,
    group_rows,
    number,
    parse_fetch_row,
    uid_hint,
)
from airflow_imap_oauth.imap.structure import parse_structure
from airflow_imap_oauth.imap.uid_sets import uid_sets

#: Round trips matter more than memory here: 500 rows are about 300 KB.
MAX_BATCH_UIDS = 500
#: Finding one bad message among a batch costs fewer; beyond, it is not the messages.
MAX_REFUSALS_IN_A_ROW = 50

_HEADERS = f" BODY.PEEK[HEADER.FIELDS ({' '.join(RECORD_FIELDS).upper()})]"
_PLAIN_ITEMS = "UID FLAGS INTERNALDATE RFC822.SIZE"
_ALL_ITEMS = f"{_PLAIN_ITEMS} BODYSTRUCTURE"
_INTERNALDATE = re.compile(
    rb" ?(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)"
)
_MONTHS = {
    name: month
    for month, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)
}


class MetadataFetch:
    """
    One pass over UIDs.

    :param at: Entered around each command: refuses it when the folder is no longer open, and
        tells errors where they happened.
    """

    def __init__(
        self, wire: Wire, at: Callable[[], AbstractContextManager[None]], *, headers: bool
    ) -> None:
        self._wire = wire
        self._headers = _HEADERS if headers else ""
        self._at = at
        self._refusals_in_a_row = 0

    def run(self, uids: Sequence[int]) -> Iterator[MessageMetadata]:
        """Yield those that exist, in ascending order of each batch."""
        for uid_set, members in uid_sets(uids, max_uids=MAX_BATCH_UIDS):
            yield from self._batch(uid_set, members)

    def _batch(self, uid_set: str, members: list[int]) -> Iterator[MessageMetadata]:
        refusal, rows, reasons = self._fetch(uid_set, _ALL_ITEMS, members)
        for uid in members:
            row = rows.get(uid)
            if row is not None and b"BODYSTRUCTURE" in row:
                yield _metadata(uid, row)
        missing = [uid for uid in members if b"BODYSTRUCTURE" not in rows.get(uid, {})]
        if not missing:
            return
        if refusal is not None and len(members) > 1:
            yield from self._halves(missing)
        elif refusal is not None or reasons:
            for uid in missing:
                yield from self._plainly(uid, reasons.get(uid), refusal)
        else:
            # Rows without a structure; who has no row at all is gone.
            for uid in missing:
                if uid in rows:
                    yield from self._plainly(uid, "the server sent no structure", None)

    def _halves(self, missing: list[int]) -> Iterator[MessageMetadata]:
        """Find the message that makes the server refuse a batch."""
        self._command(b"NOOP")
        middle = (len(missing) + 1) // 2
        for half in (missing[:middle], missing[middle:]):
            for uid_set, members in uid_sets(half, max_uids=MAX_BATCH_UIDS):
                yield from self._batch(uid_set, members)

    def _plainly(
        self, uid: int, reason: str | None, refusal: Refusal | None
    ) -> Iterator[MessageMetadata]:
        """Fetch one message without its structure; no row now means that it is gone."""
        if reason is None and refusal is not None:
            reason = f"the server refused it: {refusal.shown}"
        refusal, rows, reasons = self._fetch(str(uid), _PLAIN_ITEMS, [uid])
        row = rows.get(uid)
        if row is None and refusal is None and not reasons:
            return
        reason = reason or reasons.get(uid) or "the row of the message is missing"
        yield _metadata(uid, row or {}, reason)

    def _fetch(
        self, uid_set: str, items: str, members: list[int]
    ) -> tuple[Refusal | None, dict[int, dict[bytes, Value]], dict[int, str]]:
        """Return what was refused, rows merged by UID, and why rows could not be parsed."""
        self._wire.take("FETCH")
        refusal = self._command(f"UID FETCH {uid_set} ({items}{self._headers})".encode())
        wanted = set(members)
        rows: dict[int, dict[bytes, Value]] = {}
        reasons: dict[int, str] = {}
        for segments in group_rows(self._wire.take("FETCH")):
            try:
                row: FetchRow = parse_fetch_row(segments)
            except RowError as error:
                # 0 is no UID: it says that some row, nobody knows whose, could not be parsed.
                reasons[uid_hint(segments) or 0] = f"the server's answer is garbled: {error}"
                continue
            if row.uid in wanted:
                rows.setdefault(row.uid, {}).update(row.items)
        return refusal, rows, reasons

    def _command(self, line: bytes) -> Refusal | None:
        with self._at():
            refusal = self._wire.command(line)
            if refusal is not None and not refusal.is_of_one_message:
                raise refusal.unavailable("FETCH")
            if line != b"NOOP":
                self._refusals_in_a_row = self._refusals_in_a_row + 1 if refusal else 0
            if refusal is not None and self._refusals_in_a_row > MAX_REFUSALS_IN_A_ROW:
                raise ImapCommandError(f"The server refuses FETCH: {refusal.shown}")
            return refusal


def _metadata(uid: int, items: dict[bytes, Value], reason: str | None = None) -> MessageMetadata:
    parts, problem = parse_structure(items.get(b"BODYSTRUCTURE"))
    flags = items.get(b"FLAGS")
    return MessageMetadata(
        uid=uid,
        flags=tuple(flag.decode("ascii", "replace") for flag in flags if isinstance(flag, bytes))
        if isinstance(flags, tuple)
        else (),
        internaldate_at=parse_internaldate(items.get(b"INTERNALDATE")),
        size_bytes=number(items.get(b"RFC822.SIZE")),
        parts=parts if reason is None else (),
        headers=_header_block(items),
        structure_error=reason or problem,
    )


def _header_block(items: dict[bytes, Value]) -> bytes | None:
    for name, value in items.items():
        if name.startswith(b"BODY[HEADER") and isinstance(value, bytes):
            return value
    return None


def parse_internaldate(value: Value) -> datetime | None:
    """
    Read ``17-Jul-1996 02:44:25 -0700`` (RFC 3501 section 9, date-time).

    :return: Aware UTC, independent of the locale; None where it cannot be read.
    """
    found = _INTERNALDATE.fullmatch(value) if isinstance(value, bytes) else None
    month = _MONTHS.get(found[2].lower()) if found else None
    if found is None or month is None:
        return None
    sign = -1 if found[7] == b"-" else 1
    offset = sign * timedelta(hours=int(found[8]), minutes=int(found[9]))
    try:
        local = datetime(
            int(found[3]),
            month,
            int(found[1]),
            int(found[4]),
            int(found[5]),
            min(int(found[6]), 59),  # a leap second
            tzinfo=timezone.utc,
        )
        return local - offset
    except (ValueError, OverflowError):
        return None
