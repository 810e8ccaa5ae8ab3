# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Mail as it should be, one message a kind."""

from __future__ import annotations

from tests.mailbox.building import attachment, entity, message, multipart
from tests.mailbox.model import Attachment, Mail

CSV = b"day,shop,total\r\n2026-02-01,north,12.50\r\n2026-02-02,south,7.00\r\n"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
)
PDF = b"%PDF-1.4\n1 0 obj <<>> endobj\ntrailer <<>>\n%%EOF\n"

_HELLO = entity(b"Hello,\r\n\r\nthe report is attached.\r\n", "text/plain; charset=us-ascii")
_INNER_CSV = Attachment(filename="inner.csv", content=CSV)
_INNER = message(
    multipart(
        [entity(b"The inner text.\r\n"), attachment("inner.csv", CSV, content_type="text/csv")],
        boundary="=_inner",
    ),
    subject="Inner",
    message_id="<inner@shop.test>",
)


def _with(name: str, *parts: bytes, attachments: tuple[Attachment, ...] = ()) -> Mail:
    raw = message(multipart([_HELLO, *parts]), subject=name, message_id=f"<{name}@shop.test>")
    return Mail(name=name, raw=raw, attachments=attachments)


def _named(name: str, filename: str, parameter: str) -> Mail:
    part = attachment("", CSV, content_type="text/csv", parameter=parameter)
    return _with(name, part, attachments=(Attachment(filename=filename, content=CSV),))


def _alone(name: str, content: bytes, *attachments: Attachment) -> Mail:
    raw = message(content, subject=name, message_id=f"<{name}@shop.test>")
    return Mail(name=name, raw=raw, attachments=attachments)


_REPORT = Attachment(filename="report.csv", content=CSV)
_CSV_PART = attachment("report.csv", CSV, content_type="text/csv; charset=utf-8")
_ALTERNATIVE = multipart(
    [
        entity("Gr\u00fc\u00dfe aus K\u00f6ln\r\n".encode(), encoding="quoted-printable"),
        entity(b"<p>Gr\xc3\xbc\xc3\x9fe</p>\r\n", "text/html; charset=utf-8", encoding="base64"),
    ],
    subtype="alternative",
    boundary="=_alternative",
)

WELL_FORMED: tuple[Mail, ...] = (
    _alone("plain-text", entity(b"Hello,\r\nnothing attached.\r\n")),
    _alone("no-mime-header", b"\r\nJust a body.\r\n"),
    _alone("empty-body", entity(b"")),
    _alone("text-and-html", _ALTERNATIVE),
    _alone(
        "latin-1-body",
        entity(
            "caf\u00e9 \u20ac".encode("cp1252"), "text/plain; charset=iso-8859-1", encoding="8bit"
        ),
    ),
    _alone(
        "latin-1-quoted-printable",
        entity(
            "caf\u00e9\r\n".encode("latin-1"),
            "text/plain; charset=ISO-8859-1",
            encoding="quoted-printable",
        ),
    ),
    _alone("single-part-attachment", _CSV_PART, _REPORT),
    _with("csv-attachment", _CSV_PART, attachments=(_REPORT,)),
    _with(
        "two-attachments",
        _CSV_PART,
        attachment("scan.pdf", PDF, content_type="application/pdf"),
        attachments=(_REPORT, Attachment(filename="scan.pdf", content=PDF)),
    ),
    _with(
        "empty-attachment",
        attachment("empty.csv", b"", content_type="text/csv"),
        attachments=(Attachment(filename="empty.csv", content=b""),),
    ),
    _with(
        "name-only-in-content-type",
        entity(CSV, 'text/csv; name="sales.csv"', encoding="base64"),
        attachments=(Attachment(filename="sales.csv", content=CSV),),
    ),
    _named("quoted-pairs-in-name", 'a "b".csv', 'filename="a \\"b\\".csv"'),
    _named("token-name", "plain.csv", "filename=plain.csv"),
    _named("rfc2047-name", "Umsatz M\u00e4rz.csv", 'filename="=?utf-8?Q?Umsatz_M=C3=A4rz.csv?="'),
    _named("rfc2047-base64-name", "\u58f2\u4e0a.csv", 'filename="=?utf-8?B?5aOy5LiKLmNzdg==?="'),
    _named("rfc2231-name", "Umsatz M\u00e4rz.csv", "filename*=utf-8'de'Umsatz%20M%C3%A4rz.csv"),
    _named(
        "rfc2231-continued-name",
        "a very long name of a report.csv",
        'filename*0="a very long name"; filename*1=" of a report.csv"',
    ),
    _named(
        "rfc2231-continued-encoded-name",
        "Z\u00fcrich und Gen\u00e8ve.csv",
        "filename*0*=iso-8859-1''Z%FCrich%20und; filename*1*=%20Gen%E8ve.csv",
    ),
    _named("folded-parameter", "folded.csv", 'size=90;\r\n\tfilename="folded.csv"'),
    _with(
        "inline-image",
        multipart(
            [
                entity(b'<img src="cid:logo@shop">\r\n', "text/html; charset=utf-8"),
                entity(
                    PNG,
                    "image/png",
                    encoding="base64",
                    disposition='inline; filename="logo.png"',
                    headers=["Content-ID: <logo@shop>"],
                ),
            ],
            subtype="related",
            boundary="=_related",
        ),
        attachments=(Attachment(filename="logo.png", content=PNG),),
    ),
    _with(
        "nested-message",
        entity(_INNER, "message/rfc822", disposition="attachment; filename=inner.eml"),
        attachments=(Attachment(filename="inner.eml", content=_INNER), _INNER_CSV),
    ),
    _with(
        "nested-message-without-name",
        entity(_INNER, "message/rfc822"),
        attachments=(_INNER_CSV,),
    ),
    _with(
        "deep-but-fine",
        multipart([_ALTERNATIVE, multipart([_CSV_PART], boundary="=_c")], boundary="=_b"),
        attachments=(_REPORT,),
    ),
    _alone(
        "preamble-and-epilogue",
        multipart([_HELLO, _CSV_PART]).replace(b"\r\n\r\n", b"\r\n\r\nA preamble.\r\n", 1)
        + b"An epilogue.\r\n",
        _REPORT,
    ),
    _alone(
        "digest",
        multipart(
            [
                b"\r\n" + message(entity(b"one\r\n"), subject="One"),
                b"\r\n" + message(entity(b"two\r\n"), subject="Two"),
            ],
            subtype="digest",
        ),
    ),
    Mail(
        name="many-addresses",
        raw=message(
            entity(b"Hi\r\n"),
            subject="=?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?Q?_an_alle?=",
            sender='"Doe, Jane" <jane@shop.test>',
            recipient="alice@example.test, Bob B <bob@example.test>,\r\n\tcarol@shop.test (Carol)",
            headers=[
                "Cc: friends: dave@example.test, erin@example.test;",
                "Reply-To: answers@shop.test",
                "Sender: robot@shop.test",
                "In-Reply-To: <0@shop.test>",
                "References: <0@shop.test>",
            ],
        ),
    ),
)
