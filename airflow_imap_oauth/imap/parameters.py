# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""MIME parameters with the continuations and charsets of RFC 2231; nothing here raises."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from airflow_imap_oauth.imap.charsets import decode_text
from airflow_imap_oauth.imap.encoded_words import decode_words, one_line

# ``name*0``, ``name*0*``; more than four digits is no continuation that anyone needs.
_SEGMENT = re.compile(rb"(\d{1,4})(\*?)")
# What belongs into ``name*`` and is found in plain ``name``.
_EXTENDED_IN_PLAIN = re.compile(rb"(?i)(?:utf-8|us-ascii|iso-8859-\d{1,2}|windows-125\d)'[^']*'")

Parameters = Sequence[tuple[bytes, bytes]]


def parameter_value(parameters: Parameters, name: bytes) -> str | None:
    """
    Return one parameter, decoded.

    Of several forms the one with a charset wins (``name*``), then the joined continuations, then
    the plain one. The plain one may hold encoded words, which RFC 2047 forbids and senders use;
    pieces are joined before they are decoded.

    :param parameters: Pairs as they stand in BODYSTRUCTURE; names in any case.
    :param name: Lower-case name without ``*``.
    :return: The text; None where the parameter is missing or empty.
    """
    plain: bytes | None = None
    extended: bytes | None = None
    segments: dict[int, tuple[bytes, bool]] = {}
    for key, value in parameters:
        base, star, rest = key.lower().partition(b"*")
        if base != name:
            continue
        if not star:
            plain = value if plain is None else plain
        elif not rest:
            extended = value if extended is None else extended
        elif (segment := _SEGMENT.fullmatch(rest)) is not None:
            segments.setdefault(int(segment[1]), (value, bool(segment[2])))
    if extended is not None:
        return _extended(extended) or None
    if segments:
        return _joined([segments[index] for index in sorted(segments)]) or None
    return _plain(plain) or None if plain is not None else None


def _plain(value: bytes) -> str:
    return _extended(value) if _EXTENDED_IN_PLAIN.match(value) else decode_words(value)


def _extended(value: bytes) -> str:
    charset, _, text = _split(value)
    return one_line(decode_text(unquote_to_bytes(text), charset)[0])


def _joined(segments: list[tuple[bytes, bool]]) -> str:
    if not any(is_extended for _, is_extended in segments):
        return _plain(b"".join(value for value, _ in segments))
    first, first_is_extended = segments[0]
    charset, _, text = _split(first) if first_is_extended else (None, "", first)
    pieces = [(text, first_is_extended), *segments[1:]]
    raw = b"".join(unquote_to_bytes(value) if decode else value for value, decode in pieces)
    return one_line(decode_text(raw, charset)[0])


def _split(value: bytes) -> tuple[str | None, str, bytes]:
    """Split ``charset'language'text``; what lacks the quotes is text."""
    pieces = value.split(b"'", 2)
    if len(pieces) < 3:  # noqa: PLR2004  # the grammar has three pieces
        return None, "", value
    charset, language, text = pieces
    return charset.decode("latin-1") or None, language.decode("latin-1"), text
