# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Transfer encodings, decoded as the bytes come, whole or broken."""

from __future__ import annotations

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_imap_oauth.imap.decoding import decoder_for

ENCODINGS = ("base64", "quoted-printable", "binary")


def _decode(encoding: str, pieces: list[bytes]) -> tuple[bytes, str | None]:
    decoder = decoder_for(encoding)
    decoded = b"".join(decoder.feed(piece) for piece in pieces) + decoder.finish()
    return decoded, decoder.damage


def _cut(raw: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(raw[:size])
        raw = raw[size:]
    return [*pieces, raw]


SIZES = st.lists(st.integers(0, 9), max_size=30)


@given(st.binary(max_size=300), SIZES)
def test_base64_comes_back_in_pieces_of_any_size(content: bytes, sizes: list[int]) -> None:
    """What was encoded is decoded without damage, wherever the pieces are cut."""
    raw = base64.encodebytes(content).replace(b"\n", b"\r\n")
    assert _decode("BASE64", _cut(raw, sizes)) == (content, None)


@given(st.binary(max_size=300).filter(lambda content: b"\r" not in content), SIZES)
def test_quoted_printable_comes_back_in_pieces_of_any_size(
    content: bytes, sizes: list[int]
) -> None:
    """What was encoded is decoded without damage, line ends as they are in mail."""
    raw = quopri.encodestring(content).replace(b"\n", b"\r\n")
    decoded, damage = _decode("Quoted-Printable", _cut(raw, sizes))
    assert (decoded.replace(b"\r\n", b"\n"), damage) == (content, None)


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(
    st.lists(st.sampled_from([b"QUJD", b"QQ==", b"=", b"=3D", b" ", b"\r\n", b"\n", b"*"]))
    .map(b"".join)
    .flatmap(lambda raw: st.tuples(st.just(raw), SIZES))
)
def test_broken_content_is_the_same_in_any_pieces(
    encoding: str, case: tuple[bytes, list[int]]
) -> None:
    """How a server cuts its pieces changes neither content nor verdict."""
    raw, sizes = case
    whole, damage = _decode(encoding, [raw])
    decoded, damage_in_pieces = _decode(encoding, _cut(raw, sizes))
    assert decoded == whole
    assert (damage is None) == (damage_in_pieces is None)


@pytest.mark.parametrize("encoding", [*ENCODINGS, "x-none"])
@given(st.lists(st.binary(max_size=60), max_size=8))
def test_nothing_raises(encoding: str, pieces: list[bytes]) -> None:
    """No bytes of a sender make decoding fail."""
    _decode(encoding, pieces)


@pytest.mark.parametrize(
    ("raw", "content", "damage"),
    [
        (b"QUJD\r\nREVG", b"ABCDEF", None),
        (b"QUI=\r\nQ0Q=\r\n", b"ABCD", None),
        (b"QUI=Q0Q=", b"ABCD", None),
        (b" Q U J D \t", b"ABC", None),
        (b"QUJDRE", b"ABCD", "base64 ends without its padding"),
        (b"QUJDR", b"ABC", "base64 ends without its padding"),
        (b"QUJDR=\r\n", b"ABC", "base64 lost characters"),
        (b"QU*!JD\xff", b"ABC", "characters outside base64 were skipped"),
        (b"QUI=\r\n-- \r\nsent by a relay\r\n", b"AB", "text after the end of base64 was left out"),
        (b"", b"", None),
    ],
)
def test_base64_that_is_broken(raw: bytes, content: bytes, damage: str | None) -> None:
    """What can be decoded is, what cannot is named, and text behind the end is no content."""
    assert _decode("base64", [raw]) == (content, damage)


@pytest.mark.parametrize(
    ("raw", "content", "damage"),
    [
        (
            b"caf=C3=A9 = soft",
            "caf\u00e9 = soft".encode(),
            "stray '=' in quoted-printable was kept",
        ),
        (b"a=\r\nb", b"ab", None),
        (b"a= \t\r\nb", b"ab", None),
        (b"blanks go \t\r\nhere=20\r\n", b"blanks go\r\nhere \r\n", None),
        (b"bad =ZZ =4", b"bad =ZZ =4", "stray '=' in quoted-printable was kept"),
        (b"lower =c3=a9", "lower \u00e9".encode(), None),
        (b"cut off at the end =", b"cut off at the end ", None),
        (b"8 bit \xe9", b"8 bit \xe9", None),
    ],
)
def test_quoted_printable_that_is_broken(raw: bytes, content: bytes, damage: str | None) -> None:
    """What encodes nothing stays as it is, and is named."""
    assert _decode("quoted-printable", [raw]) == (content, damage)


@pytest.mark.parametrize("encoding", ["7bit", "8BIT", " binary ", ""])
def test_no_encoding(encoding: str) -> None:
    """These leave bytes as they are."""
    assert _decode(encoding, [b"=3D QUJD\xff\0"]) == (b"=3D QUJD\xff\0", None)


def test_unknown_encoding_is_passed_through_and_said() -> None:
    """An encoding that nobody knows is no reason to lose the content."""
    assert _decode("x-uuencode", [b"begin"]) == (b"begin", "unknown transfer encoding 'x-uuencode'")


@pytest.mark.parametrize(
    ("encoding", "filling", "decoded"),
    [
        ("base64", b"QUJD", b"ABC"),
        ("base64", b"QQ==", b"A"),
        ("quoted-printable", b"word", b"word"),
        ("quoted-printable", b" =20", b"  "),
        ("quoted-printable", b"====", b"===="),
        ("binary", b"word", b"word"),
    ],
)
def test_a_line_without_end_is_not_kept(encoding: str, filling: bytes, decoded: bytes) -> None:
    """What is held back stays small, also where no line end ever comes, and nothing is lost."""
    decoder = decoder_for(encoding)
    came = b"".join(decoder.feed(filling * 16_384) for _ in range(8))
    rest = decoder.finish()
    assert len(rest) < 128 * 1024
    assert (came + rest).rstrip(b"=") == (decoded * 16_384 * 8).rstrip(b"=")


def test_long_lines_of_quoted_printable_lose_nothing() -> None:
    """Escapes that lie across the pieces of an endless line are decoded."""
    raw = b"=C3=A9." * 40_000
    pieces = [raw[at : at + 70_001] for at in range(0, len(raw), 70_001)]
    assert _decode("quoted-printable", pieces) == ("\u00e9.".encode() * 40_000, None)
