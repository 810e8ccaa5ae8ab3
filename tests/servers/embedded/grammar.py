# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What a client sends, read piece by piece (RFC 3501 section 9)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ATOM = re.compile(rb"[^\x00-\x20\x7f(){%*\"\\\]]+")
_ASTRING = re.compile(rb"[^\x00-\x20\x7f(){%*\"\\]+")
_PATTERN = re.compile(rb"[^\x00-\x20\x7f(){\"\\]+")
_QUOTED = re.compile(rb"\"((?:[^\"\\\r\n]|\\[\"\\])*)\"")
_LITERAL = re.compile(rb"\{(\d+)\+?\}\r\n")
_SET = re.compile(rb"[\d*:,]+")
_FLAG = re.compile(rb"\\?[^\x00-\x20\x7f(){%*\"\\\]]+")
_ITEM = re.compile(rb"[A-Za-z0-9.]+")
_SECTION = re.compile(rb"\[([^\]]*)\]")
_PARTIAL = re.compile(rb"<(\d{1,18})\.(\d{1,18})>")


class CommandError(Exception):
    """The command cannot be read: answered with BAD."""


@dataclass(frozen=True, slots=True)
class NumberSet:
    """A sequence or UID set; None stands for ``*``."""

    ranges: tuple[tuple[int | None, int | None], ...]

    def pick(self, numbers: list[int]) -> list[int]:
        """Return those of ``numbers`` (ascending) that the set names."""
        last = numbers[-1] if numbers else 0
        spans = [
            sorted((last if low is None else low, last if high is None else high))
            for low, high in self.ranges
        ]
        return [number for number in numbers if any(low <= number <= high for low, high in spans)]


def parse_set(text: bytes) -> NumberSet:
    """
    Read a set such as ``1,3:5,9:*``.

    :raises CommandError: It is none.
    """
    ranges: list[tuple[int | None, int | None]] = []
    for piece in text.split(b","):
        low, colon, high = piece.partition(b":")
        try:
            first = None if low == b"*" else int(low)
            second = first if not colon else None if high == b"*" else int(high)
        except ValueError:
            raise CommandError("Invalid set") from None
        if 0 in (first, second):
            raise CommandError("Invalid set")
        ranges.append((first, second))
    return NumberSet(tuple(ranges))


class Reader:
    """
    A position in one command, its literals in place.

    :param line: The command without its tag and without its last line end.
    """

    def __init__(self, line: bytes) -> None:
        self._line = line
        self._position = 0

    @property
    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._position >= len(self._line)

    def peek(self) -> bytes:
        """Return the next byte, or nothing at the end."""
        return self._line[self._position : self._position + 1]

    def skip(self, size: int) -> None:
        """Step over ``size`` bytes."""
        self._position += size

    def _match(self, pattern: re.Pattern[bytes], what: str) -> re.Match[bytes]:
        match = pattern.match(self._line, self._position)
        if match is None:
            raise CommandError(f"Expected {what}")
        self._position = match.end()
        return match

    def accept(self, byte: bytes) -> bool:
        """Step over this byte if it is the next."""
        if self.peek() != byte:
            return False
        self._position += 1
        return True

    def expect(self, byte: bytes) -> None:
        """Step over this byte; anything else is an error."""
        if not self.accept(byte):
            raise CommandError(f"Expected {byte.decode()!r}")

    def space(self) -> None:
        """Step over one space."""
        self.expect(b" ")

    def end(self) -> None:
        """Check that nothing is left."""
        if not self.at_end:
            raise CommandError("Unexpected arguments")

    def atom(self) -> str:
        """Read an atom."""
        return self._match(_ATOM, "an atom")[0].decode("latin-1")

    def flag(self) -> str:
        r"""Read a flag or keyword, with its backslash."""
        return self._match(_FLAG, "a flag")[0].decode("latin-1")

    def _string(self) -> bytes | None:
        if self.peek() == b'"':
            return re.sub(rb"\\(.)", rb"\1", self._match(_QUOTED, "a quoted string")[1])
        if self.peek() == b"{":
            size = int(self._match(_LITERAL, "a literal")[1])
            start = self._position
            self._position += size
            return self._line[start : start + size]
        return None

    def astring(self) -> bytes:
        """Read an atom, a quoted string or a literal."""
        text = self._string()
        return self._match(_ASTRING, "a string")[0] if text is None else text

    def list_pattern(self) -> bytes:
        """Read a folder name in which ``%`` and ``*`` may stand."""
        text = self._string()
        return self._match(_PATTERN, "a pattern")[0] if text is None else text

    def number_set(self) -> NumberSet:
        """Read a sequence or UID set."""
        return parse_set(self._match(_SET, "a set")[0])

    def is_number_set(self) -> bool:
        """Whether a set stands here."""
        return self.peek().isdigit() or self.peek() == b"*"

    def item(self) -> str:
        """Read the name of a FETCH item, upper-case."""
        return self._match(_ITEM, "an item")[0].decode("ascii").upper()

    def section(self) -> str | None:
        """Return what stands between brackets here; None where there are none."""
        if self.peek() != b"[":
            return None
        return self._match(_SECTION, "a section")[1].decode("latin-1")

    def partial(self) -> tuple[int, int] | None:
        """Read ``<offset.length>``; None where there is none."""
        if self.peek() != b"<":
            return None
        match = self._match(_PARTIAL, "offset and length")
        return int(match[1]), int(match[2])

    def flags(self) -> list[str]:
        """Read a list of flags, with or without parentheses."""
        if not self.accept(b"("):
            found = [self.flag()]
            while self.accept(b" "):
                found.append(self.flag())
            return found
        found = []
        while not self.accept(b")"):
            found.append(self.flag())
            self.accept(b" ")
        return found

    def rest(self) -> bytes:
        """Take all that is left."""
        start, self._position = self._position, len(self._line)
        return self._line[start:]
