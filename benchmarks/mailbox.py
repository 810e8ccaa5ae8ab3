# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The mailbox of the benchmarks: a Maildir of well-formed mail, the same for the same seed.

Sizes follow a real one: 5 % are below 6.7 KB, half below 21 KB, 95 % below 39 KB, and 43 of 9,800
have 1.4 to 13 MB. About 2,650 CSV attachments, each with a name of its own, are among them.

``python -m benchmarks.mailbox FOLDER`` writes it and prints what is in it.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import random
from bisect import bisect
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

MESSAGES = 9_800
LARGE_ATTACHMENT_BYTES = 200 * 1024 * 1024
_FACTS = "facts.json"
_START = datetime(2025, 1, 1, tzinfo=timezone.utc)
_QUANTILES = ((0.0, 3_000), (0.05, 6_700), (0.5, 21_000), (0.95, 39_000), (1.0, 60_000))
_LARGE_SHARE = 43 / 9_800
_LARGE_BYTES = (1_400_000, 13_000_000)
_CSV_EVERY = 4  # ... message; each 12th of these has two
_TWO_EVERY = 12
_POOL_BYTES = 4 * 1024 * 1024
_LINE_BYTES = 57  # makes 76 characters of base64
_WORDS = (
    b"the figures of this week are below please tell us when something looks odd as the "
    b"delivery was late again and totals of monday are still missing from our side"
).split()


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxFacts:
    """What a generated mailbox holds; bytes with CRLF line ends, as IMAP counts them."""

    seed: int
    messages: int
    total_bytes: int
    csv_attachments: int
    csv_bytes: int


def generate(folder: Path, *, seed: int = 1, messages: int = MESSAGES) -> MailboxFacts:
    """
    Write the mailbox into ``folder/cur``, if it is not there already.

    Files have LF line ends and their sizes in their names, as Dovecot writes them.
    """
    facts_file = folder / _FACTS
    if facts_file.exists():
        facts = MailboxFacts(**json.loads(facts_file.read_text()))
        if (facts.seed, facts.messages) == (seed, messages):
            return facts
    for name in ("cur", "new", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    writer = _Writer(folder / "cur", seed, messages)
    for number in range(messages):
        writer.write(number)
    facts = MailboxFacts(
        seed=seed,
        messages=messages,
        total_bytes=writer.total_bytes,
        csv_attachments=writer.csv_attachments,
        csv_bytes=writer.csv_bytes,
    )
    facts_file.write_text(json.dumps(asdict(facts)))
    return facts


def write_large_message(
    file: Path, *, attachment_bytes: int = LARGE_ATTACHMENT_BYTES, seed: int = 1
) -> str:
    """
    Write one message with one large attachment, ``large.bin``, piece by piece.

    :return: SHA-256 of the attachment, hexadecimal.
    """
    digest = hashlib.sha256()
    with file.open("wb") as out:
        out.write(_header(0, "Large file", "boundary-large"))
        out.write(b"\n--boundary-large\nContent-Type: text/plain\n\nOne large file.\n")
        out.write(
            b"--boundary-large\n" + _attachment_header(b"application/octet-stream", "large.bin")
        )
        for piece in _random_pieces(attachment_bytes, seed):
            digest.update(piece)
            out.write(base64.encodebytes(piece))
        out.write(b"--boundary-large--\n")
    return digest.hexdigest()


def _random_pieces(size: int, seed: int) -> Iterator[bytes]:
    rng = random.Random(seed)  # noqa: S311 - the same bytes at every run are the point
    piece_bytes = _LINE_BYTES * 18_000
    for start in range(0, size, piece_bytes):
        yield rng.randbytes(min(piece_bytes, size - start))


class _Writer:
    """Writes one message after the other, from pools of random text and bytes."""

    def __init__(self, folder: Path, seed: int, messages: int) -> None:
        self._folder = folder
        self._rng = random.Random(seed)  # noqa: S311 - the same mailbox at every run is the point
        lines = (b" ".join(self._rng.choices(_WORDS, k=11)) + b"\n" for _ in range(20_000))
        self._text = b"".join(lines)
        self._line_starts = [0]
        for line in self._text.splitlines(keepends=True):
            self._line_starts.append(self._line_starts[-1] + len(line))
        self._binary = self._rng.randbytes(_POOL_BYTES)
        rows = (
            b"%d,shop-%d,%d.%02d\n"
            % (
                self._rng.randrange(10**6),
                self._rng.randrange(40),
                self._rng.randrange(10**4),
                cent,
            )
            for cent in self._rng.choices(range(100), k=40_000)
        )
        self._rows = b"".join(rows)
        self._large = set(self._rng.sample(range(messages), round(messages * _LARGE_SHARE)))
        self.total_bytes = 0
        self.csv_attachments = 0
        self.csv_bytes = 0

    def write(self, number: int) -> None:
        """Write message ``number``."""
        large = number in self._large
        parts = self._parts(number, self._large_size() if large else self._size(), large=large)
        boundary = f"boundary-{self._rng.getrandbits(64):016x}"
        raw = _header(number, f"Message {number}", boundary if len(parts) > 1 else None)
        if len(parts) == 1:
            raw += parts[0]
        else:
            delimiter = b"--" + boundary.encode()
            raw += (
                b"\n" + b"".join(delimiter + b"\n" + part for part in parts) + delimiter + b"--\n"
            )
        sent_at = _START + timedelta(minutes=53 * number)
        size = len(raw) + raw.count(b"\n")
        name = f"{int(_START.timestamp()) + number}.M0P1.bench,S={len(raw)},W={size}:2,"
        file = self._folder / name
        file.write_bytes(raw)
        os.utime(file, (sent_at.timestamp(),) * 2)
        self.total_bytes += size

    def _size(self) -> int:
        share = self._rng.random()
        upper = min(bisect([at for at, _ in _QUANTILES], share), len(_QUANTILES) - 1)
        (low_at, low), (high_at, high) = _QUANTILES[upper - 1], _QUANTILES[upper]
        return int(low + (high - low) * (share - low_at) / (high_at - low_at))

    def _large_size(self) -> int:
        low, high = _LARGE_BYTES
        return int(low * (high / low) ** (self._rng.random() ** 1.45))

    def _parts(self, number: int, size: int, *, large: bool) -> list[bytes]:
        if large:
            return [self._text_part(2_000), self._file_part(f"scan-{number:05d}.pdf", size - 2_500)]
        if number % _CSV_EVERY == 0:
            return self._csv_parts(number, size)
        kind = number % 10
        if kind in (1, 3, 5):
            return [self._text_part(size - 300)]
        if kind in (2, 7):
            half = (size - 800) // 2
            return [self._text_part(half), self._text_part(half, subtype=b"html")]
        return [
            self._text_part(size // 4),
            self._file_part(f"file-{number:05d}.pdf", size - size // 4 - 800),
        ]

    def _csv_parts(self, number: int, size: int) -> list[bytes]:
        count = 2 if number // _CSV_EVERY % _TWO_EVERY == 0 else 1
        text_bytes = int(size * 0.24)
        parts = [self._text_part(text_bytes)]
        for index in range(count):
            encoded = max(400, (size - text_bytes - 800) // count)
            content = self._cut(self._rows, encoded * _LINE_BYTES // 77)
            self.csv_attachments += 1
            self.csv_bytes += len(content)
            header = _attachment_header(
                b"text/csv; charset=utf-8", f"report-{number:05d}-{index}.csv"
            )
            parts.append(header + base64.encodebytes(content))
        return parts

    def _text_part(self, size: int, *, subtype: bytes = b"plain") -> bytes:
        # One of the lines' CRLF bytes is not in the file, so a little less is cut.
        text = self._cut(self._text, max(100, int(size * 0.985)))
        return (
            b"Content-Type: text/" + subtype + b"; charset=us-ascii\n"
            b"Content-Transfer-Encoding: 7bit\n\n" + text
        )

    def _file_part(self, filename: str, encoded_bytes: int) -> bytes:
        size = max(100, encoded_bytes * _LINE_BYTES // 78)
        start = self._rng.randrange(len(self._binary) // 2)
        content = (self._binary * (size // _POOL_BYTES + 2))[start : start + size]
        return _attachment_header(b"application/pdf", filename) + base64.encodebytes(content)

    def _cut(self, pool: bytes, size: int) -> bytes:
        """Cut whole lines of about ``size`` bytes out of a pool."""
        start = pool.index(b"\n", self._rng.randrange(len(pool) - size - 200)) + 1
        return pool[start : pool.index(b"\n", start + size) + 1]


def _header(number: int, subject: str, boundary: str | None) -> bytes:
    sent_at = _START + timedelta(minutes=53 * number)
    lines = [
        f"From: Shop {number % 40} <shop-{number % 40}@shop.test>",
        "To: bench@example.test",
        f"Subject: {subject}",
        f"Date: {format_datetime(sent_at)}",
        f"Message-ID: <{number}@bench.shop.test>",
        "MIME-Version: 1.0",
    ]
    if boundary is not None:
        lines.append(f'Content-Type: multipart/mixed; boundary="{boundary}"')
    return "\n".join([*lines, ""]).encode()


def _attachment_header(content_type: bytes, filename: str) -> bytes:
    return (
        b"Content-Type: " + content_type + b"\n"
        b"Content-Transfer-Encoding: base64\n"
        b'Content-Disposition: attachment; filename="' + filename.encode() + b'"\n\n'
    )


def main() -> None:
    """Write the mailbox into the folder that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mailbox")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    options = parser.parse_args()
    print(generate(options.folder, seed=options.seed, messages=options.messages))


if __name__ == "__main__":
    main()
