# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Bytes to text, whatever charset a sender claims; nothing here raises."""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

# Python's codec registry also holds codecs that are no charsets (rot13, base64, idna, undefined):
# calling those on a sender's bytes raises or changes them. Only these are called.
_TEXT_CODEC = re.compile(
    r"ascii|utf-8(-sig)?|utf-7|utf-16(-[bl]e)?|utf-32(-[bl]e)?|iso8859-\d+|cp\d+|koi8-[rtu]"
    r"|mac-[a-z]+|gb2312|gbk|gb18030|hz|big5|big5hkscs|euc_\w+|shift_jis\w*|iso2022_\w+|johab"
    r"|tis-620|ptcp154|kz1048|hp-roman8"
)

# Labels that mail bears and Python does not know, and the codec that reads them.
_ALIASES = {
    "x-gbk": "gb18030",
    "x-sjis": "cp932",
    "x-euc-jp": "euc_jp",
    "x-big5": "big5hkscs",
    "x-mac-roman": "mac-roman",
    "x-windows-949": "cp949",
    "ks_c_5601-1987": "cp949",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "iso-8859-6-i": "iso8859-6",
    "iso-8859-6-e": "iso8859-6",
}
_NUMBERED = re.compile(r"(?:windows|dos|ibm|cp|x-cp)[-_ ]?(\d{3,5})")

# Labels whose superset is what senders really write.
_SUPERSETS = {"gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949", "shift_jis": "cp932"}
_LONGEST_LABEL = 64


def decode_text(raw: bytes, charset: str | None) -> tuple[str, str]:
    """
    Decode as the sender says where that works, else as UTF-8, else as well as possible.

    :param charset: The declared charset, or None.
    :return: The text, and the charset that was used.
    """
    label = (charset or "").strip().lower()
    declared = _text_codec(label)
    for codec in (declared, "utf-8", _alias(label)):
        if codec is not None:
            try:
                return raw.decode(codec), codec
            except UnicodeError:
                continue
    if declared is not None and declared != "ascii":
        try:
            return raw.decode(declared, "replace"), declared
        except UnicodeError:  # a few codecs raise even then
            pass
    return raw.decode("latin-1"), "latin-1"


@lru_cache(maxsize=256)
def _text_codec(label: str) -> str | None:
    if not label or len(label) > _LONGEST_LABEL or not label.isascii():
        return None
    try:
        name = codecs.lookup(label).name
    except (LookupError, ValueError):
        return None
    return _SUPERSETS.get(name, name) if _TEXT_CODEC.fullmatch(name) else None


@lru_cache(maxsize=256)
def _alias(label: str) -> str | None:
    numbered = _NUMBERED.fullmatch(label)
    return _text_codec(f"cp{numbered[1]}") if numbered else _ALIASES.get(label)
