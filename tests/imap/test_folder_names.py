# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Names of mail folders, from Unicode to modified UTF-7 and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.imap.folder_names import decode_folder_name, encode_folder_name, quote

NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), min_size=1, max_size=40
)


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("INBOX", b"INBOX"),
        ("~peter/mail/\u53f0\u5317/\u65e5\u672c\u8a9e", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
        ("L&R \u00dcbersicht", b"L&-R &ANw-bersicht"),
        ("&", b"&-"),
        ("&-", b"&--"),
        ("Entw\u00fcrfe\u00e9\u00e8", b"Entw&APw-rfe&AOkA6A-"),
        ("\U0001f4e7", b"&2D3c5w-"),
        ("tab\there", b"tab&AAk-here"),
        ('q"uote\\', b'q"uote\\'),
    ],
)
def test_encoding(name: str, encoded: bytes) -> None:
    """RFC 3501 section 5.1.3, in both directions."""
    assert encode_folder_name(name) == encoded
    assert decode_folder_name(encoded) == name


@given(NAMES)
def test_every_name_comes_back(name: str) -> None:
    """What was encoded is printable ASCII and decodes to the same name."""
    encoded = encode_folder_name(name)
    assert all(0x20 <= byte < 0x7F for byte in encoded)
    assert decode_folder_name(encoded) == name


@pytest.mark.parametrize("name", ["", "a\rb", "a\nX1 DELETE INBOX", "a\0b", "a\udce9"])
def test_names_that_cannot_be_sent_are_refused(name: str) -> None:
    """Emptiness, line ends, NUL and half characters are refused."""
    with pytest.raises(ConfigurationError):
        encode_folder_name(name)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Entw\u00fcrfe".encode(), "Entw\u00fcrfe"),
        (b"Entw\xfcrfe", "Entw\u00fcrfe"),
        (b"AT&T", "AT&T"),
        (b"&A-", "&A-"),
        (b"&AOk", "&AOk"),
        (b"&2D0-", "&2D0-"),
    ],
)
def test_names_that_are_not_modified_utf_7(raw: bytes, shown: str) -> None:
    """What a server sends against the standard is shown as it was sent."""
    assert decode_folder_name(raw) == shown


@given(st.binary(max_size=40))
def test_decoding_never_raises(raw: bytes) -> None:
    """Any bytes get a name."""
    assert isinstance(decode_folder_name(raw), str)


def test_quoting() -> None:
    """Quotes and backslashes are escaped in a quoted string."""
    assert quote(b'a"b\\c') == b'"a\\"b\\\\c"'
