# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Mail as it also comes, one message a fault: it must be read as far as it can, or set aside."""

from __future__ import annotations

from tests.mailbox.building import attachment, crlf, entity, message, multipart
from tests.mailbox.model import Attachment, Mail
from tests.mailbox.well_formed import CSV, PNG

_HELLO = entity(b"See the file.\r\n", "text/plain; charset=us-ascii")
_DEPTH = 2000


def _mail(name: str, content: bytes, **header: str) -> Mail:
    return Mail(name=name, raw=message(content, message_id=f"<{name}@shop.test>", **header))


def _with(name: str, *parts: bytes) -> Mail:
    return _mail(name, multipart([_HELLO, *parts]))


def _named(name: str, *parameters: str) -> Mail:
    parts = [
        attachment("", CSV + b"%d\r\n" % number, content_type="text/csv", parameter=parameter)
        for number, parameter in enumerate(parameters)
    ]
    return _with(name, *parts)


def _charset(name: str) -> bytes:
    return entity(
        "\u0438\u0442\u043e\u0433: caf\u00e9\r\n".encode(),
        f"text/plain; charset={name}",
        encoding="8bit",
    )


def _nested_multiparts() -> bytes:
    head = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (level, level)
        for level in range(_DEPTH)
    )
    return head + _HELLO


def _nested_messages() -> bytes:
    one = b"Content-Type: message/rfc822\r\n\r\nSubject: again\r\n"
    return one * _DEPTH + _HELLO


_BASE64_CSV = attachment("report.csv", CSV * 20, content_type="text/csv")

BROKEN: tuple[Mail, ...] = (
    _mail("unknown-charset", _charset("x-no-such-charset")),
    _mail("charset-that-is-no-text-codec", _charset("rot13")),
    _mail("charset-that-raises", _charset("idna")),
    _mail("empty-charset", _charset('""')),
    _with("base64-cut-short", _BASE64_CSV[:-31]),
    _with("base64-with-garbage", _BASE64_CSV.replace(b"\r\nZ", b"\r\n*!\x80 Z", 2) + b"=trailing"),
    _with(
        "base64-of-nothing-but-garbage",
        entity(b"", disposition="attachment; filename=x.csv").replace(b"7bit", b"base64")
        + b"\xff\xfe#",
    ),
    _with(
        "quoted-printable-broken",
        entity(b"", encoding="quoted-printable", disposition="attachment; filename=x.txt")
        + b"bad =ZZ and =C3\xc3 and =\r\nend =",
    ),
    _with(
        "unknown-encoding",
        entity(CSV, "text/csv", encoding="x-secret", disposition="attachment; filename=x.csv"),
    ),
    _mail(
        "boundary-not-declared",
        multipart([_HELLO, _BASE64_CSV]).replace(b'; boundary="=_outer"', b"", 1),
    ),
    _mail("boundary-never-used", multipart([_HELLO]).replace(b"--=_outer", b"--=_other")),
    _mail("boundary-not-closed", multipart([_HELLO, _BASE64_CSV]).rpartition(b"--=_outer--")[0]),
    _mail("no-parts", multipart([])),
    _mail("nul-in-header", _HELLO, subject="re\0port", sender="a\0b <x@shop.test>"),
    _with("nul-in-body", entity(b"a\0b\r\n", disposition="attachment; filename=nul.txt")),
    _named("nul-in-name", 'filename="re\0port.csv"'),
    _named("name-of-400-characters", f'filename="{"n" * 396}.csv"'),
    _named("name-of-400-wide-characters", "filename*=utf-8''" + "%E5%A3%B2" * 396 + ".csv"),
    _named(
        "names-with-paths",
        'filename="../../../etc/passwd"',
        'filename="/etc/cron.d/job"',
        r'filename="C:\\Windows\\system.ini"',
        r'filename="..\\..\\up.csv"',
        "filename*=utf-8''..%2F..%2Fescape.csv",
        'filename="=?utf-8?Q?..=2Fencoded.csv?="',
        'filename=".."',
        'filename="."',
    ),
    _named(
        "same-name-twice", 'filename="report.csv"', 'filename="report.csv"', 'filename="REPORT.csv"'
    ),
    _named("empty-name", 'filename=""', 'filename="   "', "filename="),
    _named("name-with-line-ends", "filename*=utf-8''a%0D%0AX-Injected:%20yes.csv"),
    _named("device-names", 'filename="CON"', 'filename="aux.csv"', 'filename="a:b|c?.csv"'),
    _named("name-turned-around", "filename*=utf-8''invoice%E2%80%AEfdp.exe"),
    _named("encoded-name-cut-short", 'filename="=?utf-8?B?QUJDR?="', 'filename="=?utf-8?Q?a=C3?="'),
    _named(
        "encoded-words-in-continuations",
        'filename*0="=?UTF-8?Q?a=F0=9F?="; filename*1=" =?UTF-8?Q?=98=81.docx?="',
    ),
    _named(
        "continuations-that-contradict",
        "filename*0*=UTF-8''a; filename*=UTF-8''b",
        f"filename*{'9' * 5000}=x.csv",
        "filename*1=late.csv",
        "filename*=no-quotes.csv",
        "filename*=no-such-charset''x%E9.csv",
    ),
    _named("name-not-closed", 'filename="open.csv'),
    Mail(name="no-headers", raw=crlf(b"just words\nand more words\n")),
    Mail(name="headers-only", raw=b"Subject: nothing else\r\nFrom: x@shop.test\r\n"),
    Mail(name="empty-message", raw=b""),
    Mail(name="starts-with-an-empty-line", raw=b"\r\nSubject: not a header\r\n\r\nbody\r\n"),
    _mail(
        "eight-bit-header",
        _HELLO,
        subject="caf\udce9 r\udce9sum\udce9",
        sender="Ren\udce9 <rene@shop.test>",
    ),
    _named("eight-bit-name", 'filename="r\udce9sum\udce9.csv"', 'filename="\u58f2\u4e0a.csv"'),
    _mail("header-line-without-colon", _HELLO, subject="x\r\nthis is no header"),
    _mail("header-of-100-kilobytes", _HELLO, subject="s" * 100_000),
    _mail("encoded-subject-cut-short", _HELLO, subject="=?utf-8?B?QUJDR?="),
    _mail("subject-with-control-characters", _HELLO, subject="a\x1b[31mb\x07c\x7f"),
    _mail("odd-date", _HELLO, date="2002/09/14 Sat 13:06:03 GMT"),
    _mail("year-100", _HELLO, date="Mon, 1 Jan 100 00:00:00 +0000"),
    _mail("odd-addresses", _HELLO, sender=',,"', recipient="<>, undisclosed-recipients:;, @x, a@"),
    _mail("content-type-of-nonsense", entity(b"text\r\n", "???")),
    _mail("content-type-without-subtype", entity(b"text\r\n", "text")),
    _mail("bare-line-feeds", multipart([_HELLO, _BASE64_CSV]).replace(b"\r\n", b"\n")),
    _mail("multiparts-nested-too-deep", _nested_multiparts()),
    _mail("messages-nested-too-deep", _nested_messages()),
    _with("parts-by-the-thousand", *[b"\r\n"] * 3000),
    _with(
        "image-without-name",
        entity(PNG, "image/png", encoding="base64", headers=["Content-ID: <only@shop>"]),
    ),
    _with(
        "winmail",
        attachment("winmail.dat", b"\x78\x9f\x3e\x22\x00", content_type="application/ms-tnef"),
    ),
    Mail(
        name="good-attachment-beside-a-broken-one",
        raw=message(multipart([_HELLO, _BASE64_CSV[:-31], attachment("good.csv", CSV)])),
        attachments=(Attachment(filename="good.csv", content=CSV),),
    ),
)
