# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The text of a message as a search sees it: decoded, without regard to case."""

from __future__ import annotations

import base64
import binascii
import quopri
import re
import unicodedata

from tests.servers.embedded.mime import Node, unfold

_WORD = re.compile(rb"=\?([^?\s]+)\?([bBqQ])\?([^?]*)\?=")
_GOOD_BASE64 = re.compile(rb"[A-Za-z0-9+/=\s]*")
_BETWEEN_WORDS = re.compile(rb"(\?=)\s+(?==\?[^?\s]+\?[bBqQ]\?)")


def fold(text: str) -> str:
    """Make texts comparable: without case, composed and decomposed letters alike."""
    return unicodedata.normalize("NFKD", text).casefold()


def field_text(node: Node, name: str, wanted: str) -> bool:
    """Whether a header field of this name holds ``wanted`` (folded)."""
    values = [one.value for one in node.fields if one.name.lower() == name.lower().encode()]
    return any(wanted in fold(_decode_words(unfold(value))) for value in values)


def header_text(node: Node) -> str:
    """Return the whole header, decoded and folded."""
    lines = (one.name + b": " + unfold(one.value) for one in node.fields)
    return fold("\n".join(map(_decode_words, lines)))


def body_text(node: Node) -> str:
    """Return the text parts and the headers of parts, decoded and folded."""
    texts: list[str] = []
    for one in node.walk():
        if one is not node:
            texts.append(header_text(one))
        if not one.children and one.content_type.is_a("text"):
            texts.append(fold(_decode_body(one)))
    return "\n".join(texts)


def _decode_words(value: bytes) -> str:
    joined = _BETWEEN_WORDS.sub(rb"\1", value)
    out: list[str] = []
    position = 0
    for match in _WORD.finditer(joined):
        out.append(joined[position : match.start()].decode("utf-8", "replace"))
        out.append(_decode_word(match))
        position = match.end()
    out.append(joined[position:].decode("utf-8", "replace"))
    return "".join(out)


def _decode_word(match: re.Match[bytes]) -> str:
    if match[2] in b"bB":
        data = _from_base64(match[3])
    else:
        data = quopri.decodestring(match[3], header=True)
    return _decode(data, match[1])


def _decode_body(node: Node) -> str:
    encoding = (node.get("content-transfer-encoding") or b"").strip().lower()
    data = node.body
    if encoding == b"base64":
        data = _from_base64(b"".join(_GOOD_BASE64.findall(data)[:1]))
    elif encoding == b"quoted-printable":
        data = quopri.decodestring(data)
    elif encoding not in (b"", b"7bit", b"8bit", b"binary"):
        return ""
    return _decode(data, node.content_type.parameter("charset") or b"utf-8")


def _from_base64(data: bytes) -> bytes:
    kept = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
    with_padding = kept[: len(kept) - (len(kept) % 4 == 1)]
    try:
        return base64.b64decode(with_padding + b"=" * (-len(with_padding) % 4))
    except binascii.Error:
        return b""


def _decode(data: bytes, charset: bytes) -> str:
    try:
        return data.decode(charset.decode("latin-1"), "replace")
    except (LookupError, UnicodeError):
        return data.decode("utf-8", "replace")
