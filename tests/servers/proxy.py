# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
A TCP proxy on loopback that counts, delays and cuts; TLS passes through it untouched.

Use::

    with Proxy(server.port) as proxy:
        connect("localhost", proxy.port)
        assert proxy.round_trips <= 10
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

_CHUNK_BYTES = 65536
_STOP_SECONDS = 5.0


@dataclass(slots=True, kw_only=True)
class _Pair:
    client: socket.socket
    server: socket.socket
    forwarded: int = 0
    waits_for_client: bool = False
    held: deque[tuple[float, socket.socket, bytes]] = field(default_factory=deque)

    def other(self, one: socket.socket) -> socket.socket:
        return self.server if one is self.client else self.client


class Proxy:
    """
    Everything that is sent to :attr:`port` goes to ``target_port`` on loopback, and back.

    Counted is what is on the wire, so with TLS its handshake and records, too.

    :param delay_seconds: Every piece of data is held back for so long, in both directions: half a
        round trip time.
    :param cut_after_bytes: Close every connection after so many bytes from the server; None: never.
    :ivar http_status: While set, whatever a client sends is answered with this status of HTTP and
        an empty body, and goes nowhere.
    :ivar refusals: How often that happened.
    :ivar bytes_to_client: Bytes that clients received.
    :ivar bytes_to_server: Bytes that clients sent.
    :ivar round_trips: How often clients waited for the server: once for connecting, and once for
        each time that they sent something after they had received something.
    :ivar connections: Connections accepted.
    """

    def __init__(
        self, target_port: int, *, delay_seconds: float = 0.0, cut_after_bytes: int | None = None
    ) -> None:
        self.host = "localhost"
        self.port = 0
        self.delay_seconds = delay_seconds
        self.cut_after_bytes = cut_after_bytes
        self.http_status: int | None = None
        self._target_port = target_port
        self._selector = selectors.DefaultSelector()
        self._pairs: dict[socket.socket, _Pair] = {}
        self._wake, self._woken = socket.socketpair()
        self._thread: threading.Thread | None = None
        self.reset_counters()

    def reset_counters(self) -> None:
        """Set all counters to 0."""
        self.bytes_to_client = 0
        self.bytes_to_server = 0
        self.round_trips = 0
        self.connections = 0
        self.refusals = 0

    def __enter__(self) -> Proxy:
        """Listen and forward, in one thread."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = listener.getsockname()[1]
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(
            target=self._run, args=(listener,), name="proxy", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close everything."""
        self._wake.send(b"x")
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)
        self._selector.close()
        self._wake.close()

    def _run(self, listener: socket.socket) -> None:
        while True:
            for key, _ in self._selector.select(self._timeout_seconds()):
                if key.fileobj is self._woken:
                    for pair in {id(pair): pair for pair in self._pairs.values()}.values():
                        self._close(pair)
                    listener.close()
                    self._woken.close()
                    return
                if key.fileobj is listener:
                    self._accept(listener)
                elif isinstance(key.fileobj, socket.socket):
                    self._receive(key.fileobj)
            self._send_due()

    def _accept(self, listener: socket.socket) -> None:
        client, _ = listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self._target_port), timeout=5)
        except OSError:
            client.close()
            return
        self.connections += 1
        self.round_trips += 1
        pair = _Pair(client=client, server=server)
        for one in (client, server):
            one.settimeout(None)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._pairs[one] = pair
            self._selector.register(one, selectors.EVENT_READ)

    def _receive(self, source: socket.socket) -> None:
        pair = self._pairs.get(source)
        if pair is None:  # closed while this event waited its turn
            return
        try:
            data = source.recv(_CHUNK_BYTES)
        except OSError:
            data = b""
        if self.delay_seconds:
            pair.held.append((time.monotonic() + self.delay_seconds, source, data))
        else:
            self._forward(pair, source, data)

    def _forward(self, pair: _Pair, source: socket.socket, data: bytes) -> None:
        if not data:
            self._close(pair)
            return
        if source is pair.client and self.http_status is not None:
            head = f"HTTP/1.1 {self.http_status} Trouble\r\nContent-Length: 0\r\n"
            with suppress(OSError):
                source.sendall(f"{head}Connection: close\r\n\r\n".encode())
            self.refusals += 1
            self._close(pair)
            return
        if source is pair.server:
            if self.cut_after_bytes is not None:
                data = data[: self.cut_after_bytes - pair.forwarded]
            pair.forwarded += len(data)
            self.bytes_to_client += len(data)
            pair.waits_for_client = True
        else:
            self.bytes_to_server += len(data)
            self.round_trips += int(pair.waits_for_client)
            pair.waits_for_client = False
        with suppress(OSError):
            pair.other(source).sendall(data)
        if pair.forwarded == self.cut_after_bytes:
            self._close(pair)

    def _timeout_seconds(self) -> float | None:
        due = [pair.held[0][0] for pair in self._pairs.values() if pair.held]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _send_due(self) -> None:
        now = time.monotonic()
        for pair in list({id(pair): pair for pair in self._pairs.values()}.values()):
            while pair.held and pair.held[0][0] <= now:
                _, source, data = pair.held.popleft()
                self._forward(pair, source, data)

    def _close(self, pair: _Pair) -> None:
        pair.held.clear()
        for one in (pair.client, pair.server):
            if self._pairs.pop(one, None) is not None:
                self._selector.unregister(one)
                one.close()
