# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Charsets, encoded words, addresses, dates and parameters, as senders write them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_imap_oauth.imap.addresses import parse_addresses
from airflow_imap_oauth.imap.charsets import decode_text
from airflow_imap_oauth.imap.encoded_words import decode_words
from airflow_imap_oauth.imap.headers import header_fields, parse_date, read_headers
from airflow_imap_oauth.imap.metadata import parse_internaldate
from airflow_imap_oauth.imap.parameters import parameter_value
from airflow_imap_oauth.imap.responses import Value
from airflow_imap_oauth.imap.shown import shown

# Bytes of which header faults are made.
_SCRAPS = [b"=?", b"utf-8", b"?B?", b"?q?", b"?=", b"QUI", b"=C3", b"'", b"*", b"%C3", b" ", b'"']
_MORE_SCRAPS = [b"<", b">", b"(", b")", b",", b":", b";", b"@", b"\\", b"\r\n ", b"\0", b"\xe9"]
RAW = st.lists(st.sampled_from(_SCRAPS + _MORE_SCRAPS), max_size=25).map(b"".join)


@pytest.mark.parametrize(
    ("raw", "charset", "text", "used"),
    [
        (b"caf\xc3\xa9", "UTF-8", "caf\u00e9", "utf-8"),
        (b"caf\xe9", "ISO-8859-1", "caf\u00e9", "iso8859-1"),
        (b"caf\xc3\xa9", None, "caf\u00e9", "utf-8"),
        (b"caf\xe9", None, "caf\u00e9", "latin-1"),
        (b"caf\xc3\xa9", "us-ascii", "caf\u00e9", "utf-8"),
        (b"caf\xe9", "us-ascii", "caf\u00e9", "latin-1"),
        (b"\x80 10", "windows-1252", "\u20ac 10", "cp1252"),
        (b"\xe0\xe1", "x-cp-874", "\u0e40\u0e41", "cp874"),
        (b"\xe9\xe8", "unknown-8bit", "\u00e9\u00e8", "latin-1"),
        (b"\xa3\x92\x8b", "x-gbk", "\u00a3\u0092\u008b", "latin-1"),
        (b"\xd6\xd0", "gb2312", "\u4e2d", "gb18030"),
        (b"\x87\x40", "shift_jis", "\u2460", "cp932"),
        (b"\xf9\xe5", "iso-8859-8-i", "\u05e9\u05d5", "iso8859-8"),
        (b"caf\xe9", "utf-8", "caf\ufffd", "utf-8"),
        (b"uryyb", "rot13", "uryyb", "utf-8"),
        (b"aGk=", "base64", "aGk=", "utf-8"),
        (b"xn--a", "idna", "xn--a", "utf-8"),
        (b"x", "undefined", "x", "utf-8"),
        (b"x", "no\0such", "x", "utf-8"),
        (b"x", "c" * 5000, "x", "utf-8"),
    ],
)
def test_charsets(raw: bytes, charset: str | None, text: str, used: str) -> None:
    """The declared charset where it works, else UTF-8, else a guess; codecs of no text never."""
    assert decode_text(raw, charset) == (text, used)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?Q?caf=C3=A9_au_lait?=", "caf\u00e9 au lait"),
        (b"=?UTF-8?b?5aOy5LiK?=", "\u58f2\u4e0a"),
        (b"=?iso-8859-1*fr?q?caf=E9?=", "caf\u00e9"),
        (b"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        (b"=?utf-8?q?a?=\r\n =?utf-8?q?b?=", "ab"),
        (b"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        (b"=?utf-8?q?=F0=9F?= =?utf-8?q?=98=81?=", "\U0001f601"),
        (b"=?utf-8?b?8J8=?= =?utf-8?b?mIE=?=", "\U0001f601"),
        (b"=?utf-8?q?=C3=A9?= =?iso-8859-1?q?=E9?=", "\u00e9\u00e9"),
        (b"=?utf-8?Q?with blanks?=", "with blanks"),
        (b"a=?utf-8?q?b?=c", "abc"),
        (b"=?utf-8?B?QUJDR?=", "ABC"),
        (b"=?utf-8?X?a?=", "=?utf-8?X?a?="),
        (b"=?utf-8?Q?open", "=?utf-8?Q?open"),
        (b"=?no-such?Q?=E9?=", "\u00e9"),
        (b"=?utf-8?Q?a=0D=0AX-Injected:_yes?=", "a  X-Injected: yes"),
        (b"caf\xc3\xa9 =?utf-8?q?=C3=A9?=", "caf\u00e9 \u00e9"),
        (b"caf\xe9", "caf\u00e9"),
        (b"a\x1b[31mb\x07\x7f", "a [31mb"),
        (b"folded\r\n\tline", "folded line"),
        ("a\u2028b".encode(), "a b"),
    ],
)
def test_encoded_words(raw: bytes, text: str) -> None:
    """RFC 2047 as it is written in practice, always one line without control characters."""
    assert decode_words(raw) == text


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"ann@x.test", [("", "ann@x.test")]),
        (b"Ann <ann@x.test>, bob@x.test", [("Ann", "ann@x.test"), ("", "bob@x.test")]),
        (b'"Doe, Ann" <ann@x.test>', [("Doe, Ann", "ann@x.test")]),
        (b'"say \\"hi\\"" <ann@x.test>', [('say "hi"', "ann@x.test")]),
        (b"=?utf-8?q?Doe=2C_Ann?= <ann@x.test>", [("Doe, Ann", "ann@x.test")]),
        (b"ann@x.test (Ann (at home))", [("Ann (at home)", "ann@x.test")]),
        (b"Team: ann@x.test, bob@x.test;", [("", "ann@x.test"), ("", "bob@x.test")]),
        (b"undisclosed-recipients:;", []),
        (b',,"', []),
        (b'"Ann" "Doe" <ann@x.test>', [('"Ann" "Doe"', "ann@x.test")]),
        (b'"ann b"@x.test', [("", '"ann b"@x.test')]),
        (b'"open <ann@x.test>', [("", "open <ann@x.test>")]),
        (b"a) (b (c <ann@x.test>", [("b (c <ann@x.test>", "a")]),
        (b"<>", []),
        (b"", []),
        (b"Ann <ann@x.test", [("Ann", "ann@x.test")]),
    ],
)
def test_addresses(raw: bytes, expected: list[tuple[str, str]]) -> None:
    """Lists are split before words are decoded; groups and comments are understood."""
    assert [(found.name, found.address) for found in parse_addresses(raw)] == expected


UTC = timezone.utc


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("Tue, 03 Feb 2026 10:20:30 +0200", datetime(2026, 2, 3, 8, 20, 30, tzinfo=UTC)),
        ("3 Feb 2026 10:20 GMT", datetime(2026, 2, 3, 10, 20, tzinfo=UTC)),
        ("Tue, 03 Feb 2026 10:20:30 -0000", datetime(2026, 2, 3, 10, 20, 30, tzinfo=UTC)),
        ("Mon, 1 Jan 100 00:00:00 +0000", None),
        ("Fri, 31 Dec 9999 23:59:59 -2300", None),
        ("Tue, 31 Feb 2026 10:20:30 +0000", None),
        ("Tue, 03 Feb 2026 10:20:30 +9999999999", None),
        ("2002/09/14 Sat 13:06:03 GMT", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_dates(text: str, at: datetime | None) -> None:
    """A date is aware UTC; what cannot be read, or cannot be true, is None."""
    found = parse_date(text)
    assert found == at
    assert found is None or found.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (b"17-Jul-1996 02:44:25 -0700", datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC)),
        (b" 1-JAN-2026 00:00:00 +0530", datetime(2025, 12, 31, 18, 30, tzinfo=UTC)),
        (b"01-jan-2026 23:59:60 +0000", datetime(2026, 1, 1, 23, 59, 59, tzinfo=UTC)),
        (b"31-Feb-2026 00:00:00 +0000", None),
        (b"01-Foo-2026 00:00:00 +0000", None),
        (b"01-Jan-0001 00:00:00 +0100", None),
        (b"01-Jan-2026", None),
        (None, None),
        ((b"x",), None),
    ],
)
def test_dates_of_arrival(value: Value, at: datetime | None) -> None:
    """INTERNALDATE is aware UTC, whatever its zone and case; what is none is None."""
    assert parse_internaldate(value) == at


def test_headers_of_a_record() -> None:
    """Fields are unfolded, decoded and found in any case; the first of two wins."""
    headers = read_headers(
        b"SUBJECT: =?utf-8?q?M=C3=A4rz?=\r\n =?utf-8?q?_2026?=\r\n"
        b"subject: second\r\nDate: yesterday\r\nFrom: Ann <ann@x.test>\r\n"
        b"To: a@x.test\r\nTo: b@x.test\r\nno field\r\nReferences: <1@x>\r\n\t<2@x>\r\n\r\n"
    )
    assert headers.subject == "M\u00e4rz 2026"
    assert (headers.date_header, headers.date_at) == ("yesterday", None)
    assert [one.address for one in headers.from_addresses] == ["ann@x.test"]
    assert [one.address for one in headers.to_addresses] == ["a@x.test", "b@x.test"]
    assert headers.references == ("<1@x>", "<2@x>")
    assert (headers.message_id, headers.cc_addresses) == (None, ())


def test_missing_headers() -> None:
    """No block is an empty one."""
    assert read_headers(None) == read_headers(b"")


@pytest.mark.parametrize(
    ("parameters", "value"),
    [
        ([(b"FileName", b"a.csv")], "a.csv"),
        ([(b"filename", b"=?utf-8?Q?M=C3=A4rz.csv?=")], "M\u00e4rz.csv"),
        ([(b"filename*", b"utf-8'de'M%C3%A4rz.csv")], "M\u00e4rz.csv"),
        ([(b"filename*", b"iso-8859-1''M%E4rz.csv")], "M\u00e4rz.csv"),
        ([(b"filename*", b"no-quotes.csv")], "no-quotes.csv"),
        ([(b"filename*", b"no-such-charset''x%E9.csv")], "x\u00e9.csv"),
        ([(b"filename", b"utf-8''M%C3%A4rz.csv")], "M\u00e4rz.csv"),
        ([(b"filename", b"plain.csv"), (b"filename*", b"utf-8''best.csv")], "best.csv"),
        (
            [(b"filename", b"plain.csv"), (b"filename*0", b"best"), (b"filename*1", b".csv")],
            "best.csv",
        ),
        ([(b"filename*1", b"b.csv"), (b"filename*0", b"a")], "ab.csv"),
        (
            [
                (b"filename*0*", b"utf-8''M%C3"),
                (b"filename*1*", b"%A4rz"),
                (b"filename*2", b"%.csv"),
            ],
            "M\u00e4rz%.csv",
        ),
        ([(b"filename*0*", b"a''"), (b"filename*", b"UTF-8''b")], "b"),
        (
            [(b"filename*0", b"=?UTF-8?Q?a=F0=9F?="), (b"filename*1", b" =?UTF-8?Q?=98=81.doc?=")],
            "a\U0001f601.doc",
        ),
        ([(b"filename*10", b"c"), (b"filename*9", b"b")], "bc"),
        ([(b"filename*" + b"9" * 5000, b"x.csv")], None),
        ([(b"filename*x", b"x.csv"), (b"filenames", b"y.csv")], None),
        ([(b"filename*", b"utf-8''a%0D%0AX-Injected:%20yes")], "a  X-Injected: yes"),
        ([(b"filename", b"first"), (b"filename", b"second")], "first"),
        ([(b"filename", b"")], None),
        ([], None),
    ],
)
def test_parameters(parameters: list[tuple[bytes, bytes]], value: str | None) -> None:
    """RFC 2231 in its forms, the best of several, and what senders write instead."""
    assert parameter_value(parameters, b"filename") == value


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"NO \xff busy", "NO \ufffd busy"),
        ("a\r\n\tb\0c", "a b c"),
        ("\u202egnp.exe\u2066", "gnp.exe"),
        ("x" * 500, "x" * 199 + "\u2026"),
        ("\x1b[2J", "[2J"),
    ],
)
def test_what_is_shown(text: bytes | str, line: str) -> None:
    """Text of others is one short line that cannot steer a terminal or a reader."""
    assert shown(text) == line


@given(RAW)
def test_no_header_raises(raw: bytes) -> None:
    """Whatever a sender writes is read as one printable line, as far as it can be read."""
    assert "\n" not in decode_words(raw)
    block = b"Subject: " + raw + b"\r\nFrom: " + raw + b"\r\nDate: " + raw + b"\r\n"
    assert b"subject" not in header_fields(block).get("from", [])
    headers = read_headers(block + raw)
    texts = [headers.subject or "", *(str(one) for one in headers.from_addresses)]
    texts.append(
        parameter_value([(b"name", raw), (b"name*0*", raw), (b"name*1", raw)], b"name") or ""
    )
    assert not any(set(text) & set("\r\n\0") for text in texts)
