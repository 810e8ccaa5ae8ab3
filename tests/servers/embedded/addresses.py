# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Addresses of a header field (RFC 5322 section 3.4), read tolerantly."""

from __future__ import annotations

import re

#: (name, mailbox, host); a group is (None, its name, None) ... (None, None, None).
Address = tuple["bytes | None", "bytes | None", "bytes | None"]

_TOKEN = re.compile(
    rb"(?P<space>[ \t\r\n]+)"
    rb"|\"(?P<quoted>(?:[^\"\\]|\\.)*)\"?"
    rb"|\((?P<comment>(?:[^()\\]|\\.|\([^()]*\))*)\)?"
    rb"|<(?P<angle>[^<>]*)>?"
    rb"|(?P<special>[,;:])"
    rb"|(?P<atom>[^\s\"(<,;:]+)",
    re.DOTALL,
)


def address_list(value: bytes | None) -> list[Address]:
    """Read a field of addresses; what cannot be read is left out."""
    collector = _Collector()
    for match in _TOKEN.finditer(value or b""):
        kind = match.lastgroup or ""
        collector.take(kind, match[kind])
    collector.finish()
    collector.end_group()
    return collector.found


class _Collector:
    def __init__(self) -> None:
        self.found: list[Address] = []
        self._words: list[bytes] = []
        self._angle: bytes | None = None
        self._comment: bytes | None = None
        self._in_group = False

    def take(self, kind: str, text: bytes) -> None:
        if kind == "angle":
            self._angle = text
        elif kind == "comment":
            self._comment = _unescape(text)
        elif kind == "quoted":
            self._words.append(_unescape(text))
        elif kind == "atom":
            self._words.append(text)
        elif kind == "special":
            self._take_special(text)

    def _take_special(self, text: bytes) -> None:
        if text == b":" and not self._in_group:
            self.found.append((None, b" ".join(self._words), None))
            self._words.clear()
            self._in_group = True
        elif text in (b",", b";"):
            self.finish()
            if text == b";":
                self.end_group()

    def finish(self) -> None:
        if self._angle is not None:
            name = b" ".join(self._words) or self._comment
            self.found.append((name, *_split(self._angle)))
        elif self._words:
            self.found.append((self._comment, *_split(b"".join(self._words))))
        self._words.clear()
        self._angle = self._comment = None

    def end_group(self) -> None:
        if self._in_group:
            self.found.append((None, None, None))
            self._in_group = False


def _unescape(text: bytes) -> bytes:
    return re.sub(rb"\\(.)", rb"\1", text, flags=re.DOTALL)


def _split(address: bytes) -> tuple[bytes, bytes]:
    route, colon, rest = address.partition(b":")
    if colon and route.lstrip().startswith(b"@"):
        address = rest
    mailbox, _, host = re.sub(rb"\s", b"", address).rpartition(b"@")
    return (mailbox, host) if mailbox else (host, b"")
