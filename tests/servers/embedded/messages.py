# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Commands on messages of the open folder: SEARCH, FETCH, STORE, EXPUNGE, with UID and without."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from tests.servers.embedded.fetching import Item, parse_items, write_flags, write_item
from tests.servers.embedded.grammar import CommandError, Reader
from tests.servers.embedded.search import BadCharsetError, Candidate, Numbers, parse_program
from tests.servers.embedded.selected import RefusedError, Selected
from tests.servers.embedded.store import Message

if TYPE_CHECKING:
    from tests.servers.embedded.session import Session


def _search(session: Session, reader: Reader, *, by_uid: bool) -> None:
    selected = session.open_folder()
    reader.space()
    numbers = Numbers(sequence=list(range(1, len(selected.uids) + 1)), uids=selected.uids)
    try:
        test = parse_program(reader, numbers)
    except BadCharsetError:
        raise RefusedError("[BADCHARSET (US-ASCII UTF-8)] Unknown charset") from None
    with session.server.store.lock:
        candidates = selected.numbered(selected.uids)
    found = [
        message.uid if by_uid else number
        for number, message in candidates
        if test(Candidate(number=number, message=message))
    ]
    session.untagged(" ".join(["SEARCH", *map(str, found)]).encode())
    session.report_changes(expunges=by_uid)
    session.done("Search completed.")


def _fetch(session: Session, reader: Reader, *, by_uid: bool) -> None:
    selected = session.open_folder()
    reader.space()
    uids = selected.pick(reader.number_set(), by_uid=by_uid)
    reader.space()
    items = parse_items(reader)
    reader.end()
    if by_uid and all(item.name != "UID" for item in items):
        items.insert(0, Item(name="UID"))
    with session.server.store.lock:
        wanted = selected.numbered(uids)
    for number, message in wanted:
        if not session.withholds(message.uid):
            _send_row(session, number, message, items)
    session.report_changes(expunges=by_uid)
    if len(wanted) < len(uids):
        session.done("[EXPUNGEISSUED] Some of the requested messages no longer exist.")
    else:
        session.done("Fetch completed.")


def _send_row(session: Session, number: int, message: Message, items: list[Item]) -> None:
    selected = session.open_folder()
    if any(item.sets_seen for item in items) and not selected.read_only:
        _change_flags(session, selected, message, "+FLAGS", {"\\Seen"})
    values = [write_item(item, message) for item in items]
    if selected.flags.get(message.uid) != frozenset(message.flags):
        selected.flags[message.uid] = frozenset(message.flags)
        if all(item.name != "FLAGS" for item in items):
            values.append(b"FLAGS " + write_flags(message))
    session.untagged(b"%d FETCH (%b)" % (number, b" ".join(values)))


def _store(session: Session, reader: Reader, *, by_uid: bool) -> None:
    selected = session.open_folder()
    reader.space()
    uids = selected.pick(reader.number_set(), by_uid=by_uid)
    reader.space()
    action, _, silent = reader.atom().upper().partition(".")
    reader.space()
    flags = set(reader.flags())
    reader.end()
    if action not in ("FLAGS", "+FLAGS", "-FLAGS") or silent not in ("", "SILENT"):
        raise CommandError("Unknown store action")
    if selected.read_only:
        raise RefusedError("[READ-ONLY] Mailbox is read-only")
    with session.server.store.lock:
        wanted = selected.numbered(uids)
    for number, message in wanted:
        if session.withholds(message.uid):
            continue
        _change_flags(session, selected, message, action, flags)
        selected.flags[message.uid] = frozenset(message.flags)
        if not silent:
            uid = b"UID %d " % message.uid if by_uid else b""
            session.untagged(b"%d FETCH (%bFLAGS %b)" % (number, uid, write_flags(message)))
    session.report_changes(expunges=by_uid)
    session.done("Store completed.")


def _change_flags(
    session: Session, selected: Selected, message: Message, action: str, flags: set[str]
) -> None:
    store = session.server.store
    with store.lock:
        before = set(message.flags)
        after = flags if action == "FLAGS" else before | flags
        message.flags = before - flags if action == "-FLAGS" else set(after)
        changed = message.flags != before
        living = message in selected.folder.messages
    if changed and living:
        store.changed()


def _expunge(session: Session, reader: Reader, *, by_uid: bool) -> None:
    selected = session.open_folder()
    picked = selected.uids
    if by_uid:
        reader.space()
        picked = selected.pick(reader.number_set(), by_uid=True)
    reader.end()
    if selected.read_only:
        raise RefusedError("[READ-ONLY] Mailbox is read-only")
    with session.server.store.lock:
        deleted = [one.uid for _, one in selected.numbered(picked) if "\\Deleted" in one.flags]
    session.server.store.expunge(selected.folder, deleted)
    session.report_changes()
    session.done("Expunge completed.")


COMMANDS: dict[str, Callable[[Session, Reader], None]] = {
    f"{prefix}{name}": partial(run, by_uid=bool(prefix))
    for prefix in ("", "UID ")
    for name, run in (
        ("SEARCH", _search),
        ("FETCH", _fetch),
        ("STORE", _store),
        ("EXPUNGE", _expunge),
    )
}
