# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Commands on folders: LIST, STATUS, SELECT, EXAMINE, APPEND, IDLE and the like."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from tests.servers import modified_utf7
from tests.servers.embedded.grammar import CommandError, Reader
from tests.servers.embedded.selected import RefusedError, Selected
from tests.servers.embedded.store import DELIMITER, Folder, pattern_matches
from tests.servers.embedded.structure import nstring

if TYPE_CHECKING:
    from tests.servers.embedded.session import Session

_FLAGS = rb"\Answered \Flagged \Deleted \Seen \Draft"
_STATUS_ITEMS: dict[str, Callable[[Folder], int]] = {
    "MESSAGES": lambda folder: len(folder.messages),
    "RECENT": lambda _: 0,
    "UIDNEXT": lambda folder: folder.uidnext,
    "UIDVALIDITY": lambda folder: folder.uidvalidity,
    "UNSEEN": lambda folder: sum("\\Seen" not in one.flags for one in folder.messages),
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE_TIME = re.compile(r" ?(\d{1,2})-([A-Za-z]{3})-(\d{4} \d\d:\d\d:\d\d [-+]\d{4})")


def _name(reader: Reader) -> str:
    reader.space()
    try:
        return modified_utf7.decode(reader.astring().decode("ascii"))
    except ValueError:
        raise RefusedError("[CANNOT] Mailbox name is not valid modified UTF-7.") from None


def _existing(session: Session, name: str) -> Folder:
    folder = session.server.store.folder(session.account(), name)
    if folder is None:
        shown = modified_utf7.encode(name)
        raise RefusedError(f"[NONEXISTENT] Mailbox doesn't exist: {shown}")
    return folder


def _list(session: Session, reader: Reader) -> None:
    reader.space()
    reference = reader.astring().decode("latin-1")
    reader.space()
    pattern = reader.list_pattern().decode("latin-1")
    reader.end()
    if not pattern:
        session.untagged(rb'LIST (\Noselect) "/" ""')
    else:
        existing = set(session.server.store.folders(session.account()))
        shown = existing | {parent for name in existing for parent in _parents(name)}
        try:
            wanted = modified_utf7.decode(reference + pattern)
        except ValueError:
            wanted = reference + pattern
        for name in sorted(shown):
            if pattern_matches(wanted, name):
                children = any(other.startswith(name + DELIMITER) for other in shown)
                attributes = [] if name in existing else [rb"\Noselect"]
                attributes.append(rb"\HasChildren" if children else rb"\HasNoChildren")
                written = nstring(modified_utf7.encode(name).encode())
                session.untagged(b'LIST (%b) "/" %b' % (b" ".join(attributes), written))
    session.done("List completed.")


def _parents(name: str) -> list[str]:
    pieces = name.split(DELIMITER)
    return [DELIMITER.join(pieces[:count]) for count in range(1, len(pieces))]


def _create(session: Session, reader: Reader) -> None:
    name = _name(reader)
    reader.end()
    if session.server.store.folder(session.account(), name) is not None:
        raise RefusedError("[ALREADYEXISTS] Mailbox already exists")
    session.server.store.create(session.account(), name)
    session.done("Create completed.")


def _status(session: Session, reader: Reader) -> None:
    name = _name(reader)
    reader.space()
    items = [item.upper() for item in reader.flags()]
    reader.end()
    folder = _existing(session, name)
    unknown = [item for item in items if item not in _STATUS_ITEMS]
    if unknown:
        raise CommandError(f"Unknown status item {unknown[0]}")
    with session.server.store.lock:
        values = " ".join(f"{item} {_STATUS_ITEMS[item](folder)}" for item in items)
    written = nstring(modified_utf7.encode(name).encode())
    session.untagged(b"STATUS %b (%b)" % (written, values.encode()))
    session.done("Status completed.")


def _select(session: Session, reader: Reader) -> None:
    _open(session, reader, read_only=False)


def _examine(session: Session, reader: Reader) -> None:
    _open(session, reader, read_only=True)


def _open(session: Session, reader: Reader, *, read_only: bool) -> None:
    session.selected = None
    name = _name(reader)
    reader.end()
    folder = _existing(session, name)
    with session.server.store.lock:
        selected = Selected.open(folder, read_only=read_only)
        numbers = len(selected.uids), folder.uidvalidity, folder.uidnext
    session.selected = selected
    session.untagged(b"FLAGS (%b)" % _FLAGS)
    permanent = b"" if read_only else _FLAGS + rb" \*"
    session.untagged(b"OK [PERMANENTFLAGS (%b)] Flags permitted." % permanent)
    session.untagged(b"%d EXISTS" % numbers[0])
    session.untagged(b"0 RECENT")
    session.untagged(b"OK [UIDVALIDITY %d] UIDs valid" % numbers[1])
    session.untagged(b"OK [UIDNEXT %d] Predicted next UID" % numbers[2])
    session.done(
        "[READ-ONLY] Examine completed." if read_only else "[READ-WRITE] Select completed."
    )


def _unselect(session: Session, reader: Reader) -> None:
    reader.end()
    session.open_folder()
    session.selected = None
    session.done("Unselect completed.")


def _close(session: Session, reader: Reader) -> None:
    reader.end()
    selected = session.open_folder()
    if not selected.read_only:
        with session.server.store.lock:
            deleted = [one.uid for one in selected.folder.messages if "\\Deleted" in one.flags]
        session.server.store.expunge(selected.folder, deleted)
    session.selected = None
    session.done("Close completed.")


def _append(session: Session, reader: Reader) -> None:
    name = _name(reader)
    reader.space()
    flags: list[str] = []
    if reader.peek() == b"(":
        flags = reader.flags()
        reader.space()
    internaldate = None
    if reader.peek() == b'"':
        internaldate = _date_time(reader.astring().decode("latin-1"))
        reader.space()
    if reader.peek() != b"{":
        raise CommandError("Expected a literal")
    raw = reader.astring()
    reader.end()
    store = session.server.store
    folder = store.folder(session.account(), name)
    if folder is None:
        raise RefusedError("[TRYCREATE] Mailbox doesn't exist")
    message = store.append(session.account(), name, raw, internaldate=internaldate, flags=flags)
    session.report_changes()
    session.done(f"[APPENDUID {folder.uidvalidity} {message.uid}] Append completed.")


def _date_time(text: str) -> datetime:
    match = _DATE_TIME.fullmatch(text)
    if match is None or match[2].title() not in _MONTHS:
        raise CommandError("Invalid date-time")
    month = _MONTHS.index(match[2].title()) + 1
    try:
        return datetime.strptime(f"{match[1]} {month} {match[3]}", "%d %m %Y %H:%M:%S %z")
    except ValueError:
        raise CommandError("Invalid date-time") from None


def _idle(session: Session, reader: Reader) -> None:
    reader.end()
    session.account()
    store = session.server.store
    store.watch(session.wire.wake)
    try:
        session.continuation(b"idling")
        session.report_changes()
        while not session.wire.has_input():
            session.report_changes()
        line = session.wire.read_line()
    finally:
        store.unwatch(session.wire.wake)
    if line.upper() != b"DONE":
        raise CommandError("Expected DONE")
    session.report_changes()
    session.done("Idle completed.")


COMMANDS: dict[str, Callable[[Session, Reader], None]] = {
    "LIST": _list,
    "CREATE": _create,
    "STATUS": _status,
    "SELECT": _select,
    "EXAMINE": _examine,
    "UNSELECT": _unselect,
    "CLOSE": _close,
    "APPEND": _append,
    "IDLE": _idle,
}
