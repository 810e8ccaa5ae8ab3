# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""File names of senders, made safe."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_imap_oauth.imap.model import Part
from airflow_imap_oauth.imap.names import (
    MAX_NAME_BYTES,
    attachment_name,
    safe_base_name,
    unique_names,
)

NAMES = st.text(
    st.sampled_from('aB./\\:*?"<>| \u202e\u200d\u0301\u00e9\u8acb\r\n\0~-_\udce9\U0001f468C0O1N')
    | st.characters(),
    max_size=300,
)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.csv", "report.csv"),
        ("Umsatz M\u00e4rz.csv", "Umsatz M\u00e4rz.csv"),
        ("../../../etc/passwd", "passwd"),
        ("/etc/cron.d/job", "job"),
        ("C:\\Windows\\system.ini", "system.ini"),
        ("..\\..\\up.csv", "up.csv"),
        ("folder/", "folder"),
        ("..", "part-1"),
        (".", "part-1"),
        ("...", "part-1"),
        ("/", "part-1"),
        ("", "part-1"),
        ("   ", "part-1"),
        (None, "part-1"),
        ("\u200d\u200c", "part-1"),
        (".bashrc", "_bashrc"),
        ("..x", "_x"),
        ("a\0b\r\nc.csv", "abc.csv"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("\u2066a\u2069\ufeff.csv", "a.csv"),
        ("a\u2028b.csv", "ab.csv"),
        ("a\udce9.csv", "a.csv"),
        ('a:b|c?<d>*".csv', "a_b_c__d___.csv"),
        ("CON", "_CON"),
        ("aux.csv", "_aux.csv"),
        ("com1 .txt", "_com1 .txt"),
        ("lpt\u00b9", "_lpt\u00b9"),
        ("console.txt", "console.txt"),
        ("trailing. . ", "trailing"),
        ("cafe\u0301.csv", "caf\u00e9.csv"),
        ("cafe\u200e\u0301.csv", "caf\u00e9.csv"),
        ("\u0645\u06cc\u200c\u062e.csv", "\u0645\u06cc\u200c\u062e.csv"),
        ("n" * 396 + ".csv", "n" * 176 + ".csv"),
        ("\u58f2" * 396 + ".csv", "\u58f2" * 58 + ".csv"),
        ("n" * 300, "n" * 180),
        ("a." + "x" * 300, "a." + "x" * 178),
    ],
)
def test_one_name(name: str | None, safe: str) -> None:
    """No path, no control, nothing reserved, not too long, never empty."""
    assert safe_base_name(name, fallback="part-1") == safe


@pytest.mark.parametrize(("fallback", "safe"), [("../x", "x"), ("", "part"), ("..", "part")])
def test_fallback_is_cleaned_as_well(fallback: str, safe: str) -> None:
    """A caller's fallback is no way around the rules."""
    assert safe_base_name("..", fallback=fallback) == safe


@given(NAMES, st.integers(32, 250))
def test_every_name_is_safe(name: str, max_bytes: int) -> None:
    """Whatever a sender writes is one component, short, in NFC, without invisible steering."""
    safe = safe_base_name(name, fallback="part", max_bytes=max_bytes)
    assert 0 < len(safe.encode()) <= max_bytes
    assert not safe.startswith(".")
    assert not safe.endswith((".", " "))
    assert not set(safe) & set('/\\<>:"|?*')
    assert unicodedata.normalize("NFC", safe) == safe
    hidden = {c for c in safe if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert hidden <= set("\u200c\u200d")
    assert safe.upper().partition(".")[0] not in ("CON", "NUL", "COM1")


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (Part(section="2", content_type="text/csv", encoding="7bit", filename="a.csv"), "a.csv"),
        (Part(section="2.1", content_type="image/png", encoding="7bit"), "part-2.1.png"),
        (Part(section="1", content_type="x/y", encoding="7bit", filename=".."), "part-1.bin"),
    ],
)
def test_names_of_parts(part: Part, name: str) -> None:
    """A part without a usable name is named by its section and type."""
    assert attachment_name(part) == name


@pytest.mark.parametrize(
    ("names", "unique"),
    [
        (["a.csv", "b.csv"], ["a.csv", "b.csv"]),
        (["a.csv", "a.csv", "a.csv"], ["a.csv", "a-2.csv", "a-3.csv"]),
        (["a.csv", "A.CSV"], ["a.csv", "A-2.CSV"]),
        (["a.csv", "a-2.csv", "a.csv"], ["a.csv", "a-2.csv", "a-3.csv"]),
        (["\ufb01.csv", "fi.csv"], ["\ufb01.csv", "fi-2.csv"]),
        (["a", "a"], ["a", "a-2"]),
        ([], []),
    ],
)
def test_names_of_one_message_differ(names: list[str], unique: list[str]) -> None:
    """Equal names, also by case or form, get numbers before their extension."""
    assert unique_names(names) == unique


@given(st.lists(st.sampled_from(["a", "A", "a-2", "a-2-2", "n" * 180, "N" * 180 + ".csv"])))
def test_names_of_one_message_never_meet(names: list[str]) -> None:
    """No two are equal without regard to case, none is too long, and the order is kept."""
    names = [safe_base_name(name, fallback="x") for name in names]
    unique = unique_names(names)
    assert len({name.casefold() for name in unique}) == len(names)
    assert all(len(name.encode()) <= MAX_NAME_BYTES for name in unique)
    assert [name[0] for name in unique] == [name[0] for name in names]
