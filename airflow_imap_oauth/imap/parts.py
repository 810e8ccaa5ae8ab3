# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""FETCH of parts: small ones in batches, large ones in pieces, all in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    ImapCommandError,
    ImapProtocolError,
)
from airflow_imap_oauth.imap._wire import Wire
from airflow_imap_oauth.imap.decoding import decoder_for
from airflow_imap_oauth.imap.model import FetchedPart, PartReport, PartRequest
from airflow_imap_oauth.imap.refusals import Refusal
from airflow_imap_oauth.imap.responses import Row, RowError, group_rows, parse_fetch_row
from airflow_imap_oauth.imap.uid_sets import uid_sets

#: One literal at most: the line reader holds it twice while it joins it.
PIECE_BYTES = 1024 * 1024
#: Parts up to this are worth batching: beyond, a round trip is small beside the transfer.
SMALL_BYTES = 512 * 1024
MAX_BATCH_BYTES = 4 * 1024 * 1024
#: What one answer holds at most where the sizes that the server told are wrong.
MAX_ANSWER_BYTES = 32 * 1024 * 1024
MAX_BATCH_UIDS = 500
_MAX_WAITING = 2000

_SECTION = re.compile(r"(?:[1-9]\d{0,5}(?:\.[1-9]\d{0,5})*)?(?:\.?(?:HEADER|TEXT|MIME))?")
_BODY = re.compile(rb"BODY\[([^\]]*)\](?:<(\d{1,12})>)?")


@dataclass(slots=True)
class _Group:
    """Small requests for one section, waiting to be fetched together."""

    requests: list[PartRequest] = field(default_factory=list)
    hinted_bytes: int = 0
    largest_bytes: int = 0

    def has_room_for(self, request: PartRequest) -> bool:
        """Whether the answer stays bounded: as many bytes are asked for of each message."""
        largest = max(self.largest_bytes, _hint(request))
        return (len(self.requests) + 1) * _asked(largest) <= MAX_ANSWER_BYTES

    def add(self, request: PartRequest) -> None:
        self.requests.append(request)
        self.hinted_bytes += _hint(request)
        self.largest_bytes = max(self.largest_bytes, _hint(request))

    @property
    def is_full(self) -> bool:
        return self.hinted_bytes >= MAX_BATCH_BYTES or len(self.requests) >= MAX_BATCH_UIDS


class PartFetch:
    """
    One pass over requests.

    :param at: Entered around each command: refuses it when the folder is no longer open, and
        tells errors where they happened.
    """

    def __init__(self, wire: Wire, at: Callable[[], AbstractContextManager[None]]) -> None:
        self._wire = wire
        self._at = at

    def run(self, requests: Iterable[PartRequest]) -> Iterator[FetchedPart]:
        """Answer each request once, small ones when their batch is full."""
        groups: dict[str, _Group] = {}
        for request in requests:
            section = request.section
            if not _is_small(request):
                yield from self._hand_out(request, None, PIECE_BYTES)
                continue
            if section in groups and not groups[section].has_room_for(request):
                yield from self._batch(section, groups.pop(section).requests)
            groups.setdefault(section, _Group()).add(request)
            if groups[section].is_full:
                yield from self._batch(section, groups.pop(section).requests)
            elif sum(len(group.requests) for group in groups.values()) >= _MAX_WAITING:
                fullest = max(groups, key=lambda name: len(groups[name].requests))
                yield from self._batch(fullest, groups.pop(fullest).requests)
        for section, group in groups.items():
            yield from self._batch(section, group.requests)

    def _batch(self, section: str, requests: list[PartRequest]) -> Iterator[FetchedPart]:
        by_uid: dict[int, list[PartRequest]] = {}
        for request in requests:
            by_uid.setdefault(request.uid, []).append(request)
        for uid_set, members in uid_sets(sorted(by_uid), max_uids=MAX_BATCH_UIDS):
            largest = max(_hint(request) for uid in members for request in by_uid[uid])
            asked = _asked(largest)
            with self._at():
                answer = self._fetch(uid_set, section, 0, asked)
            for uid in members:
                raw = answer.bodies.pop(uid, None)
                for request in by_uid[uid]:
                    if raw is not None:
                        yield from self._hand_out(request, raw, asked)
                    elif answer.is_whole:
                        yield from self._hand_out(request, _gone(uid), asked)
                    else:  # the fault may be another message's: ask for this one alone
                        yield from self._hand_out(request, None, PIECE_BYTES)

    def _hand_out(
        self, request: PartRequest, first: bytes | ImapCommandError | None, asked: int
    ) -> Iterator[FetchedPart]:
        report = PartReport()
        pieces = _Pieces(self._pieces(request, report, first, asked), self._at)
        yield FetchedPart(request, pieces, report)
        pieces.expire()

    def _pieces(
        self,
        request: PartRequest,
        report: PartReport,
        first: bytes | ImapCommandError | None,
        asked: int,
    ) -> Iterator[bytes]:
        """Decode what came with the batch, and fetch on from there."""
        if isinstance(first, ImapCommandError):
            with self._at():
                raise first
        decoder = decoder_for(request.encoding)
        raw, first = first, None
        is_last = False
        while not is_last:
            if raw is None:
                asked = PIECE_BYTES
                raw = self._fetch_one(request, report.encoded_bytes, asked)
            if len(raw) > asked:  # the server does not know partial fetch, and sent everything
                raw, is_last = raw[report.encoded_bytes :], True
            report.encoded_bytes += len(raw)
            is_last = is_last or _is_last(request, len(raw), asked, report.encoded_bytes)
            decoded, raw = decoder.feed(raw), None
            report.damage = decoder.damage
            if decoded:
                yield decoded
        decoded = decoder.finish()
        report.damage = decoder.damage
        if decoded:
            yield decoded

    def _fetch_one(self, request: PartRequest, offset: int, asked: int) -> bytes:
        with self._at():
            return self._only(request, offset, asked)

    def _only(self, request: PartRequest, offset: int, asked: int) -> bytes:
        answer = self._fetch(str(request.uid), request.section, offset, asked)
        raw = answer.bodies.get(request.uid)
        what = f"part '{request.section}' of message {request.uid}"
        if raw is not None:
            return raw
        if answer.refusal is not None:
            raise ImapCommandError(f"The server refused {what}: {answer.refusal.shown}")
        if request.uid in answer.absent:
            if offset:
                return b""
            raise ImapProtocolError(f"The server says that {what} does not exist.")
        if not answer.is_whole:
            raise ImapProtocolError(f"The server's answer for {what} is garbled.")
        raise _gone(request.uid)

    def _fetch(self, uid_set: str, section: str, offset: int, asked: int) -> _Answer:
        if not _SECTION.fullmatch(section):
            raise ConfigurationError("A section of a message has numbers and dots only.")
        self._wire.take("FETCH")
        answer = _Answer()
        answer.refusal = self._wire.command(
            f"UID FETCH {uid_set} (UID BODY.PEEK[{section}]<{offset}.{asked}>)".encode()
        )
        if answer.refusal is not None and not answer.refusal.is_of_one_message:
            raise answer.refusal.unavailable("FETCH")
        for segments in group_rows(self._wire.take("FETCH")):
            answer.add(segments, section.encode(), offset)
        return answer


class _Answer:
    """What came back for one FETCH of one section."""

    def __init__(self) -> None:
        self.bodies: dict[int, bytes] = {}
        self.absent: set[int] = set()
        self.refusal: Refusal | None = None
        self._is_garbled = False

    @property
    def is_whole(self) -> bool:
        """Whether a message without a row is gone: all rows were sent and understood."""
        return self.refusal is None and not self._is_garbled and not self.absent

    def add(self, segments: Row, section: bytes, offset: int) -> None:
        """Take one row; those of other commands (flags that changed) hold no body."""
        try:
            row = parse_fetch_row(segments)
        except RowError:
            self._is_garbled = True
            return
        for name, value in row.items.items():
            found = _BODY.fullmatch(name)
            if found is None or row.uid is None or found[1] != section:
                continue
            if value is None:
                self.absent.add(row.uid)
            elif isinstance(value, tuple) or int(found[2] or offset) != offset:
                self._is_garbled = True
            else:
                self.bodies[row.uid] = value


class _Pieces:
    """The pieces of one part, until the next part is taken."""

    def __init__(
        self, pieces: Iterator[bytes], at: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._pieces: Iterator[bytes] | None = pieces
        self._at = at
        self._is_exhausted = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._pieces is None:
            if self._is_exhausted:
                raise StopIteration
            with self._at():
                raise ImapCommandError("A part was left unread when the next one was taken.")
        try:
            return next(self._pieces)
        except BaseException as error:
            self._is_exhausted = isinstance(error, StopIteration)
            raise

    def expire(self) -> None:
        """Let go of what was not read."""
        self._pieces = None


def _is_small(request: PartRequest) -> bool:
    return request.size_hint_bytes is not None and request.size_hint_bytes <= SMALL_BYTES


def _hint(request: PartRequest) -> int:
    return max(request.size_hint_bytes or 0, 0)


def _asked(largest_bytes: int) -> int:
    """Sizes are hints: what is larger comes in further pieces, and nothing comes unbounded."""
    return largest_bytes + largest_bytes // 8 + 1024


def _is_last(request: PartRequest, got: int, asked: int, offset: int) -> bool:
    """
    Judge whether a piece is the last one: it is shorter than asked.

    A server may also cap its pieces. Where the size that it told says that more must come, one
    more piece is asked for; of small parts only behind a round number of bytes, since a wrong size
    is likelier there, and the question costs a round trip each.
    """
    if got >= asked:
        return False
    if not got or offset >= _hint(request):
        return True
    return _is_small(request) and got % 1024 != 0


def _gone(uid: int) -> ImapCommandError:
    return ImapCommandError(f"Message {uid} is gone.")
