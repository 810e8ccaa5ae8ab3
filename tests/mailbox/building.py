# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Entities and messages put together from their pieces, byte for byte as the caller wants them."""

from __future__ import annotations

import base64
import quopri
from collections.abc import Sequence

CRLF = b"\r\n"
DATE = "Tue, 03 Feb 2026 10:20:30 +0000"


def crlf(data: bytes) -> bytes:
    """Make every line end a CRLF."""
    return data.replace(b"\r\n", b"\n").replace(b"\n", CRLF)


def encode(data: bytes, encoding: str) -> bytes:
    """Apply a Content-Transfer-Encoding."""
    if encoding == "base64":
        return crlf(base64.encodebytes(data))
    if encoding == "quoted-printable":
        return crlf(quopri.encodestring(data))
    return data


def entity(
    body: bytes,
    content_type: str = "text/plain; charset=utf-8",
    *,
    encoding: str = "7bit",
    disposition: str | None = None,
    headers: Sequence[str] = (),
) -> bytes:
    """
    Put one part together: header, empty line, encoded body.

    :param headers: Further lines of the header, as they are.
    """
    lines = [f"Content-Type: {content_type}", f"Content-Transfer-Encoding: {encoding}"]
    if disposition is not None:
        lines.append(f"Content-Disposition: {disposition}")
    head = "\r\n".join([*lines, *headers, "", ""])
    return head.encode("utf-8", "surrogateescape") + encode(body, encoding)


def attachment(
    filename: str,
    content: bytes,
    *,
    content_type: str = "application/octet-stream",
    parameter: str | None = None,
) -> bytes:
    """
    Put an attached file together, in base64.

    :param parameter: The whole parameter of the name as written; None writes a plain one.
    """
    written = parameter or f'filename="{filename}"'
    return entity(content, content_type, encoding="base64", disposition=f"attachment; {written}")


def multipart(
    parts: Sequence[bytes], *, subtype: str = "mixed", boundary: str = "=_outer"
) -> bytes:
    """Put a multipart together."""
    delimiter = b"--" + boundary.encode()
    lines = [f'Content-Type: multipart/{subtype}; boundary="{boundary}"'.encode(), b""]
    for part in parts:
        lines += [delimiter, part]
    return CRLF.join([*lines, delimiter + b"--", b""])


def message(
    content: bytes,
    *,
    subject: str = "Report",
    sender: str = "Reports <reports@shop.test>",
    recipient: str = "alice@example.test",
    date: str = DATE,
    message_id: str = "<1@shop.test>",
    headers: Sequence[str] = (),
) -> bytes:
    """
    Put a message around an entity.

    :param subject: As it stands in the header, encoded words included.
    :param headers: Further lines of the header, as they are.
    """
    lines = [
        f"From: {sender}",
        f"To: {recipient}",
        f"Subject: {subject}",
        f"Date: {date}",
        f"Message-ID: {message_id}",
        *headers,
        "MIME-Version: 1.0",
        "",
    ]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + content
