# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Search strings of users: what is sent for them, and what never is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.imap.criteria import Literal, parse_criteria


@pytest.mark.parametrize("text", ["", "  ", "ALL", "all", "(ALL)", "CHARSET UTF-8 ALL"])
def test_everything(text: str) -> None:
    """All ways to ask for every message are one."""
    parsed = parse_criteria(text)
    assert (parsed.pieces, parsed.needs_charset) == ((), False)


@pytest.mark.parametrize(
    "text",
    [
        "UNSEEN",
        '(FROM "x" SINCE 01-Jan-2026)',
        'OR (SUBJECT "a (b" ) (NOT SEEN)',
        r'SUBJECT "say \"hi\" \\ there"',
        'SUBJECT "{5}"',
        "HEADER X-Mark %",
    ],
)
def test_ascii_goes_out_as_it_is(text: str) -> None:
    """ASCII criteria are one piece, sent without CHARSET, which some servers refuse."""
    parsed = parse_criteria(text)
    assert (parsed.pieces, parsed.needs_charset) == ((text.encode(),), False)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("SUBJECT caf\u00e9", [b"SUBJECT ", Literal(b"caf\xc3\xa9")]),
        (
            r'(SUBJECT "\"\u00e9\"" UNSEEN)'.replace("\\u00e9", "\u00e9"),
            [b"(SUBJECT ", Literal(b'"\xc3\xa9"'), b" UNSEEN)"],
        ),
        (
            'CHARSET UTF-8 OR SUBJECT "\u8acb" FROM "\u00e9"',
            [b"OR SUBJECT ", Literal("\u8acb".encode()), b" FROM ", Literal(b"\xc3\xa9")],
        ),
    ],
)
def test_what_is_not_ascii_becomes_a_literal(text: str, pieces: list[bytes]) -> None:
    """Other text is sent in UTF-8 as literals, unquoted, with CHARSET."""
    parsed = parse_criteria(text)
    assert list(parsed.pieces) == pieces
    assert [type(piece) for piece in parsed.pieces] == [type(piece) for piece in pieces]
    assert parsed.needs_charset


@pytest.mark.parametrize(
    "text",
    [
        "UNSEEN\r\nX1 DELETE INBOX",
        "SUBJECT a\rb",
        "SUBJECT a\nb",
        'SUBJECT "a\0b"',
        "SUBJECT {3+}",
        "SUBJECT {3}",
        'SUBJECT "open',
        'SUBJECT x"',
        "(UNSEEN",
        "UNSEEN)",
        ")UNSEEN(",
        "CHARSET ISO-8859-1 SUBJECT x",
        "RETURN (COUNT) ALL",
        "CHARSET UTF-8 return (ALL) UNSEEN",
        "SUBJECT a\udce9",
    ],
)
def test_what_could_change_the_command_is_refused(text: str) -> None:
    """Line ends, literals, open quotes and the like are refused before anything is sent."""
    with pytest.raises(ConfigurationError) as caught:
        parse_criteria(text)
    assert caught.value.step == "search criteria"
    assert caught.value.hint


@given(st.text(st.sampled_from('aS ()"\\{}\r\n\0\u00e9*%'), max_size=30))
def test_nothing_that_is_sent_breaks_the_line(text: str) -> None:
    """Whatever is accepted has balanced lists, closed strings and no line end or literal."""
    try:
        pieces = parse_criteria(text).pieces
    except ConfigurationError:
        return
    sent = b"".join(b'"literal"' if isinstance(piece, Literal) else piece for piece in pieces)
    assert not set(sent) & set(b"\r\n\0")
    assert all(byte < 0x80 for byte in sent)
    depth, quoted, position = 0, False, 0
    while position < len(sent):
        byte = sent[position : position + 1]
        position += 1 + (quoted and byte == b"\\")
        quoted ^= byte == b'"'
        depth += 0 if quoted else (byte == b"(") - (byte == b")")
        assert depth >= 0
        assert quoted or byte != b"{"
    assert (depth, quoted) == (0, False)
