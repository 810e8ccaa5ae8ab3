# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Header fields of a record, from a raw header block; nothing a sender writes raises here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from airflow_imap_oauth.imap.addresses import MailAddress, parse_addresses
from airflow_imap_oauth.imap.encoded_words import decode_words

#: The fields that :meth:`~airflow_imap_oauth.imap.model.MailSession.fetch_metadata` asks for.
RECORD_FIELDS = (
    "Date",
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Subject",
    "Message-ID",
    "In-Reply-To",
    "References",
)

_FIRST_YEAR = 1970  # earlier ones are broken clocks, and many stores cannot hold them
_LAST_YEAR = 9998  # conversion to UTC must not leave the calendar


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordHeaders:
    """
    Decoded header fields. Missing text is None, missing lists are empty.

    :param date_header: The Date field as sent; kept even where ``date_at`` is None.
    :param date_at: Aware UTC; None where the field cannot be read or lies before 1970. The sender
        made it: it may be wrong.
    """

    date_header: str | None = None
    date_at: datetime | None = None
    from_addresses: tuple[MailAddress, ...] = ()
    sender_addresses: tuple[MailAddress, ...] = ()
    reply_to_addresses: tuple[MailAddress, ...] = ()
    to_addresses: tuple[MailAddress, ...] = ()
    cc_addresses: tuple[MailAddress, ...] = ()
    subject: str | None = None
    message_id: str | None = None
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()


def read_headers(block: bytes | None) -> RecordHeaders:
    """
    Decode the fields of :data:`RECORD_FIELDS`.

    :param block: Raw header block, as in ``MessageMetadata.headers``; None is an empty one.
    """
    fields = header_fields(block or b"")

    def addresses(name: str) -> tuple[MailAddress, ...]:
        return parse_addresses(b",".join(fields.get(name, ())))

    def text(name: str) -> str | None:
        values = fields.get(name)
        return decode_words(values[0]) if values else None

    date_header = text("date")
    return RecordHeaders(
        date_header=date_header,
        date_at=parse_date(date_header) if date_header else None,
        from_addresses=addresses("from"),
        sender_addresses=addresses("sender"),
        reply_to_addresses=addresses("reply-to"),
        to_addresses=addresses("to"),
        cc_addresses=addresses("cc"),
        subject=text("subject"),
        message_id=text("message-id"),
        in_reply_to=text("in-reply-to"),
        references=tuple((text("references") or "").split()),
    )


def header_fields(block: bytes) -> dict[str, list[bytes]]:
    """
    Split a header block; folded values are unfolded, lines that are no field are dropped.

    :return: Raw values in order, by lower-case field name.
    """
    fields: dict[str, list[bytes]] = {}
    name, lines = "", [b""]
    for line in block.replace(b"\r\n", b"\n").split(b"\n"):
        if line[:1] in {b" ", b"\t"} and name:
            lines.append(line)
            continue
        _add(fields, name, lines)
        key, colon, value = line.partition(b":")
        name = key.strip().lower().decode("latin-1") if colon else ""
        lines = [value]
    _add(fields, name, lines)
    return fields


def _add(fields: dict[str, list[bytes]], name: str, lines: list[bytes]) -> None:
    if name:
        fields.setdefault(name, []).append(b"".join(lines).strip())


def parse_date(text: str) -> datetime | None:
    """
    Read a date of RFC 5322.

    :return: Aware UTC (without a zone it is taken as UTC), or None.
    """
    try:
        parsed = parsedate_to_datetime(text[:200])
        if not _FIRST_YEAR <= parsed.year <= _LAST_YEAR:
            return None
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=timezone.utc)
        return parsed.astimezone(timezone.utc)
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None  # the parser of the standard library answers odd dates with any of these
