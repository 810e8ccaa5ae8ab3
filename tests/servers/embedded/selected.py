# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The open folder of one client, and how a command may end."""

from __future__ import annotations

from dataclasses import dataclass

from tests.servers.embedded.grammar import NumberSet
from tests.servers.embedded.store import Folder, Message


class LogoutError(Exception):
    """The client said goodbye."""


class RefusedError(Exception):
    """The command is refused: answered with NO and this text."""


@dataclass(slots=True, kw_only=True)
class Selected:
    """
    The open folder, as this client knows it.

    :param uids: What the client was told is there; sequence numbers count in it.
    :param flags: The flags that the client was told, by UID.
    """

    folder: Folder
    read_only: bool
    uids: list[int]
    flags: dict[int, frozenset[str]]

    @classmethod
    def open(cls, folder: Folder, *, read_only: bool) -> Selected:
        """Look at a folder as it is now."""
        flags = {one.uid: frozenset(one.flags) for one in folder.messages}
        return cls(folder=folder, read_only=read_only, uids=list(flags), flags=flags)

    def pick(self, numbers: NumberSet, *, by_uid: bool) -> list[int]:
        """Return the UIDs that a set of UIDs or of sequence numbers names."""
        if by_uid:
            return numbers.pick(self.uids)
        positions = numbers.pick(list(range(1, len(self.uids) + 1)))
        return [self.uids[position - 1] for position in positions]

    def numbered(self, uids: list[int]) -> list[tuple[int, Message]]:
        """Return messages with their sequence numbers; those that are gone are left out."""
        living = {one.uid: one for one in self.folder.messages}
        number = {uid: position for position, uid in enumerate(self.uids, start=1)}
        return [(number[uid], living[uid]) for uid in uids if uid in living]

    def catch_up(self, *, expunges: bool) -> list[bytes]:
        """Take notice of what changed, and return it as untagged responses."""
        changes: list[bytes] = []
        now = {one.uid: frozenset(one.flags) for one in self.folder.messages}
        if expunges:
            for position in range(len(self.uids), 0, -1):
                if self.uids[position - 1] not in now:
                    self.flags.pop(self.uids.pop(position - 1))
                    changes.append(b"%d EXPUNGE" % position)
        for position, uid in enumerate(self.uids, start=1):
            if uid in now and self.flags[uid] != now[uid]:
                self.flags[uid] = now[uid]
                flags = " ".join(sorted(now[uid])).encode()
                changes.append(b"%d FETCH (UID %d FLAGS (%b))" % (position, uid, flags))
        added = [uid for uid in now if uid not in self.flags]
        if added:
            self.uids += added
            self.flags.update((uid, now[uid]) for uid in added)
            changes.append(b"%d EXISTS" % len(self.uids))
        return changes
