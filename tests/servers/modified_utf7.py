# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Mail folder names on the wire: modified UTF-7 (RFC 3501 section 5.1.3)."""

from __future__ import annotations

import binascii


def encode(name: str) -> str:
    """Encode a folder name; the result is printable ASCII."""
    out: list[str] = []
    run: list[str] = []
    for character in [*name, ""]:
        if character and not " " <= character <= "~":
            run.append(character)
            continue
        if run:
            packed = binascii.b2a_base64("".join(run).encode("utf-16-be"), newline=False)
            out.append("&" + packed.decode("ascii").rstrip("=").replace("/", ",") + "-")
            run.clear()
        out.append("&-" if character == "&" else character)
    return "".join(out)


def decode(text: str) -> str:
    """
    Decode a folder name.

    :raises ValueError: It is not modified UTF-7.
    """
    head, *pieces = text.split("&")
    out = [head]
    for piece in pieces:
        shifted, dash, rest = piece.partition("-")
        if not dash:
            raise ValueError(f"an open shift in {text!r}")
        if shifted:
            packed = shifted.replace(",", "/") + "=" * (-len(shifted) % 4)
            out.append(binascii.a2b_base64(packed).decode("utf-16-be"))
        else:
            out.append("&")
        out.append(rest)
    return "".join(out)
