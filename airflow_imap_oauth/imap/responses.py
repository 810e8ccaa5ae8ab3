# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Rows of LIST and FETCH to values, row by row, so that an odd row costs nothing but itself.

A row comes from the line reader as segments: bytes, or a pair of bytes ending in ``{n}`` and the
literal that followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Segment: TypeAlias = bytes | tuple[bytes, bytes]
Row: TypeAlias = Sequence[Segment]
#: An atom, string or literal; NIL; a parenthesised list.
Value: TypeAlias = bytes | tuple["Value", ...] | None

# One token. A quoted string without an end takes all that is left, so that this never scans
# anything twice; the missing parenthesis is noticed then. An atom may hold ``[...]`` with blanks,
# as in ``BODY[HEADER.FIELDS (SUBJECT)]<0>``.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"?|[()]|(?:[^\s()"\[]+|\[[^\]]*\])+|\S', re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_UID = re.compile(rb"[( ]UID (\d{1,10})[ )]")
_OPEN, _CLOSE, _QUOTE = b'()"'


class RowError(ValueError):
    """A row that is not made as RFC 3501 section 9 says."""


@dataclass(frozen=True, slots=True)
class FetchRow:
    """
    One FETCH response.

    :param uid: None where the server sent none (flags that changed meanwhile).
    :param items: Values by upper-case item name, for example ``BODY[1]<0>``.
    """

    uid: int | None
    items: dict[bytes, Value]


def group_rows(segments: Iterable[Segment]) -> Iterator[list[Segment]]:
    """Group segments to rows: a row ends with the segment that has no literal."""
    row: list[Segment] = []
    for segment in segments:
        row.append(segment)
        if isinstance(segment, bytes):
            yield row
            row = []


def parse_row(row: Row) -> tuple[Value, ...]:
    """
    Parse one row.

    :raises RowError: If parentheses or strings are not closed.
    """
    stack: list[list[Value]] = []
    values: list[Value] = []
    for segment in row:
        text, literal = (segment, None) if isinstance(segment, bytes) else segment
        if literal is not None:
            text = text[: text.rindex(b"{")].removesuffix(b"~")  # ``~{``: RFC 3516
        for token in _TOKEN.findall(text):
            first = token[0]
            if first == _OPEN:
                stack.append(values)
                values = []
            elif first == _CLOSE:
                if not stack:
                    raise RowError("a parenthesis is closed that was not opened")
                done, values = tuple(values), stack.pop()
                values.append(done)
            elif first == _QUOTE:
                values.append(_unquoted(token))
            else:
                values.append(None if token in {b"NIL", b"nil", b"Nil"} else token)
        if literal is not None:
            values.append(literal)
    if stack:
        raise RowError("a parenthesis or string is not closed")
    return tuple(values)


def _unquoted(token: bytes) -> bytes:
    text = token[1:-1] if len(token) > 1 and token.endswith(b'"') else token[1:]
    return _QUOTED_PAIR.sub(rb"\1", text) if b"\\" in text else text


def parse_fetch_row(row: Row) -> FetchRow:
    """
    Parse ``12 (UID 7 FLAGS () ...)``.

    :raises RowError: If it is not made like this.
    """
    values = parse_row(row)
    items = values[1] if len(values) > 1 else None
    if not isinstance(items, tuple):
        raise RowError("the response holds no list of items")
    if len(items) % 2:
        raise RowError("an item has no value")
    by_name: dict[bytes, Value] = {}
    for name, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(name, bytes):
            raise RowError("the name of an item is missing")
        by_name[name.upper()] = value
    return FetchRow(number(by_name.get(b"UID")), by_name)


def uid_hint(row: Row) -> int | None:
    """Return what looks like the UID of a row that cannot be parsed, or None."""
    first = row[0] if isinstance(row[0], bytes) else row[0][0]
    found = _UID.search(first)
    return int(found[1]) if found else None


_MAX_DIGITS = 19


def number(value: Value) -> int | None:
    """Return a number, or None where a server sent something else (``1.5e+06`` is real)."""
    if isinstance(value, bytes) and value.isdigit() and len(value) <= _MAX_DIGITS:
        return int(value)
    return None
