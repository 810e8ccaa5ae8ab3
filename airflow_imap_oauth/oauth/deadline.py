# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A bound on a whole HTTP exchange, however slowly the other side sends."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from threading import Lock, Timer
from types import TracebackType
from typing import Any


class Deadline:
    """
    Cuts the connection of one HTTP request when its time is up.

    A read timeout bounds each wait for bytes, not their sum: a server that sends one byte
    every few seconds would hold the lock of a token refresh for hours. httpx has no timeout for
    the whole, so a timer shuts the socket down, and the blocked read ends at once.

    :param seconds: Time from entering the context to the last byte of the answer.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.expired = False
        self._socket: socket.socket | None = None
        self._lock = Lock()
        self._timer = Timer(seconds, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        """Start the clock."""
        self._timer.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the clock."""
        self._timer.cancel()
        with self._lock:
            self._socket = None

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Learn of the socket: the ``trace`` extension of an httpx request."""
        if event not in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            return
        found = info["return_value"].get_extra_info("socket")
        with self._lock:
            self._socket = found
            expired = self.expired
        if expired:
            _shut_down(found)

    def _expire(self) -> None:
        with self._lock:
            self.expired = True
            if self._socket is not None:
                _shut_down(self._socket)


def _shut_down(connection: socket.socket) -> None:
    # The plain socket's own method: an SSLSocket's would drop its TLS state under the reader.
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
