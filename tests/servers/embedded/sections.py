# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Sections of a message: what stands in ``BODY[...]`` (RFC 3501 section 6.4.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.servers.embedded.mime import Node

_SECTION = re.compile(
    r"(?P<path>\d+(?:\.\d+)*)?\.?"
    r"(?P<what>HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|MIME)?"
    r"(?:\s*\((?P<fields>[^)]*)\))?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Section:
    """
    A section as asked for.

    :param path: Part numbers, empty for the message itself.
    :param what: ``HEADER``, ``HEADER.FIELDS``, ``HEADER.FIELDS.NOT``, ``TEXT``, ``MIME`` or empty.
    :param fields: Upper-case field names of HEADER.FIELDS.
    """

    path: tuple[int, ...]
    what: str
    fields: tuple[str, ...]

    def __str__(self) -> str:
        """Return it as it stands between brackets."""
        numbers = ".".join(map(str, self.path))
        fields = f" ({' '.join(self.fields)})" if self.what.startswith("HEADER.FIELDS") else ""
        return ".".join(text for text in (numbers, self.what) if text) + fields


def parse_section(text: str) -> Section:
    """
    Read what stands between the brackets.

    :raises ValueError: It is not a section.
    """
    match = _SECTION.fullmatch(text.strip())
    if match is None or text.endswith("."):
        raise ValueError(f"no section: {text!r}")
    path = tuple(int(number) for number in (match["path"] or "").split(".") if number)
    what = (match["what"] or "").upper()
    if 0 in path or (what == "MIME" and not path):
        raise ValueError(f"no section: {text!r}")
    fields = tuple(name.strip('"').upper() for name in (match["fields"] or "").split())
    if what.startswith("HEADER.FIELDS") != bool(fields):
        raise ValueError(f"no section: {text!r}")
    return Section(path, what, fields)


def resolve(message: Node, section: Section) -> bytes | None:
    """Return the bytes of a section; None where the message has no such part."""
    node = _find(message, section.path)
    if node is None:
        return None
    if section.what == "MIME":
        return node.header
    if not section.what:
        return node.body if section.path else node.raw[node.header_start : node.end]
    if section.path:
        return _of_message(node.children[0], section) if node.is_message else None
    return _of_message(node, section)


def _of_message(message: Node, section: Section) -> bytes:
    if section.what == "TEXT":
        return message.body
    return message.header if section.what == "HEADER" else _fields(message, section)


def _find(message: Node, path: tuple[int, ...]) -> Node | None:
    # A message is opened: its part 1 is the first of its multipart, or else its one body.
    node, opened = message, True
    for number in path:
        if node.is_message and not opened:
            node, opened = node.children[0], True
        if node.is_multipart:
            if number > len(node.children):
                return None
            node = node.children[number - 1]
        elif not opened or number != 1:
            return None
        opened = False
    return node


def _fields(node: Node, section: Section) -> bytes:
    wanted = section.what == "HEADER.FIELDS"
    names = {name.lower().encode() for name in section.fields}
    kept = (
        node.raw[one.start : one.end]
        for one in node.fields
        if (one.name.lower() in names) is wanted
    )
    # What is left of a header that never ended does not end either, as with Dovecot.
    ended = wanted or node.header.endswith((b"\n\r\n", b"\n\n")) or node.header == b"\r\n"
    return b"".join(kept) + (b"\r\n" if ended else b"")
