# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The socket of one connection: lines, literals, TLS, and what went over it."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import threading
from contextlib import suppress

_CHUNK_BYTES = 65536
_MAX_LINE_BYTES = 65536
_HANDSHAKE_SECONDS = 10.0


class LineTooLongError(Exception):
    """A line without an end: the client is told BAD and disconnected."""


class KickedError(Exception):
    """The server wants this connection ended."""


class Traffic:
    """
    What went over all connections since :meth:`reset`, without TLS.

    A round trip is client bytes that come after server bytes: the client has waited for them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.bytes_in = 0
        self.bytes_out = 0
        self.round_trips = 0

    def reset(self) -> None:
        """Set all counters to 0."""
        with self._lock:
            self.bytes_in = self.bytes_out = self.round_trips = 0

    def add(self, *, bytes_in: int = 0, bytes_out: int = 0, round_trips: int = 0) -> None:
        """Count."""
        with self._lock:
            self.bytes_in += bytes_in
            self.bytes_out += bytes_out
            self.round_trips += round_trips


class Wire:
    """
    One connection, blocking.

    :param sock: The accepted socket, with or without TLS.
    """

    def __init__(self, sock: socket.socket, traffic: Traffic) -> None:
        # Answers go out line by line: each would wait for the client's delayed acknowledgement.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._traffic = traffic
        self._buffer = bytearray()
        self._answered = False
        self._kicked = False
        self._woken, self._waker = socket.socketpair()
        self._waker.setblocking(False)

    @property
    def is_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return isinstance(self._sock, ssl.SSLSocket)

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Go on with TLS; what came ahead in the clear is thrown away (RFC 9051 section 6.2.1)."""
        self._buffer.clear()
        self._sock.settimeout(_HANDSHAKE_SECONDS)
        self._sock = context.wrap_socket(self._sock, server_side=True)
        self._sock.settimeout(None)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._sock.sendall(data)
        self._traffic.add(bytes_out=len(data))
        self._answered = True

    def _receive(self) -> None:
        while not self.wait():
            pass
        data = self._sock.recv(_CHUNK_BYTES)
        if not data:
            raise EOFError
        self._traffic.add(bytes_in=len(data), round_trips=int(self._answered))
        self._answered = False
        self._buffer += data

    def read_line(self) -> bytes:
        """
        Return the next line without its end.

        :raises EOFError: The client closed the connection.
        :raises LineTooLongError: It has no end within 64 KiB.
        """
        while b"\n" not in self._buffer:
            if len(self._buffer) > _MAX_LINE_BYTES:
                raise LineTooLongError
            self._receive()
        return self._take(self._buffer.index(b"\n") + 1).rstrip(b"\r\n")

    def read_exactly(self, size: int) -> bytes:
        """Return ``size`` bytes."""
        while len(self._buffer) < size:
            self._receive()
        return self._take(size)

    def _take(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def wake(self) -> None:
        """Make :meth:`wait` return; callable from any thread."""
        with suppress(OSError):
            self._waker.send(b"x")

    def kick(self) -> None:
        """Make whoever reads here raise :class:`KickedError`; callable from any thread."""
        self._kicked = True
        self.wake()

    def has_input(self) -> bool:
        """Wait as :meth:`wait` does, but see also what was read already."""
        return bool(self._buffer) or self.wait()

    def wait(self) -> bool:
        """
        Wait for the client or for :meth:`wake`; return whether the client sent something.

        :raises KickedError: After :meth:`kick`.
        """
        if isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
            return True
        readable, _, _ = select.select([self._sock, self._woken], [], [])
        if self._woken in readable:
            self._woken.recv(_CHUNK_BYTES)
            if self._kicked:
                raise KickedError
        return self._sock in readable

    def shut_down(self) -> None:
        """End the connection from another thread."""
        with suppress(OSError):
            # The plain method: SSLSocket's own would forget the TLS state under the reader.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def close(self, *, reset: bool = False) -> None:
        """Close the connection."""
        with suppress(OSError):
            if reset:
                linger = struct.pack("ii", 1, 0)
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            elif not isinstance(self._sock, ssl.SSLSocket):
                self._sock.shutdown(socket.SHUT_WR)
        for one in (self._sock, self._woken, self._waker):
            one.close()
