# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""SEARCH: the program read into one predicate over messages (RFC 3501 section 6.4.4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timezone
from email.utils import parsedate_to_datetime
from functools import partial

from tests.servers.embedded.grammar import CommandError, NumberSet, Reader
from tests.servers.embedded.store import Message
from tests.servers.embedded.text import body_text, field_text, fold, header_text

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE = re.compile(r"(\d{1,2})-([a-z]{3})-(\d{4})", re.IGNORECASE)
_FLAGS = {
    "ANSWERED": "\\Answered",
    "DELETED": "\\Deleted",
    "DRAFT": "\\Draft",
    "FLAGGED": "\\Flagged",
    "SEEN": "\\Seen",
}


class BadCharsetError(Exception):
    """The charset is not supported: answered with NO [BADCHARSET]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A message with its sequence number, as one search sees it."""

    number: int
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What ``*`` stands for: all sequence numbers and UIDs of the open folder."""

    sequence: list[int]
    uids: list[int]


Test = Callable[[Candidate], bool]


def parse_program(reader: Reader, numbers: Numbers) -> Test:
    """
    Read a whole search program, with CHARSET in front or not.

    :raises CommandError: It cannot be read.
    :raises BadCharsetError: Another charset than UTF-8 and US-ASCII.
    """
    parser = _Parser(reader, numbers)
    first = reader.atom().upper() if reader.peek().isalpha() else ""
    if first == "CHARSET":
        reader.space()
        charset = reader.astring().decode("latin-1").upper()
        if charset not in ("UTF-8", "US-ASCII"):
            raise BadCharsetError
        reader.space()
        first = ""
    tests = [parser.named_key(first) if first else parser.key()]
    while reader.accept(b" "):
        tests.append(parser.key())
    reader.end()
    return partial(_all, tests)


def _all(tests: list[Test], candidate: Candidate) -> bool:
    return all(test(candidate) for test in tests)


class _Parser:
    def __init__(self, reader: Reader, numbers: Numbers) -> None:
        self._reader = reader
        self._numbers = numbers

    def key(self) -> Test:
        """Read one search key."""
        reader = self._reader
        if reader.accept(b"("):
            tests = [self.key()]
            while reader.accept(b" "):
                tests.append(self.key())
            reader.expect(b")")
            return partial(_all, tests)
        if reader.is_number_set():
            picked = self._pick(reader.number_set(), self._numbers.sequence)
            return lambda one: one.number in picked
        return self.named_key(reader.atom().upper())

    @staticmethod
    def _pick(numbers: NumberSet, among: list[int]) -> set[int]:
        return set(numbers.pick(among))

    def named_key(self, name: str) -> Test:
        """Read what belongs to a key whose name is read already."""
        simple = _simple_key(name)
        if simple is not None:
            return simple
        read = {
            "NOT": self._not,
            "OR": self._or,
            "UID": self._uid,
            "HEADER": self._header,
            "LARGER": self._larger,
            "SMALLER": self._smaller,
            "KEYWORD": self._keyword,
            "UNKEYWORD": self._unkeyword,
        }.get(name)
        if read is not None:
            self._reader.space()
            return read()
        if name in ("SINCE", "BEFORE", "ON", "SENTSINCE", "SENTBEFORE", "SENTON"):
            return self._date(name)
        if name in ("SUBJECT", "FROM", "TO", "CC", "BCC"):
            return _field_holds(name, self._text())
        if name in ("BODY", "TEXT"):
            return _text_holds(self._text(), with_header=name == "TEXT")
        raise CommandError(f"Unknown argument {name}")

    def _not(self) -> Test:
        inner = self.key()
        return lambda one: not inner(one)

    def _or(self) -> Test:
        left = self.key()
        self._reader.space()
        right = self.key()
        return lambda one: left(one) or right(one)

    def _uid(self) -> Test:
        picked = self._pick(self._reader.number_set(), self._numbers.uids)
        return lambda one: one.message.uid in picked

    def _header(self) -> Test:
        name = self._reader.astring().decode("latin-1")
        return _field_holds(name, self._text())

    def _larger(self) -> Test:
        size = self._number()
        return lambda one: len(one.message.raw) > size

    def _smaller(self) -> Test:
        size = self._number()
        return lambda one: len(one.message.raw) < size

    def _keyword(self) -> Test:
        return _has_flag(self._reader.flag())

    def _unkeyword(self) -> Test:
        has = _has_flag(self._reader.flag())
        return lambda one: not has(one)

    def _number(self) -> int:
        text = self._reader.atom()
        if not text.isdigit():
            raise CommandError("Expected a number")
        return int(text)

    def _text(self) -> str:
        self._reader.space()
        try:
            return fold(self._reader.astring().decode("utf-8"))
        except UnicodeDecodeError:
            raise CommandError("Invalid UTF-8") from None

    def _date(self, name: str) -> Test:
        self._reader.space()
        match = _DATE.fullmatch(self._reader.astring().decode("latin-1"))
        if match is None or match[2].lower() not in _MONTHS:
            raise CommandError("Invalid date")
        try:
            wanted = date(int(match[3]), _MONTHS.index(match[2].lower()) + 1, int(match[1]))
        except ValueError:
            raise CommandError("Invalid date") from None
        of = _sent_on if name.startswith("SENT") else _received_on
        return partial(_compare_dates, name.removeprefix("SENT"), of, wanted)


def _simple_key(name: str) -> Test | None:
    if name in ("ALL", "OLD"):
        return lambda _: True
    if name in ("RECENT", "NEW"):
        return lambda _: False
    if name in _FLAGS:
        return _has_flag(_FLAGS[name])
    if name.removeprefix("UN") in _FLAGS:
        has = _has_flag(_FLAGS[name.removeprefix("UN")])
        return lambda one: not has(one)
    return None


def _has_flag(flag: str) -> Test:
    return lambda one: any(flag.lower() == own.lower() for own in one.message.flags)


def _field_holds(name: str, text: str) -> Test:
    return lambda one: field_text(one.message.node, name, text)


def _text_holds(text: str, *, with_header: bool) -> Test:
    def holds(one: Candidate) -> bool:
        node = one.message.node
        return (with_header and text in header_text(node)) or text in body_text(node)

    return holds


def _compare_dates(
    name: str, of: Callable[[Message], date | None], wanted: date, candidate: Candidate
) -> bool:
    own = of(candidate.message)
    if own is None:
        return False
    return own >= wanted if name == "SINCE" else own < wanted if name == "BEFORE" else own == wanted


def _received_on(message: Message) -> date:
    return message.internaldate_at.astimezone(timezone.utc).date()


def _sent_on(message: Message) -> date | None:
    written = message.node.get("date")
    try:
        parsed: datetime | None = parsedate_to_datetime((written or b"").decode("latin-1"))
    except (ValueError, TypeError, IndexError):
        return None
    # The day as the sender wrote it: its zone is left aside (RFC 3501 section 6.4.4).
    return parsed.date() if parsed else None
