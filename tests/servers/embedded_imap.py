# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
A small IMAP server of pure Python: for the demo, for machines without Dovecot, for scripted faults.

Use::

    with EmbeddedImapServer(token_check, ca) as server:
        server.deliver("alice@example.test", raw)
        server.script("UID FETCH", uid=1, status="NO [SERVERBUG] broken")
        connect(server.host, server.port)
        assert "CLOSE" not in server.command_names

``python -m tests.servers.embedded_imap --help`` runs it as a process.
"""

from __future__ import annotations

import re
import selectors
import socket
import ssl
import threading
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.servers.embedded import sasl
from tests.servers.embedded.sasl import TokenCheck
from tests.servers.embedded.script import Rule, Script
from tests.servers.embedded.session import Session
from tests.servers.embedded.store import MailStore
from tests.servers.embedded.wire import Traffic, Wire

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer
    from tests.servers.certificates import CertificateAuthority

#: What is offered besides AUTH=, STARTTLS and LOGINDISABLED.
CAPABILITIES = ("IMAP4rev1", "SASL-IR", "LITERAL+", "UIDPLUS", "UNSELECT", "IDLE", "ID")
_STOP_SECONDS = 5.0


def introspection(authorization_server: AuthorizationServer) -> TokenCheck:
    """Look tokens up at the test authorization server."""
    return sasl.introspection(
        authorization_server.introspection_url,
        client_id=authorization_server.client_id,
        client_secret=authorization_server.client_secret,
        ca_file=str(authorization_server.ca_file),
    )


class EmbeddedImapServer:
    """
    A :class:`~tests.servers.mail_server.MailServer` that can be told to misbehave.

    :param token_check: Returns the account of an access token, or None where it is not valid.
    :param ca: Issues the certificate of ``localhost``.
    :ivar capabilities: What is offered; set it to take something away.
    :ivar mechanisms: SASL mechanisms.
    :ivar unavailable: Whether every sign-in is answered with NO [UNAVAILABLE].
    :ivar commands: Lines received, with their tags; tokens are redacted.
    :ivar command_names: Their names, such as ``UID FETCH``.
    :ivar challenge_answers: What clients answered to error challenges; a token is redacted.
    :ivar traffic: Bytes and round trips.
    :ivar connections: Connections accepted.
    """

    def __init__(
        self,
        token_check: TokenCheck,
        ca: CertificateAuthority,
        *,
        port: int = 0,
        starttls_port: int = 0,
    ) -> None:
        self.host = "localhost"
        self.port = port
        self.starttls_port = starttls_port
        self.token_check = token_check
        self.store = MailStore()
        self.rules = Script()
        self.traffic = Traffic()
        cert_file, key_file = ca.issue("localhost", "127.0.0.1")
        self.tls_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls_context.load_cert_chain(cert_file, key_file)
        self._sessions: dict[Session, threading.Thread] = {}
        self._lock = threading.Lock()
        self._log: list[str] = []
        self._acceptor: threading.Thread | None = None
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self.reset()

    def reset(self) -> None:
        """Forget records, script and switches; mail and connections stay."""
        self.capabilities: tuple[str, ...] = CAPABILITIES
        self.mechanisms: tuple[str, ...] = sasl.MECHANISMS
        self.unavailable = False
        self.commands: list[str] = []
        self.command_names: list[str] = []
        self.challenge_answers: list[str] = []
        self.connections = 0
        self.rules.clear()
        self.traffic.reset()

    # --- Life -----------------------------------------------------------------------------------

    def __enter__(self) -> EmbeddedImapServer:
        """Listen on both ports and serve in threads."""
        for port, implicit_tls in ((self.port, True), (self.starttls_port, False)):
            listener = socket.create_server(("127.0.0.1", port), backlog=128)
            self._selector.register(listener, selectors.EVENT_READ, implicit_tls)
            if implicit_tls:
                self.port = listener.getsockname()[1]
            else:
                self.starttls_port = listener.getsockname()[1]
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._acceptor = threading.Thread(target=self._accept, name="embedded-imap", daemon=True)
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the ports and every connection."""
        self._wake.send(b"x")
        if self._acceptor is not None:
            self._acceptor.join(_STOP_SECONDS)
        for session, thread in self._living():
            session.wire.kick()
            thread.join(_STOP_SECONDS)
            session.wire.shut_down()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()
        self._wake.close()

    def _accept(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                client, _ = key.fileobj.accept()  # type: ignore[union-attr]
                self.connections += 1
                wire = Wire(client, self.traffic)
                session = Session(self, wire)
                thread = threading.Thread(target=self._serve, args=(session, key.data), daemon=True)
                with self._lock:
                    self._sessions[session] = thread
                thread.start()

    def _serve(self, session: Session, implicit_tls: bool) -> None:
        try:
            if implicit_tls:
                session.wire.start_tls(self.tls_context)
            session.run()
        except OSError as exc:
            self._log.append(f"TLS handshake failed: {exc}")
            session.wire.close()
        finally:
            with self._lock:
                self._sessions.pop(session, None)

    def _living(self) -> list[tuple[Session, threading.Thread]]:
        with self._lock:
            return list(self._sessions.items())

    # --- Records and faults ---------------------------------------------------------------------

    def record(self, tag: str, name: str, command: bytes) -> str:
        """Keep a command line, without tokens and without the mail of APPEND."""
        text = command.decode("utf-8", "backslashreplace")
        if name in ("AUTHENTICATE", "LOGIN"):
            pieces = text.split(" ", 2 if name == "AUTHENTICATE" else 1)
            text = " ".join([*pieces[:-1], "<redacted>"] if len(pieces) > 2 else pieces)
        if name == "APPEND":
            text = re.sub(r"(\{\d+\+?\})\r\n.*", r"\1", text, flags=re.DOTALL)
        self.commands.append(f"{tag} {text}")
        self.command_names.append(name)
        self._log.append(f"{tag} {text}")
        return f"{tag} {text}"

    def script(self, command: str, **fault: Any) -> None:
        """
        Answer a coming command otherwise; rules are tried in the order they were given.

        :param command: ``UID FETCH``, ``AUTHENTICATE`` ..., ``GREETING``, or ``*`` for any.
        :param fault: See :class:`tests.servers.embedded.script.Rule`.
        """
        self.rules.add(Rule(command=command, **fault))

    def log_text(self) -> str:
        """Return the commands since the start, and failed handshakes."""
        return "\n".join(self._log)

    # --- Mail -----------------------------------------------------------------------------------

    def deliver(
        self,
        login: str,
        raw: bytes,
        folder: str = "INBOX",
        internaldate: datetime | None = None,
        flags: Iterable[str] = (),
    ) -> None:
        """Put one message into a folder (see :class:`~tests.servers.mail_server.MailServer`)."""
        self.store.append(login, folder, raw, internaldate=internaldate, flags=flags)

    def create_folder(self, login: str, folder: str) -> None:
        """Make an empty folder; nothing happens when it exists."""
        self.store.create(login, folder)

    def expunge(self, login: str, uid: int, folder: str = "INBOX") -> None:
        """Remove one message as another client would."""
        self.store.expunge(self.store.create(login, folder), [uid])

    def renumber(self, login: str, folder: str = "INBOX") -> None:
        """Give the folder a new UIDVALIDITY; its messages stay, with UIDs from 1 in their order."""
        self.kick(login)
        self.store.renumber(login, folder)

    def kick(self, login: str) -> None:
        """End every connection of an account from the server's side."""
        for session, thread in self._living():
            if session.login == login.lower():
                session.wire.kick()
                thread.join(_STOP_SECONDS)


if __name__ == "__main__":
    from tests.servers.embedded.command import main

    main()
