# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The one seam to IMAPClient, which carries no types: connection, TLS, lines in and out.

IMAPClient makes the connection (verified TLS, separate timeouts, STARTTLS) and its line reader
splits responses and literals. Commands are written here: its own ones let CR and LF through, and
its parser, which takes most of the time of a scan, gives up a whole batch for one odd row.
"""

from __future__ import annotations

import logging
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from imapclient.exceptions import (  # noqa: TID251  # this is the seam
    IMAPClientAbortError,
    IMAPClientError,
)

from airflow_imap_oauth.exceptions import ImapError, ImapProtocolError, ImapTlsError
from airflow_imap_oauth.imap._client import connected_client
from airflow_imap_oauth.imap.connection_failures import (
    abort_failure,
    closed_connection,
    connect_failure,
    farewell_failure,
    greeting_failure,
    lost_connection,
    not_imap,
)
from airflow_imap_oauth.imap.criteria import CommandPiece, Literal
from airflow_imap_oauth.imap.model import ImapSettings
from airflow_imap_oauth.imap.refusals import Refusal
from airflow_imap_oauth.imap.responses import Segment
from airflow_imap_oauth.imap.sasl import SaslClient
from airflow_imap_oauth.imap.withholding import withhold

log = logging.getLogger(__name__)

# A line that is no response is skipped: a server that sends a raw line break inside a string makes
# one. More of them in one answer is no IMAP.
_MAX_STRAY_LINES = 1000
_MAX_CHALLENGES = 8
_LOGOUT_SECONDS = 5.0
_LITERAL_MINUS_BYTES = 4096  # RFC 7888 section 5


class Wire:
    """
    A connection that takes commands one by one.

    After an error that loses the connection every further command fails at once.
    """

    def __init__(self, client: Any, settings: ImapSettings) -> None:
        self._client = client
        self._imap: Any = client._imap  # noqa: SLF001  # the line reader has no public name
        self._settings = settings
        self._lost: ImapError | None = None
        self._secrets: tuple[str, ...] = ()
        self._speaking = False
        self._capabilities: frozenset[str] | None = None
        # IMAPClient raises this to 5, and then a printable copy of every literal is made.
        self._imap.debug = 0
        # The line reader demands a text behind ``OK``, which some servers leave out.
        self._imap.tagre = re.compile(
            rb"(?P<tag>" + self._imap.tagpre + rb"\d+) (?P<type>[A-Z]+) ?(?P<data>.*)"
        )

    # --- Connection -----------------------------------------------------------------------------

    @classmethod
    def connect(cls, settings: ImapSettings, context: ssl.SSLContext) -> Wire:
        """
        Connect and read the greeting; TLS stands when this returns.

        :raises ImapTlsError: If TLS cannot be had. A retry cannot help.
        :raises ImapConnectionError: If server or proxy cannot be reached. A retry helps.
        :raises ImapError: If the proxy wants another sign-in, or does not allow the server. A
            retry cannot help.
        :raises ConfigurationError: If ``proxy_url`` is unfit. A retry cannot help.
        """
        failure: Exception
        try:
            client = connected_client(settings, context)
        except IMAPClientError as error:
            failure = greeting_failure(error, settings)
        except UnicodeDecodeError:  # the reader takes capabilities as ASCII
            failure = not_imap(settings, ": it sent bytes that are no ASCII")
        except (OSError, UnicodeError) as error:
            failure = connect_failure(error, settings)
        else:
            wire = cls(client, settings)
            if settings.tls == "starttls":
                wire._start_tls(context)
            return wire
        raise failure from None

    def _start_tls(self, context: ssl.SSLContext) -> None:
        failure: Exception
        try:
            if self._imap.state != "NONAUTH":
                failure = ImapTlsError("The server claims a sign-in before STARTTLS.")
            elif not self._client.has_capability("STARTTLS"):
                failure = ImapTlsError(
                    "The server does not offer STARTTLS.",
                    hint="Use tls implicit, or find out who between here and there removes it.",
                )
            else:
                self._client.starttls(context)
                return
        except OSError as error:
            failure = connect_failure(error, self._settings)
        except IMAPClientError:
            failure = ImapTlsError("The server refused STARTTLS.")
        self.shut_down()
        raise failure from None

    @property
    def is_preauthenticated(self) -> bool:
        """Whether the greeting claimed a sign-in."""
        return bool(self._imap.state != "NONAUTH")

    def shut_down(self) -> None:
        """Close the socket; never raises."""
        with suppress(OSError, ValueError, IMAPClientError):
            self._client.shutdown()
        self._lost = self._lost or closed_connection(self._settings, "this session")

    def log_out(self) -> None:
        """
        Say LOGOUT if the connection stands, and close; never raises, never waits long.

        A signal handler may call it amid a command. Then it only cuts the connection, and the
        command ends as one whose connection was lost: its reader must not be entered again.
        """
        if self._speaking:
            with suppress(OSError, ValueError):
                socket.socket.shutdown(self._client.socket(), socket.SHUT_RDWR)
            return
        if self._lost is None:
            with suppress(OSError, ValueError):
                self._client.socket().settimeout(
                    min(self._settings.read_timeout_seconds, _LOGOUT_SECONDS)
                )
            with suppress(ImapError):
                self.command(b"LOGOUT")
        self.shut_down()

    def withhold(self, secrets: tuple[str, ...]) -> None:
        """Let no text of the server that repeats one of these into an answer, error or log."""
        self._secrets = secrets

    # --- Commands -------------------------------------------------------------------------------

    def offered(self) -> frozenset[str]:
        """Upper-case capabilities now; asked for only where the server did not tell."""
        if self._capabilities is None:
            if not self._imap.untagged_responses.get("CAPABILITY"):
                self.command(b"CAPABILITY")
            told = [line for line in self.take("CAPABILITY") if isinstance(line, bytes)]
            words = told[-1].decode("ascii", "replace").upper().split() if told else []
            self._capabilities = frozenset(words)
        return self._capabilities

    def offered_before_sign_in(self) -> frozenset[str]:
        """Upper-case capabilities of the greeting, or of TLS."""
        with self._guarded("CAPABILITY"):
            words = self._client.capabilities()
        return frozenset(word.decode("ascii", "replace").upper() for word in words)

    def authenticate(
        self, mechanism: str, sasl: SaslClient, initial: bytes | None
    ) -> Refusal | None:
        """
        Run AUTHENTICATE.

        :param initial: Base64 of the initial response to send along (SASL-IR), or None.
        :return: None after OK, else what the server said.
        """
        self.take("CAPABILITY")
        line = b"AUTHENTICATE " + mechanism.encode() + (b" " + initial if initial else b"")
        with self._guarded("AUTHENTICATE"):
            tag = self._begin(line)
            for _ in range(_MAX_CHALLENGES):
                if not self._read_until_continuation(tag):
                    break
                answer = sasl.answer(self._imap.continuation_response or b"")
                self._imap.send(answer + b"\r\n")
            else:
                self._lose(ImapProtocolError("The server never ends the sign-in."))
            refusal = self._end(tag)
        return self._signed_in_unless(refusal)

    def login(self, user: CommandPiece, password: CommandPiece) -> Refusal | None:
        """
        Run LOGIN.

        :param user: Quoted, or a literal; so is ``password``.
        :return: None after OK, else what the server said.
        """
        self._capabilities = self.offered_before_sign_in()
        self.take("CAPABILITY")
        return self._signed_in_unless(self.command(b"LOGIN ", user, b" ", password))

    def _signed_in_unless(self, refusal: Refusal | None) -> Refusal | None:
        if refusal is None:
            self._imap.state = "AUTH"
            self._capabilities = None
        return refusal

    def command(self, *pieces: CommandPiece) -> Refusal | None:
        """
        Send one command and read its answer; untagged responses wait in :meth:`take`.

        :param pieces: Bytes without CR and LF, and literals.
        :return: None after OK, else what the server said.
        :raises ImapConnectionError: If the connection is lost. A retry helps.
        :raises ImapUnavailableError: If the server ends it because it is busy. A retry helps.
        :raises ImapProtocolError: If the answer is no IMAP; the connection is given up.
        """
        doing = pieces[0].split(b"(")[0][:20].decode("ascii", "replace").strip()
        literal_plus = self._may_send_at_once(pieces)
        with self._guarded(doing):
            tag = self._begin(pieces[0], end=len(pieces) == 1)
            for index, piece in enumerate(pieces[1:], 2):
                if isinstance(piece, Literal):
                    plus = b"+" if literal_plus else b""
                    self._imap.send(b"{%d%s}\r\n" % (len(piece), plus))
                    if not literal_plus and not self._read_until_continuation(tag):
                        break  # refused before the literal was wanted
                self._imap.send(piece + (b"\r\n" if index == len(pieces) else b""))
            return self._end(tag)

    def take(self, kind: str) -> list[Segment]:
        """Return and forget the untagged responses of a kind, for example ``FETCH``."""
        found: list[Segment] | None = self._imap.untagged_responses.pop(kind, None)
        return found or []

    def forget_responses(self) -> None:
        """Forget all untagged responses, as those of another folder."""
        self._imap.untagged_responses = {}

    # --- Inside ---------------------------------------------------------------------------------

    def _may_send_at_once(self, pieces: tuple[CommandPiece, ...]) -> bool:
        """Whether literals need no go-ahead (RFC 7888)."""
        literals = [piece for piece in pieces if isinstance(piece, Literal)]
        if not literals:
            return False
        offered = self.offered()
        is_short = all(len(literal) <= _LITERAL_MINUS_BYTES for literal in literals)
        return "LITERAL+" in offered or ("LITERAL-" in offered and is_short)

    def _begin(self, line: bytes, *, end: bool = True) -> bytes:
        tag: bytes = self._imap._new_tag()  # noqa: SLF001  # as IMAPClient does
        self._imap.send(tag + b" " + line + (b"\r\n" if end else b""))
        return tag

    def _read_until_continuation(self, tag: bytes) -> bool:
        """Read until the server wants more (True) or has answered (False)."""
        while self._imap.tagged_commands[tag] is None:
            if self._read_response() is None:
                return True
        return False

    def _end(self, tag: bytes) -> Refusal | None:
        while self._imap.tagged_commands[tag] is None:
            self._read_response()
        status, data = self._imap.tagged_commands.pop(tag)
        text = data[0] or b""
        self._show_alerts(text)
        return None if status == "OK" else Refusal(status, withhold(text, self._secrets))

    def _read_response(self) -> bytes | None:
        """Read one response; None is a continuation. Raises after BYE."""
        for _ in range(_MAX_STRAY_LINES):
            farewell = self._imap.untagged_responses.get("BYE")
            if farewell:
                told = withhold(farewell[-1], self._secrets)
                self._lose(farewell_failure(told, self._settings))
            try:
                response: bytes | None = self._imap._get_response()  # noqa: SLF001
            except IMAPClientAbortError as error:
                if not str(error).startswith("unexpected response"):
                    raise
                log.debug("skipped a line that is no IMAP response")
                continue
            return response
        return self._lose(ImapProtocolError("The server sends lines that are no IMAP responses."))

    def _show_alerts(self, text: bytes) -> None:
        """RFC 3501 section 7.1: the text behind ALERT must be shown to the user."""
        told = [text, *(line for kind in ("OK", "NO", "BAD") for line in self.take(kind))]
        for line in told:
            if isinstance(line, bytes) and line[:7].upper() == b"[ALERT]":
                told_line = Refusal("", withhold(line, self._secrets)).shown
                log.warning("Mail server '%s' says: %s", self._settings.host, told_line)

    @contextmanager
    def _guarded(self, doing: str) -> Iterator[None]:
        """Give library and system errors a name; each of them loses the connection."""
        if self._lost is not None:
            raise type(self._lost)(
                self._lost.message,
                hint=self._lost.hint,
                retry_after_seconds=self._lost.retry_after_seconds,
            )
        failure: ImapError
        self._speaking = True
        try:
            yield
            return
        except IMAPClientAbortError as error:
            failure = abort_failure(error, self._settings, doing)
        except IMAPClientError:
            failure = ImapProtocolError(f"A line of the answer to {doing} is too long.")
        except OSError as error:
            failure = lost_connection(error, self._settings, doing)
        except (ValueError, TypeError, LookupError, OverflowError, MemoryError):
            failure = ImapProtocolError(f"The answer to {doing} cannot be understood.")
        except BaseException:  # the task's timeout, for example: half an answer is still to come
            self._lost = self._lost or closed_connection(self._settings, doing)
            raise
        finally:
            self._speaking = False
        self._lose(failure)

    def _lose(self, failure: ImapError) -> NoReturn:
        self._lost = failure
        self.shut_down()
        raise failure from None
