# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""FETCH: the items read, and one message written as its answer (RFC 3501 section 6.4.5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

from tests.servers.embedded.grammar import CommandError, Reader
from tests.servers.embedded.sections import Section, parse_section, resolve
from tests.servers.embedded.store import Message
from tests.servers.embedded.structure import body_structure, envelope

_MACROS = {
    "FAST": ("FLAGS", "INTERNALDATE", "RFC822.SIZE"),
    "ALL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"),
    "FULL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"),
}
_WHOLE = {
    "RFC822": Section((), "", ()),
    "RFC822.HEADER": Section((), "HEADER", ()),
    "RFC822.TEXT": Section((), "TEXT", ()),
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    r"""
    One data item.

    :param section: What it takes of the message's bytes, or None.
    :param partial: Offset and greatest length, or None.
    :param sets_seen: Whether reading it sets ``\Seen``.
    """

    name: str
    section: Section | None = None
    partial: tuple[int, int] | None = None
    sets_seen: bool = False


def parse_items(reader: Reader) -> list[Item]:
    """
    Read the items of a FETCH command.

    :raises CommandError: They cannot be read.
    """
    if not reader.accept(b"("):
        name = reader.item()
        if name in _MACROS:
            return [Item(name=item) for item in _MACROS[name]]
        return [_item(name, reader)]
    items = [_item(reader.item(), reader)]
    while reader.accept(b" "):
        items.append(_item(reader.item(), reader))
    reader.expect(b")")
    return items


def _item(name: str, reader: Reader) -> Item:
    written = reader.section()
    if written is None:
        if name in _WHOLE:
            return Item(name=name, section=_WHOLE[name], sets_seen=name != "RFC822.HEADER")
        if name not in _WRITERS:
            raise CommandError(f"Unknown parameter {name}")
        return Item(name=name)
    if name not in ("BODY", "BODY.PEEK"):
        raise CommandError(f"Unknown parameter {name}")
    try:
        section = parse_section(written)
    except ValueError:
        raise CommandError("Invalid section") from None
    partial = reader.partial()
    if partial is not None and partial[1] == 0:
        raise CommandError("Invalid partial")
    return Item(name="BODY", section=section, partial=partial, sets_seen=name == "BODY")


def write_item(item: Item, message: Message) -> bytes:
    """Return an item of a message: name and value."""
    if item.section is None:
        return item.name.encode() + b" " + _WRITERS[item.name](message)
    # A part that is not there is empty, as with Dovecot; in a literal, 0x80 stands for NUL.
    data = (resolve(message.node, item.section) or b"").replace(b"\0", b"\x80")
    label = item.name if item.name != "BODY" else f"BODY[{item.section}]"
    if item.partial is not None:
        offset, length = item.partial
        label += f"<{offset}>"
        data = data[offset : offset + length]
    return label.encode() + b" {%d}\r\n" % len(data) + data


def write_flags(message: Message) -> bytes:
    """Return the flags as a list."""
    return b"(" + " ".join(sorted(message.flags)).encode() + b")"


def write_date(moment: datetime) -> bytes:
    """Return a date as INTERNALDATE has it, in UTC."""
    at = moment.astimezone(timezone.utc)
    text = f'"{at.day:2d}-{_MONTHS[at.month - 1]}-{at:%Y %H:%M:%S} +0000"'
    return text.encode()


_WRITERS: dict[str, Callable[[Message], bytes]] = {
    "UID": lambda message: b"%d" % message.uid,
    "FLAGS": write_flags,
    "INTERNALDATE": lambda message: write_date(message.internaldate_at),
    "RFC822.SIZE": lambda message: b"%d" % len(message.raw),
    "ENVELOPE": lambda message: envelope(message.node),
    "BODYSTRUCTURE": lambda message: body_structure(message.node),
    "BODY": lambda message: body_structure(message.node, extended=False),
}
