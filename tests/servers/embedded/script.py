# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Scripted faults: what a server answers otherwise than it would, and for how often."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass


class DropConnectionError(Exception):
    """The script wants the connection closed here, without a word."""


@dataclass(slots=True, kw_only=True)
class Rule:
    """
    One scripted answer; see :meth:`tests.servers.embedded_imap.EmbeddedImapServer.script`.

    :param command: Name of the command, ``UID FETCH`` for example, ``GREETING``, or ``*`` for all.
    :param times: For how many commands; None: for all.
    :param matching: Only for commands whose recorded line passes this test.
    :param uid: Only for a FETCH or STORE that names this UID. With ``status`` its row is left out.
    :param before: Sent ahead of the normal answer.
    :param answer: Sent in place of the whole answer. ``{tag}`` in it stands for the tag.
    :param rewrite: Takes the whole normal answer and returns what is sent.
    :param status: Tagged answer instead of the normal one, such as ``NO [INUSE] busy``. Without
        ``uid`` the command is not carried out.
    :param drop_after_bytes: Close the connection after so many bytes of the answer.
    :param reset: Close it by a TCP reset instead.
    :param delay_seconds: Wait before the answer.
    """

    command: str
    times: int | None = 1
    matching: Callable[[str], bool] | None = None
    uid: int | None = None
    before: bytes = b""
    answer: bytes | None = None
    rewrite: Callable[[bytes], bytes] | None = None
    status: str | None = None
    drop_after_bytes: int | None = None
    reset: bool = False
    delay_seconds: float = 0.0


class Script:
    """The rules of a server, tried in order; the first that fits is used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Rule] = []

    def add(self, rule: Rule) -> None:
        """Add a rule behind the others."""
        with self._lock:
            self._rules.append(rule)

    def clear(self) -> None:
        """Forget all rules."""
        with self._lock:
            self._rules.clear()

    def take(self, command: str, line: str, has_uid: Callable[[int], bool]) -> Rule | None:
        """Return the rule for a command, used up by one time."""
        with self._lock:
            for rule in self._rules:
                if rule.command not in (command, "*") or rule.times == 0:
                    continue
                if rule.matching is not None and not rule.matching(line):
                    continue
                if rule.uid is not None and not has_uid(rule.uid):
                    continue
                if rule.times is not None:
                    rule.times -= 1
                return rule
        return None


class Answer:
    """
    Where the answer to one command goes: to the wire, as the rule of the script wants it.

    :param send: Puts bytes on the wire.
    """

    def __init__(self, send: Callable[[bytes], None], rule: Rule | None, tag: str) -> None:
        self._send = send
        self._rule = rule
        self._tag = tag.encode()
        self._left = rule.drop_after_bytes if rule else None
        self._held: list[bytes] | None = [] if rule and rule.rewrite else None
        if rule and rule.before:
            self._put(self._named(rule.before))

    def write(self, data: bytes) -> None:
        """Add to the answer."""
        if self._held is None:
            self._put(data)
        else:
            self._held.append(data)

    def replace(self, data: bytes) -> None:
        """Send these bytes for the answer, the tag filled in."""
        self._put(self._named(data))
        self.finish()

    def finish(self) -> None:
        """Send what was held back, and drop the connection where the script wants it."""
        if self._held is not None and self._rule and self._rule.rewrite:
            held, self._held = b"".join(self._held), None
            self._put(self._rule.rewrite(held))
        if self._left is not None:
            raise DropConnectionError

    def _named(self, data: bytes) -> bytes:
        return data.replace(b"{tag}", self._tag)

    def _put(self, data: bytes) -> None:
        if self._left is None:
            self._send(data)
            return
        self._send(data[: self._left])
        self._left -= min(self._left, len(data))
        if self._left == 0:
            raise DropConnectionError
