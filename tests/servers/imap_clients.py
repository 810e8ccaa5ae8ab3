# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Clients for the tests of the mail servers: IMAPClient, and one that speaks lines."""

from __future__ import annotations

import base64
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from imapclient import IMAPClient

if TYPE_CHECKING:
    from tests.servers.certificates import CertificateAuthority
    from tests.servers.mail_server import MailServer

_TIMEOUT_SECONDS = 10.0


@contextmanager
def signed_in(
    server: MailServer, ca: CertificateAuthority, login: str, token: str, *, folder: str = "INBOX"
) -> Iterator[IMAPClient]:
    """Sign in with XOAUTH2 over implicit TLS and open a folder read-only."""
    client = IMAPClient(
        server.host, server.port, ssl_context=ca.client_context(), timeout=_TIMEOUT_SECONDS
    )
    try:
        client.normalise_times = False
        client.oauth2_login(login, token)
        client.select_folder(folder, readonly=True)
        yield client
    finally:
        client.shutdown()


def xoauth2(login: str, token: str) -> str:
    """Return the response of XOAUTH2 in base64."""
    return base64.b64encode(f"user={login}\x01auth=Bearer {token}\x01\x01".encode()).decode()


def oauthbearer(login: str, token: str) -> str:
    """Return the response of OAUTHBEARER (RFC 7628 section 3.1) in base64."""
    text = f"n,a={login},\x01auth=Bearer {token}\x01\x01"
    return base64.b64encode(text.encode()).decode()


SASL_RESPONSES = {"XOAUTH2": xoauth2, "OAUTHBEARER": oauthbearer}


class LineClient:
    """
    Sends lines and returns lines, literals in them.

    :ivar greeting: The server's first line.
    """

    def __init__(self, server: MailServer, ca: CertificateAuthority, *, tls: bool = True) -> None:
        port = server.port if tls else server.starttls_port
        self._ca = ca
        self._host = server.host
        self._sock = socket.create_connection((server.host, port), timeout=_TIMEOUT_SECONDS)
        if tls:
            self._wrap()
        self._file = self._sock.makefile("rb")
        self._count = 0
        self.greeting = self.read()

    def __enter__(self) -> LineClient:
        """Use it in a with statement."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._file.close()
        self._sock.close()

    def _wrap(self) -> None:
        context = self._ca.client_context()
        self._sock = context.wrap_socket(self._sock, server_hostname=self._host)

    def start_tls(self) -> None:
        """Send STARTTLS and go on with TLS."""
        assert self.command("STARTTLS")[-1].startswith(b"OK")
        self._file.close()
        self._wrap()
        self._file = self._sock.makefile("rb")

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._sock.sendall(data)

    def read(self) -> bytes:
        """Return the next response without its line end; nothing when the connection is over."""
        line = self._file.readline()
        while match := re.search(rb"\{(\d+)\}\r\n\Z", line):
            line += self._file.read(int(match[1])) + self._file.readline()
        return line.removesuffix(b"\r\n")

    def begin(self, text: str) -> str:
        """Send a command and return its tag."""
        self._count += 1
        tag = f"t{self._count}"
        self.send(f"{tag} {text}\r\n".encode())
        return tag

    def finish(self, tag: str) -> list[bytes]:
        """Read up to the tagged response and return all lines, the last without its tag."""
        lines: list[bytes] = []
        start = f"{tag} ".encode()
        while line := self.read():
            lines.append(line.removeprefix(start))
            if line.startswith(start):
                break
        return lines

    def command(self, text: str) -> list[bytes]:
        """Send a command and return its answer, the tagged line last."""
        return self.finish(self.begin(text))

    def authenticate(self, mechanism: str, login: str, token: str) -> list[bytes]:
        """Sign in with an initial response; an error challenge is answered."""
        response = SASL_RESPONSES[mechanism](login, token)
        tag = self.begin(f"AUTHENTICATE {mechanism} {response}")
        line = self.read()
        if not line.startswith(b"+"):
            return [line.removeprefix(f"{tag} ".encode())]
        self.send(b"\r\n" if mechanism == "XOAUTH2" else b"AQ==\r\n")
        return [line, *self.finish(tag)]
