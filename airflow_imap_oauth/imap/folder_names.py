# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Mail-folder names in the modified UTF-7 of RFC 3501 section 5.1.3."""

from __future__ import annotations

import binascii
import re

from airflow_imap_oauth.exceptions import ConfigurationError

_SHIFTED = re.compile(r"[^\x20-\x7e]+|&")
_SHIFT = re.compile(rb"&([^-]*)-")


def encode_folder_name(name: str) -> bytes:
    """
    Encode a name: ``L&R Übersicht`` is ``L&-R &ANw-bersicht``.

    :raises ConfigurationError: If it is empty or holds CR, LF, NUL or half a character.
    """
    if not name or any(character in "\r\n\0" for character in name):
        raise ConfigurationError("The name of the mail folder is empty or holds a line break.")
    try:
        return _SHIFTED.sub(_shift, name).encode("ascii")
    except UnicodeEncodeError:
        raise ConfigurationError(
            "The name of the mail folder holds half of a surrogate pair."
        ) from None


def _shift(match: re.Match[str]) -> str:
    if match[0] == "&":
        return "&-"
    encoded = binascii.b2a_base64(match[0].encode("utf-16-be"), newline=False)
    return f"&{encoded.rstrip(b'=').replace(b'/', b',').decode()}-"


def decode_folder_name(raw: bytes) -> str:
    """
    Decode a name; one that is not modified UTF-7 is returned as sent.

    :param raw: As it stands in LIST. Servers also send plain UTF-8, against RFC 3501.
    """
    try:
        if raw.isascii():
            rest = _SHIFT.sub(b"", raw)
            if b"&" not in rest:
                return "".join(_unshifted(raw))
        return raw.decode("utf-8")
    except (ValueError, binascii.Error):
        return raw.decode("latin-1")


def _unshifted(raw: bytes) -> list[str]:
    texts: list[str] = []
    at = 0
    for match in _SHIFT.finditer(raw):
        texts.append(raw[at : match.start()].decode("ascii"))
        at = match.end()
        if not match[1]:
            texts.append("&")
            continue
        base64 = match[1].replace(b",", b"/")
        decoded = binascii.a2b_base64(base64 + b"=" * (-len(base64) % 4))
        texts.append(decoded.decode("utf-16-be"))
    texts.append(raw[at:].decode("ascii"))
    return texts


def quote(name: bytes) -> bytes:
    """Return an IMAP quoted string (RFC 3501 section 4.3)."""
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
