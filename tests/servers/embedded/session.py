# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""One client: its commands are read, recorded, answered."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.servers.embedded import authentication, folders, messages
from tests.servers.embedded.grammar import CommandError, Reader, parse_set
from tests.servers.embedded.script import Answer, DropConnectionError, Rule
from tests.servers.embedded.selected import LogoutError, RefusedError, Selected
from tests.servers.embedded.wire import KickedError, LineTooLongError, Wire

if TYPE_CHECKING:
    from tests.servers.embedded_imap import EmbeddedImapServer

_LITERAL_AT_END = re.compile(rb"\{(\d{1,10})(\+?)\}\Z")
_MAX_LITERAL_BYTES = 300 * 1024 * 1024
_TAG = re.compile(rb"[^\x00-\x20\x7f(){%*\"\\+]+")
_NAME = re.compile(rb"(?:UID )?[A-Z]+", re.IGNORECASE)


class Session:
    """
    One connection of a client.

    :param server: Gives the store, the token check, the script and the records.
    """

    def __init__(self, server: EmbeddedImapServer, wire: Wire) -> None:
        self.server = server
        self.wire = wire
        self.login: str | None = None
        self.selected: Selected | None = None
        self.rule: Rule | None = None
        self.tag = ""
        self._answer = Answer(wire.send, None, "")

    # --- What commands use ----------------------------------------------------------------------

    def untagged(self, data: bytes) -> None:
        """Send an untagged response."""
        self._answer.write(b"* " + data + b"\r\n")

    def continuation(self, data: bytes) -> None:
        """Ask the client to go on."""
        self._answer.write(b"+ " + data + b"\r\n")

    def done(self, text: str, *, status: str = "OK") -> None:
        """Send the tagged response."""
        if self.rule and self.rule.status is not None:
            text, status = self.rule.status, ""
        self._answer.write(" ".join(filter(None, (self.tag, status, text))).encode() + b"\r\n")

    def withholds(self, uid: int) -> bool:
        """Whether the script wants this message left out of the answer."""
        return bool(self.rule and self.rule.status is not None and self.rule.uid == uid)

    def account(self) -> str:
        """Return the account that is signed in."""
        if self.login is None:
            raise CommandError("Not authenticated")
        return self.login

    def open_folder(self) -> Selected:
        """Return the open folder."""
        if self.selected is None:
            raise CommandError("No mailbox selected")
        return self.selected

    def report_changes(self, *, expunges: bool = True) -> None:
        """
        Tell what changed in the open folder since the client was told last.

        :param expunges: False where the answer may hold none (RFC 3501 section 7.4.1).
        """
        if self.selected is not None:
            with self.server.store.lock:
                changes = self.selected.catch_up(expunges=expunges)
            for change in changes:
                self.untagged(change)

    # --- The loop -------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve the client until it leaves."""
        reset = False
        try:
            self._answer_one("GREETING", "", lambda: authentication.greet(self))
            while True:
                self._serve_one()
        except DropConnectionError:
            reset = bool(self.rule and self.rule.reset)
        except LineTooLongError:
            self._say_bye(b"Command line too long.")
        except KickedError:
            self._say_bye(b"Server shutting down.")
        except (EOFError, OSError, LogoutError):
            pass
        finally:
            self.wire.close(reset=reset)

    def _say_bye(self, why: bytes) -> None:
        with suppress(OSError):
            self.wire.send(b"* BYE " + why + b"\r\n")

    def _serve_one(self) -> None:
        tag, _, rest = self.wire.read_line().partition(b" ")
        if not _TAG.fullmatch(tag):
            self.wire.send(b"* BAD Invalid tag.\r\n")
            return
        self.tag = tag.decode("latin-1")
        command = self._read_literals(rest)
        if command is None:
            return
        reader = Reader(command)
        match = _NAME.match(command)
        name = match[0].decode("ascii").upper() if match else ""
        reader.skip(len(name))
        recorded = self.server.record(self.tag, name, command)
        self._answer_one(name, recorded, lambda: self._run_command(name, reader))

    def _read_literals(self, line: bytes) -> bytes | None:
        """Put literals into their place; None where one was refused."""
        parts = [line]
        while match := _LITERAL_AT_END.search(parts[-1]):
            size = int(match[1])
            if size > _MAX_LITERAL_BYTES:
                self.wire.send(f"{self.tag} NO [TOOBIG] Literal too big.\r\n".encode())
                return None
            if not match[2]:
                self.wire.send(b"+ OK\r\n")
            parts += [b"\r\n", self.wire.read_exactly(size), self.wire.read_line()]
        return b"".join(parts)

    def _answer_one(self, name: str, recorded: str, normally: Callable[[], None]) -> None:
        """Answer as the script wants it, else normally."""
        rule = self.rule = self.server.rules.take(
            name, recorded, lambda uid: self._names_uid(recorded, uid)
        )
        if rule and rule.delay_seconds:
            time.sleep(rule.delay_seconds)
        self._answer = Answer(self.wire.send, rule, self.tag)
        if rule and rule.answer is not None:
            self._answer.replace(rule.answer)
            return
        if rule and rule.status is not None and rule.uid is None:
            self.done("")
        else:
            normally()
        self._answer.finish()

    def _names_uid(self, recorded: str, uid: int) -> bool:
        match = re.search(r" UID (?:FETCH|STORE) ([\d:*,]+) ", recorded, re.IGNORECASE)
        if match is None or self.selected is None:
            return False
        return uid in self.selected.pick(parse_set(match[1].encode()), by_uid=True)

    def _run_command(self, name: str, reader: Reader) -> None:
        try:
            _COMMANDS.get(name, _unknown)(self, reader)
        except CommandError as exc:
            self.done(f"Error in IMAP command: {exc}.", status="BAD")
        except RefusedError as exc:
            self.done(str(exc), status="NO")


def _unknown(_session: Session, _reader: Reader) -> None:
    raise CommandError("Unknown command")


_COMMANDS: dict[str, Callable[[Session, Reader], None]] = {
    **authentication.COMMANDS,
    **folders.COMMANDS,
    **messages.COMMANDS,
}
