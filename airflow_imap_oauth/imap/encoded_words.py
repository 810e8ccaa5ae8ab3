# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Encoded words of RFC 2047 in raw header bytes; nothing here raises."""

from __future__ import annotations

import re
import unicodedata

from airflow_imap_oauth.imap.charsets import decode_text
from airflow_imap_oauth.imap.decoding import decode_whole

# ``=?charset*language?encoding?text?=``; the language (RFC 2231 section 5) is dropped. Blanks
# inside the text are against the rules and common.
_WORD = re.compile(rb"=\?([^?\s*]{1,75})(?:\*[^?\s]{0,75})?\?([bBqQ])\?([^?]*)\?=")


def decode_words(raw: bytes) -> str:
    """
    Return a header value as one line of text.

    Bytes outside encoded words are UTF-8 (RFC 6532) where they can be, else Latin-1. Neighbouring
    words of one charset are joined before they are decoded: senders cut characters in two. Control
    characters, also encoded ones, become blanks: a line break in a subject is never meant well.
    """
    if b"=?" not in raw:
        return one_line(decode_text(raw, None)[0])
    texts: list[str] = []
    pending, pending_charset = b"", ""
    at = 0
    for word in _WORD.finditer(raw):
        between = raw[at : word.start()]
        at = word.end()
        charset = word[1].decode("latin-1").lower()
        is_neighbour = not between.strip() and (pending_charset or not between)
        if not is_neighbour or charset != pending_charset:
            texts.append(_text(pending, pending_charset))
            if not is_neighbour:
                texts.append(decode_text(between, None)[0])
            pending, pending_charset = b"", charset
        pending += _word_bytes(word[2], word[3])
    texts.append(_text(pending, pending_charset))
    texts.append(decode_text(raw[at:], None)[0])
    return one_line("".join(texts))


def one_line(text: str) -> str:
    """Replace control characters by blanks and join the lines of a folded value."""
    if text.isprintable():
        return text.strip()
    unfolded = re.sub(r"\r?\n(?=[ \t])", "", text)
    return "".join(
        " " if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} else character
        for character in unfolded
    ).strip()


def _text(pending: bytes, charset: str) -> str:
    return decode_text(pending, charset)[0] if pending else ""


def _word_bytes(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"bB":
        return decode_whole("base64", text)
    # RFC 2047 section 4.2: ``_`` is a blank; no line breaks, so trailing blanks are text.
    return re.sub(
        rb"=([0-9A-Fa-f]{2})",
        lambda escape: bytes.fromhex(escape[1].decode()),
        text.replace(b"_", b" "),
    )
