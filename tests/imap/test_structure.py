# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of FETCH, and BODYSTRUCTURE to parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_imap_oauth.imap.model import Part
from airflow_imap_oauth.imap.responses import (
    RowError,
    Segment,
    group_rows,
    number,
    parse_fetch_row,
    parse_row,
    uid_hint,
)
from airflow_imap_oauth.imap.structure import MAX_DEPTH, MAX_PARTS, parse_structure

TEXT = b'("TEXT" "PLAIN" ("CHARSET" "utf-8") NIL NIL "7BIT" 12 1)'
CSV = (
    b'("text" "csv" ("name" "old.csv") "<c@x>" NIL "BASE64" 120 3 NIL'
    b' ("attachment" ("filename" "new.csv")) NIL NIL)'
)
INNER = b'("message" "rfc822" NIL NIL NIL "7bit" 900 ("date" NIL) %b 30 NIL ("attachment" NIL))'


def _parts(*segments: Segment) -> tuple[tuple[Part, ...], str | None]:
    return parse_structure(parse_row(segments)[0])


def test_single_part() -> None:
    """A message without parts is part 1."""
    assert _parts(TEXT) == (
        (
            Part(
                section="1",
                content_type="text/plain",
                encoding="7bit",
                size_bytes=12,
                charset="utf-8",
            ),
        ),
        None,
    )


def test_attachment() -> None:
    """The name of the disposition wins over that of the type; tokens are lower case."""
    parts, problem = _parts(b"(" + TEXT + CSV + b'"MIXED")')
    assert problem is None
    assert parts[1] == Part(
        section="2",
        content_type="text/csv",
        encoding="base64",
        size_bytes=120,
        filename="new.csv",
        disposition="attachment",
        content_id="<c@x>",
    )
    assert [part.is_attachment for part in parts] == [False, True]


def test_nested_sections() -> None:
    """Sections count in each multipart; an embedded message is a part, and its parts follow."""
    inner = INNER % (b"(" + TEXT + CSV + b'"mixed")')
    alternative = b"(" + TEXT + TEXT + b'"alternative")'
    parts, problem = _parts(b"(" + alternative + inner + CSV + b'"mixed" ("boundary" "x") NIL)')
    assert problem is None
    assert [(part.section, part.content_type) for part in parts] == [
        ("1.1", "text/plain"),
        ("1.2", "text/plain"),
        ("2", "message/rfc822"),
        ("2.1", "text/plain"),
        ("2.2", "text/csv"),
        ("3", "text/csv"),
    ]
    assert parts[2].disposition == "attachment"


def test_embedded_message_of_one_part() -> None:
    """The one part of an embedded message is numbered below it."""
    parts, problem = _parts(INNER % CSV)
    assert problem is None
    assert [(part.section, part.filename) for part in parts] == [("1", None), ("1.1", "new.csv")]


@pytest.mark.parametrize("inside", [b"NIL", b'"text"', b"()"])
def test_embedded_message_that_the_server_cannot_open(inside: bytes) -> None:
    """It is a part like any other."""
    parts, problem = _parts(INNER % inside)
    assert (len(parts), parts[0].content_type, problem) == (1, "message/rfc822", None)
    assert parts[0].disposition == "attachment"


@pytest.mark.parametrize(
    ("parameters", "disposition", "filename"),
    [
        (b"NIL", b'("attachment" ("FILENAME*" "utf-8\'\'M%C3%A4rz.csv"))', "M\u00e4rz.csv"),
        (b'("name" "=?utf-8?q?M=C3=A4rz?=")', b"NIL", "M\u00e4rz"),
        (b'("name" "n.csv")', b'("inline" ("filename" ""))', "n.csv"),
        (b'("name" "n.csv")', b'("attachment" NIL)', "n.csv"),
        (b'("name")', b'("attachment" ("filename"))', None),
        (b"NIL", b"NIL", None),
        (b"()", b"()", None),
        (b'"odd"', b'("attachment" "odd")', None),
        (b"NIL", b'(NIL ("filename" "x"))', None),
    ],
)
def test_names(parameters: bytes, disposition: bytes, filename: str | None) -> None:
    """A name comes from wherever it stands, decoded."""
    row = b'("application" "pdf" %b NIL NIL "base64" 5 NIL %b)' % (parameters, disposition)
    (part,), _ = _parts(row)
    assert part.filename == filename


def test_name_in_a_literal() -> None:
    """A server may send any string as a literal, whatever bytes are in it."""
    before = b'("application" "pdf" ("name" {8}'
    (part,), _ = _parts((before, b'a").\r\n\xc3\xa9'), b') NIL NIL "base64" 5)')
    assert part.filename == 'a").  \u00e9'


@pytest.mark.parametrize(
    "row",
    [
        b'("text" "csv" NIL NIL NIL "base64" 5 NIL ("attachment" ("filename" "x.csv")))',
        b'("text" "csv" NIL NIL NIL "base64" 5 1 NIL ("attachment" ("filename" "x.csv")))',
        b'("a" "b" NIL NIL NIL "base64" 5 0 NIL ("attachment" ("filename" "x.csv")))',
        b'("a" "b" NIL NIL NIL "base64" 5 ("attachment" ("filename" "x.csv")))',
    ],
)
def test_disposition_beside_its_place(row: bytes) -> None:
    """Servers that leave out or add a field do not hide an attachment."""
    (part,), _ = _parts(row)
    assert (part.filename, part.disposition) == ("x.csv", "attachment")


@pytest.mark.parametrize(
    ("row", "content_type", "encoding", "size_bytes"),
    [
        (b"(NIL NIL NIL NIL NIL NIL NIL)", "application/octet-stream", "7bit", None),
        (b'("text" NIL NIL NIL NIL "x" 1.5e+06)', "application/octet-stream", "x", None),
        (b'("te/../xt" "pl ain" NIL NIL NIL "ba\x00se64" 5)', "te..xt/plain", "base64", 5),
        (b'("text" "plain")', "text/plain", "7bit", None),
    ],
)
def test_odd_leaves(row: bytes, content_type: str, encoding: str, size_bytes: int | None) -> None:
    """What is missing or nonsense gets a harmless value."""
    (part,), _ = _parts(row)
    assert (part.content_type, part.encoding, part.size_bytes) == (
        content_type,
        encoding,
        size_bytes,
    )


@pytest.mark.parametrize(
    ("row", "sections", "problem"),
    [
        (b"NIL", [], "the server sent no structure"),
        (b"()", [], "the server sent no structure"),
        (b'"text"', [], "the server sent no structure"),
        (b"(" + TEXT + b"NIL" + TEXT + b'"mixed")', ["1"], "part 2 is NIL"),
        (b'("multipart" "mixed" NIL NIL NIL "7bit" 5)', ["1"], "part 1 is a multipart"),
        (b'("ALTERNATIVE")', [], None),
    ],
)
def test_structures_not_to_be_trusted(row: bytes, sections: list[str], problem: str | None) -> None:
    """What can be read is listed, and why the rest is missing is said."""
    parts, found = _parts(row)
    assert [part.section for part in parts] == sections
    assert found == problem or (found or "").startswith(problem or "-")


def test_too_deep() -> None:
    """Hostile nesting is cut off without a recursion error."""
    depth = 20_000
    parts, problem = _parts(b"(" * depth + TEXT[1:] + b' "mixed")' * (depth - 1))
    assert (parts, problem) == ((), f"nested deeper than {MAX_DEPTH}")


def test_deep_but_real() -> None:
    """Nesting up to the bound is read."""
    parts, problem = _parts(b"(" * (MAX_DEPTH + 1) + TEXT[1:] + b' "mixed")' * MAX_DEPTH)
    assert (problem, parts[0].section) == (None, ".".join(["1"] * MAX_DEPTH))


def test_too_many() -> None:
    """A message of thousands of parts lists the first ones and says so."""
    parts, problem = _parts(b"(" + TEXT * (MAX_PARTS + 1) + b'"mixed")')
    assert (len(parts), problem) == (MAX_PARTS, f"more than {MAX_PARTS} parts")


@pytest.mark.parametrize(
    ("row", "values"),
    [
        ([b'a "b c" NIL (d (e)) ""'], (b"a", b"b c", None, (b"d", (b"e",)), b"")),
        ([b'"q\\"uo\\\\te" nil Nil nIL'], (b'q"uo\\te', None, None, b"nIL")),
        ([b"BODY[HEADER.FIELDS (SUBJECT)]<0> x"], (b"BODY[HEADER.FIELDS (SUBJECT)]<0>", b"x")),
        ([(b"(a {3}", b'")('), b" b)"], ((b"a", b'")(', b"b"),)),
        ([(b"BINARY[1] ~{2}", b"\0)"), b""], (b"BINARY[1]", b"\0)")),
        ([(b"{2}", b"xy")], (b"xy",)),
        ([b"\xff\xe9 ["], (b"\xff\xe9", b"[")),
    ],
)
def test_rows(row: list[Segment], values: tuple[object, ...]) -> None:
    """Atoms, strings, literals, lists and NIL are told apart."""
    assert parse_row(row) == values


@pytest.mark.parametrize("row", [b"(a", b"a)", b'("open)', b"(()"])
def test_rows_that_are_not_closed(row: bytes) -> None:
    """Open and surplus parentheses and open strings are no row."""
    with pytest.raises(RowError):
        parse_row([row])


@pytest.mark.parametrize("row", [b"1", b"1 UID", b"1 (UID)", b"1 ((a) b)", b"", b"1 (UID 5 FLAGS"])
def test_rows_that_are_no_fetch(row: bytes) -> None:
    """A row without a list of names and values is refused."""
    with pytest.raises(RowError):
        parse_fetch_row([row])


def test_fetch_row() -> None:
    """Names are upper case, the UID is a number, and absent where none was sent."""
    assert parse_fetch_row([b"3 (uid 7 Flags (\\Seen))"]).uid == 7
    assert parse_fetch_row([b"3 (uid 7 Flags (\\Seen))"]).items[b"FLAGS"] == (b"\\Seen",)
    assert parse_fetch_row([b"3 (FLAGS ())"]).uid is None


def test_grouping() -> None:
    """A row is over with the first segment that has no literal."""
    segments: list[Segment] = [(b"1 (A {1}", b"x"), (b" B {1}", b"y"), b")", b"2 (C 1)"]
    assert [len(row) for row in group_rows(segments)] == [3, 1]


def test_uid_of_a_garbled_row() -> None:
    """The UID of a row that cannot be read is guessed, to ask for that message alone."""
    assert uid_hint([b"1 (FLAGS (( UID 42 BODY"]) == 42
    assert uid_hint([(b"1 (UID 7 BODY[] {3}", b"abc")]) == 7
    assert uid_hint([b"1 (UID 4294967296123 )"]) is None


@pytest.mark.parametrize(
    "value", [b"", b"-1", b"1.5e+06", b"9" * 20, None, (b"1",), "\u0661".encode()]
)
def test_no_numbers(value: object) -> None:
    """What is no number is None."""
    assert number(value) is None  # type: ignore[arg-type]


ROWS = st.lists(
    st.sampled_from([b"(", b")", b'"', b"\\", b"NIL", b" ", b"text", b"[", b"]", b"7", b"\xff"]),
    max_size=40,
).map(b"".join)


@given(ROWS)
def test_no_row_raises_anything_else(row: bytes) -> None:
    """Rows of nonsense are refused as such or give parts, and nothing else happens."""
    try:
        values = parse_row([row])
    except RowError:
        return
    for value in values:
        parse_structure(value)
