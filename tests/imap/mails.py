# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Small messages for the tests of the session."""

from __future__ import annotations

import random

from tests.mailbox.building import attachment, entity, message, multipart


def note(subject: str = "note") -> bytes:
    """Return a message of one part, with its subject as it is."""
    return f"Subject: {subject}\r\nFrom: Ann <ann@shop.test>\r\n\r\nbody\r\n".encode()


def random_bytes(size: int, seed: int = 1) -> bytes:
    """Return bytes, the same at every run."""
    return random.Random(seed).randbytes(size)  # noqa: S311  # as said


def with_file(file: bytes) -> bytes:
    """Return a message whose part 2 is a file in base64."""
    return message(multipart([entity(b"text\r\n"), attachment("file.bin", file)]))
