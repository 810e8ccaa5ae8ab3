# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A tolerant MIME splitter over raw bytes: every section has exact offsets, nothing raises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

#: Nesting below this depth is one opaque part, as in Dovecot's defaults.
MAX_DEPTH = 99

_TOKEN = rb"[^\s()<>@,;:\\\"/\[\]?=]+"
_TYPE = re.compile(rb"\s*(" + _TOKEN + rb")\s*/\s*(" + _TOKEN + rb")")
_PARAMETER = re.compile(
    rb";\s*(" + _TOKEN + rb")\s*=\s*"
    rb"(?:\"((?:[^\"\\]|\\.)*)\"|([^\s()<>@,;:\\\"/\[\]?=]*)(?!\"))",
    re.DOTALL,
)
_CONTINUED = re.compile(rb"(?P<name>[^*]+)\*(?P<index>\d{1,3})(?P<extended>\*?)")
_COMMENT = re.compile(rb"\([^()]*\)")


@dataclass(frozen=True, slots=True)
class HeaderField:
    """One field as it stands: its name, its value with the folds in it, and its offsets."""

    name: bytes
    value: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ContentType:
    """Type and subtype in the case they were written in, and the parameters in order."""

    maintype: bytes
    subtype: bytes
    parameters: tuple[tuple[bytes, bytes], ...] = ()

    def is_a(self, maintype: str, subtype: str | None = None) -> bool:
        """Whether it is of this type, whatever the case."""
        return self.maintype.lower() == maintype.encode() and (
            subtype is None or self.subtype.lower() == subtype.encode()
        )

    def parameter(self, name: str) -> bytes | None:
        """Return the first parameter of this name."""
        wanted = name.encode()
        return next((value for key, value in self.parameters if key.lower() == wanted), None)


TEXT_PLAIN = ContentType(b"text", b"plain", ((b"charset", b"us-ascii"),))
_RFC822 = ContentType(b"message", b"rfc822")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """
    A message or a part: ``raw[header_start:body_start]`` is its header with the empty line.

    :param children: The parts of a multipart, or the one message inside a message/rfc822.
    :param declared: Whether it names its content type itself.
    """

    raw: bytes = field(repr=False)
    header_start: int
    body_start: int
    end: int
    fields: tuple[HeaderField, ...]
    content_type: ContentType
    declared: bool
    children: tuple[Node, ...] = ()

    @property
    def header(self) -> bytes:
        """The header block with its empty line."""
        return self.raw[self.header_start : self.body_start]

    @property
    def body(self) -> bytes:
        """The body, encoded as it is."""
        return self.raw[self.body_start : self.end]

    @property
    def is_multipart(self) -> bool:
        """Whether the children are parts of a multipart."""
        return self.content_type.is_a("multipart")

    @property
    def is_message(self) -> bool:
        """Whether it holds a message."""
        return self.content_type.is_a("message", "rfc822") and bool(self.children)

    def get(self, name: str) -> bytes | None:
        """Return the unfolded value of the first field of this name."""
        wanted = name.lower().encode()
        for one in self.fields:
            if one.name.lower() == wanted:
                return unfold(one.value)
        return None

    def walk(self) -> Iterator[Node]:
        """Yield this node and all below it, in order."""
        yield self
        for child in self.children:
            yield from child.walk()


def unfold(value: bytes) -> bytes:
    """Take the line ends out of a folded value, and the white space around it."""
    return re.sub(rb"\r?\n", b"", value).strip(b" \t")


def canonical(raw: bytes) -> bytes:
    """Give a message CRLF line ends, as it has them on the wire."""
    return re.sub(rb"(?<!\r)\n", b"\r\n", raw)


def parse(raw: bytes) -> Node:
    """Split a message (see :func:`canonical`) into its parts."""
    return _parse(raw, 0, len(raw), default=TEXT_PLAIN, depth=0)


def _parse(raw: bytes, start: int, end: int, *, default: ContentType, depth: int) -> Node:
    fields, body_start = _parse_header(raw, start, end)
    written = _last(fields, b"content-type")
    content_type = parse_content_type(written) if written is not None else None
    node_type = content_type or default
    children: tuple[Node, ...] = ()
    if depth < MAX_DEPTH:
        children = _parse_children(raw, body_start, end, node_type, depth=depth)
    elif node_type.is_a("multipart") or node_type.is_a("message", "rfc822"):
        node_type = ContentType(b"application", b"octet-stream", node_type.parameters)
    return Node(
        raw=raw,
        header_start=start,
        body_start=body_start,
        end=end,
        fields=fields,
        content_type=node_type,
        declared=content_type is not None,
        children=children,
    )


def _parse_children(
    raw: bytes, start: int, end: int, content_type: ContentType, *, depth: int
) -> tuple[Node, ...]:
    if content_type.is_a("multipart"):
        return _parse_parts(raw, start, end, content_type, depth=depth)
    if content_type.is_a("message", "rfc822"):
        return (_parse(raw, start, end, default=TEXT_PLAIN, depth=depth + 1),)
    return ()


def _last(fields: tuple[HeaderField, ...], name: bytes) -> bytes | None:
    found = [one.value for one in fields if one.name.lower() == name]
    return unfold(found[-1]) if found else None


def _parse_header(raw: bytes, start: int, end: int) -> tuple[tuple[HeaderField, ...], int]:
    fields: list[HeaderField] = []
    position = start
    while position < end:
        newline = raw.find(b"\n", position, end)
        line_end = end if newline < 0 else newline + 1
        line = raw[position:line_end]
        if line in (b"\r\n", b"\n"):
            return tuple(fields), line_end
        if line[:1] in (b" ", b"\t") and fields:
            last = fields.pop()
            fields.append(HeaderField(last.name, last.value + line, last.start, line_end))
        else:
            name, colon, value = line.partition(b":")
            name = name.rstrip(b" \t") if colon else b""
            fields.append(HeaderField(name, value, position, line_end))
        position = line_end
    return tuple(fields), end


def _parse_parts(
    raw: bytes, start: int, end: int, content_type: ContentType, *, depth: int
) -> tuple[Node, ...]:
    boundary = content_type.parameter("boundary")
    if boundary is None:
        return ()
    delimiter = re.compile(
        rb"(?:(?<=\n)|\A)--" + re.escape(boundary.rstrip(b" \t")) + rb"(--)?[ \t]*(?:\r?\n|\Z)"
    )
    default = _RFC822 if content_type.is_a("multipart", "digest") else TEXT_PLAIN
    parts: list[Node] = []
    part_start: int | None = None
    for match in delimiter.finditer(raw, start, end):
        if part_start is not None:
            part_end = _without_newline(raw, part_start, match.start())
            parts.append(_parse(raw, part_start, part_end, default=default, depth=depth + 1))
        part_start = None if match[1] else match.end()
        if match[1]:
            break
    if part_start is not None:  # the closing delimiter is missing: the rest is the last part
        parts.append(_parse(raw, part_start, end, default=default, depth=depth + 1))
    return tuple(parts)


def _without_newline(raw: bytes, start: int, end: int) -> int:
    """Give the line end before a delimiter to the delimiter (RFC 2046 section 5.1.1)."""
    for newline in (b"\r\n", b"\n"):
        if end - start >= len(newline) and raw.startswith(newline, end - len(newline)):
            return end - len(newline)
    return end


def parse_content_type(value: bytes) -> ContentType | None:
    """Read a Content-Type; None where it names no type."""
    match = _TYPE.match(_without_comments(value))
    if match is None:
        return None
    content_type = ContentType(match[1], match[2], parse_parameters(value))
    if content_type.is_a("text") and not any(
        name.lower() in (b"charset", b"charset*") for name, _ in content_type.parameters
    ):
        # Said out loud, as Dovecot does (RFC 2046 section 4.1.2).
        parameters = (*content_type.parameters, (b"charset", b"us-ascii"))
        return ContentType(content_type.maintype, content_type.subtype, parameters)
    return content_type


def parse_parameters(value: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Read the parameters behind the first ``;``, continuations (RFC 2231) joined."""
    plain: list[tuple[bytes, bytes]] = []
    continued: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    for match in _PARAMETER.finditer(value):
        name = match[1]
        text = (
            match[3] if match[2] is None else re.sub(rb"\\(.)", rb"\1", match[2], flags=re.DOTALL)
        )
        piece = _CONTINUED.fullmatch(name)
        if piece is None:
            plain.append((name, text))
        else:
            pieces = continued.setdefault(piece["name"], {})
            pieces.setdefault(int(piece["index"]), (text, bool(piece["extended"])))
    return (*plain, *(_join(name, continued[name]) for name in sorted(continued)))


def _join(name: bytes, pieces: dict[int, tuple[bytes, bool]]) -> tuple[bytes, bytes]:
    consecutive = [pieces[index] for index in range(len(pieces)) if index in pieces]
    if not any(extended for _, extended in consecutive):
        return name, b"".join(text for text, _ in consecutive)
    joined = b"".join(
        text
        if extended
        else b"".join(b"%%%02X" % byte if _special(byte) else bytes([byte]) for byte in text)
        for text, extended in consecutive
    )
    return name + b"*", joined


def _special(byte: int) -> bool:
    return not 0x20 < byte < 0x7F or byte in b"*'%()<>@,;:\\\"/[]?="


def _without_comments(value: bytes) -> bytes:
    while True:
        stripped = _COMMENT.sub(b" ", value)
        if stripped == value:
            return value
        value = stripped
