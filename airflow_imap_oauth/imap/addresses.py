# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Address lists of raw header fields; nothing here raises."""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_imap_oauth.imap.charsets import decode_text
from airflow_imap_oauth.imap.encoded_words import decode_words, one_line

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"?|<[^<>]*>?|[(),;:]|[^"<(),;:]+|.', re.DOTALL)
_QUOTED_STRING = re.compile(rb'"((?:[^"\\]|\\.)*)"?', re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailAddress:
    """
    One address.

    :param name: Display name, or the comment beside the address; may be empty.
    :param address: As written, without angle brackets; not checked.
    """

    name: str = ""
    address: str = ""

    def __str__(self) -> str:
        """Return ``name <address>``, for people."""
        return f"{self.name} <{self.address}>" if self.name else self.address


def parse_addresses(raw: bytes) -> tuple[MailAddress, ...]:
    """
    Split an address list (RFC 5322 section 3.4).

    The name of a group is dropped, its members stay, so ``undisclosed-recipients:;`` is empty.
    Encoded words are decoded after the list was split: they may hold commas.
    """
    found: list[MailAddress] = []
    item = _Item()
    depth = 0
    for token in _TOKEN.findall(raw):
        if depth or token in b"()":
            before, depth = depth, max(depth + (token == b"(") - (token == b")"), 0)
            item.comment += token if before and depth else b" "  # the outermost ones go
        elif token in {b",", b";"}:
            item.end(found)
            item = _Item()
        elif token == b":" and not item.angle:
            item = _Item()
        elif token.startswith(b"<"):
            item.angle = item.angle or token
        else:
            item.text += token
    item.end(found)
    return tuple(found)


@dataclass(slots=True)
class _Item:
    """What stands between two commas."""

    text: bytes = b""
    angle: bytes = b""
    comment: bytes = b""

    def end(self, found: list[MailAddress]) -> None:
        if self.angle:
            name, address = self.text, self.angle.strip(b"<>")
        else:
            name, address = b"", self.text
        parsed = MailAddress(
            name=decode_words(_unquote(name.strip() or self.comment.strip())),
            address=one_line(decode_text(_unquote(address.strip()), None)[0]),
        )
        if parsed.address or parsed.name:
            found.append(parsed)


def _unquote(text: bytes) -> bytes:
    quoted = _QUOTED_STRING.fullmatch(text)
    return _QUOTED_PAIR.sub(rb"\1", quoted[1]) if quoted else text
