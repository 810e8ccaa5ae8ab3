# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Accounts, mail folders and messages in memory, shared by all connections of a server."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property

from tests.servers.embedded import mime

DELIMITER = "/"
_FIRST_UIDVALIDITY = 1_700_000_000


@dataclass(kw_only=True)
class Message:
    """One message of a folder; only its flags change."""

    uid: int
    raw: bytes = field(repr=False)
    internaldate_at: datetime
    flags: set[str] = field(default_factory=set)

    @cached_property
    def node(self) -> mime.Node:
        """Its structure, parsed once."""
        return mime.parse(self.raw)


@dataclass(slots=True, kw_only=True)
class Folder:
    """One mail folder."""

    name: str
    uidvalidity: int
    uidnext: int = 1
    messages: list[Message] = field(default_factory=list)

    @property
    def uids(self) -> list[int]:
        """All UIDs, ascending."""
        return [message.uid for message in self.messages]

    def find(self, uid: int) -> Message | None:
        """Return the message of a UID, or None where it is gone."""
        return next((message for message in self.messages if message.uid == uid), None)


class MailStore:
    """
    All accounts. An account exists as soon as it is named, with an INBOX.

    Take :attr:`lock` around everything that reads or changes folders.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._accounts: dict[str, dict[str, Folder]] = {}
        self._next_uidvalidity = _FIRST_UIDVALIDITY
        self._watchers: set[Callable[[], None]] = set()

    def folders(self, login: str) -> dict[str, Folder]:
        """Return the folders of an account by name."""
        with self.lock:
            account = self._accounts.setdefault(login.lower(), {})
            if "INBOX" not in account:
                account["INBOX"] = self._new_folder("INBOX")
            return account

    def folder(self, login: str, name: str) -> Folder | None:
        """Return a folder by its Unicode name; INBOX in any case."""
        return self.folders(login).get(_canonical_name(name))

    def create(self, login: str, name: str) -> Folder:
        """Return a folder, made if missing."""
        with self.lock:
            folders = self.folders(login)
            key = _canonical_name(name)
            if key not in folders:
                folders[key] = self._new_folder(key)
            return folders[key]

    def append(
        self,
        login: str,
        name: str,
        raw: bytes,
        *,
        internaldate: datetime | None = None,
        flags: Iterable[str] = (),
    ) -> Message:
        """Add a message to a folder, made if missing, and tell those who wait."""
        with self.lock:
            folder = self.create(login, name)
            message = Message(
                uid=folder.uidnext,
                raw=mime.canonical(raw),
                internaldate_at=internaldate or datetime.now(timezone.utc),
                flags=set(flags),
            )
            folder.messages.append(message)
            folder.uidnext += 1
        self.changed()
        return message

    def expunge(self, folder: Folder, uids: Iterable[int]) -> None:
        """Remove messages and tell those who wait."""
        gone = set(uids)
        with self.lock:
            folder.messages[:] = [one for one in folder.messages if one.uid not in gone]
        self.changed()

    def renumber(self, login: str, name: str) -> None:
        """Give a folder a new UIDVALIDITY and its messages UIDs from 1."""
        with self.lock:
            folder = self.create(login, name)
            folder.uidvalidity = self._take_uidvalidity()
            for uid, message in enumerate(folder.messages, start=1):
                message.uid = uid
            folder.uidnext = len(folder.messages) + 1

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call ``watcher`` after every change, from the thread that changed."""
        with self.lock:
            self._watchers.add(watcher)

    def unwatch(self, watcher: Callable[[], None]) -> None:
        """End a watch."""
        with self.lock:
            self._watchers.discard(watcher)

    def changed(self) -> None:
        """Tell those who wait that something changed."""
        with self.lock:
            watchers = tuple(self._watchers)
        for watcher in watchers:
            watcher()

    def _new_folder(self, name: str) -> Folder:
        return Folder(name=name, uidvalidity=self._take_uidvalidity())

    def _take_uidvalidity(self) -> int:
        self._next_uidvalidity += 1
        return self._next_uidvalidity


def _canonical_name(name: str) -> str:
    return "INBOX" if name.upper() == "INBOX" else name


def pattern_matches(pattern: str, name: str) -> bool:
    """Whether a LIST pattern names a folder: ``%`` stops at the delimiter, ``*`` does not."""
    expression = "".join(
        ".*"
        if character == "*"
        else f"[^{DELIMITER}]*"
        if character == "%"
        else re.escape(character)
        for character in pattern
    )
    flags = re.IGNORECASE if name == "INBOX" else 0
    return re.fullmatch(expression, name, flags | re.DOTALL) is not None
