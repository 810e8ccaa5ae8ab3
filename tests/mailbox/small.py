# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A made-up mailbox: what a shop's reporting address may look like."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

from tests.mailbox.building import attachment, entity, message, multipart
from tests.mailbox.well_formed import PDF, PNG

_START = datetime(2026, 1, 5, 6, 30, tzinfo=timezone.utc)
_SHOPS = ("north", "south", "harbour", "station", "airport")
_WORDS = tuple(
    re.findall(
        r"\w+",
        "please find the figures of this week below and tell us when something looks odd "
        "the delivery was late again so the totals of monday are still missing",
    )
)


def small_mailbox(count: int = 12, *, seed: int = 1) -> list[bytes]:
    """
    Make up ``count`` well-formed messages, the same for the same seed.

    Kinds come in turn: plain text, a CSV report, HTML with a logo, a PDF with an encoded name, a
    forwarded report, Latin-1 text, two reports at once.
    """
    rng = random.Random(seed)  # noqa: S311 - the same mailbox at every run is the point
    return [_MAKERS[number % len(_MAKERS)](rng, number) for number in range(count)]


def _text(rng: random.Random) -> bytes:
    lines = (" ".join(rng.choices(_WORDS, k=rng.randint(5, 11))) for _ in range(rng.randint(2, 6)))
    return "\r\n".join([*lines, ""]).encode()


def _csv(rng: random.Random) -> bytes:
    rows = [
        f"{rng.choice(_SHOPS)},{rng.randint(1, 99)},{rng.randint(100, 99999) / 100:.2f}"
        for _ in range(rng.randint(3, 40))
    ]
    return "\r\n".join(["shop,items,total", *rows, ""]).encode()


def _report(rng: random.Random, number: int) -> bytes:
    name = f"report-{number:04d}-{rng.choice(_SHOPS)}.csv"
    return attachment(name, _csv(rng), content_type="text/csv; charset=utf-8")


def _around(content: bytes, rng: random.Random, number: int, subject: str) -> bytes:
    shop = rng.choice(_SHOPS)
    return message(
        content,
        subject=f"{subject} {number}",
        sender=f"Shop {shop.title()} <{shop}@shop.test>",
        date=format_datetime(_START + timedelta(hours=7 * number)),
        message_id=f"<{number}.{rng.getrandbits(48):x}@shop.test>",
    )


def _plain(rng: random.Random, number: int) -> bytes:
    return _around(entity(_text(rng)), rng, number, "Note")


def _with_report(rng: random.Random, number: int) -> bytes:
    parts = [entity(_text(rng)), _report(rng, number)]
    return _around(multipart(parts), rng, number, "Daily report")


def _with_logo(rng: random.Random, number: int) -> bytes:
    html = b"<p>" + _text(rng) + b'</p><img src="cid:logo@shop">\r\n'
    logo = entity(
        PNG,
        "image/png",
        encoding="base64",
        disposition='inline; filename="logo.png"',
        headers=["Content-ID: <logo@shop>"],
    )
    related = multipart(
        [entity(html, "text/html; charset=utf-8", encoding="quoted-printable"), logo],
        subtype="related",
        boundary="=_related",
    )
    parts = [entity(_text(rng)), related]
    return _around(multipart(parts, subtype="alternative"), rng, number, "Newsletter")


def _with_pdf(rng: random.Random, number: int) -> bytes:
    name = f"filename*=utf-8''Rechnung%20M%C3%A4rz%20{number}.pdf"
    parts = [
        entity(_text(rng)),
        attachment("", PDF, content_type="application/pdf", parameter=name),
    ]
    return _around(multipart(parts), rng, number, "=?utf-8?Q?Rechnung_M=C3=A4rz?=")


def _forwarded(rng: random.Random, number: int) -> bytes:
    inner = multipart([entity(_text(rng)), _report(rng, number)], boundary="=_inner")
    inner = _around(inner, rng, number, "Daily report")
    parts = [entity(_text(rng)), entity(inner, "message/rfc822")]
    return _around(multipart(parts), rng, number, "Fwd: Daily report")


def _latin1(rng: random.Random, number: int) -> bytes:
    body = _text(rng) + "Gr\u00fc\u00dfe, Ren\u00e9\r\n".encode("latin-1")
    content = entity(body, "text/plain; charset=iso-8859-1", encoding="quoted-printable")
    return _around(content, rng, number, "=?iso-8859-1?Q?Gr=FC=DFe?=")


def _two_reports(rng: random.Random, number: int) -> bytes:
    parts = [entity(_text(rng)), _report(rng, number), _report(rng, number + 5000)]
    return _around(multipart(parts), rng, number, "Weekly reports")


_MAKERS: tuple[Callable[[random.Random, int], bytes], ...] = (
    _with_report,
    _plain,
    _with_logo,
    _with_pdf,
    _forwarded,
    _latin1,
    _two_reports,
)
