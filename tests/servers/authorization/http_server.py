# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""HTTPS on loopback, a thread per connection, with answers that may go wrong on purpose."""

from __future__ import annotations

import json
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.servers.authorization.faults import Fault
from tests.servers.authorization.messages import Answer, Request, html_answer, json_answer

_IDLE_SECONDS = 60
_MAX_BODY_BYTES = 1024 * 1024
_CHUNK = b"a" * 65536

Application = Callable[[Request], tuple[Answer, "Fault | None"]]


class HttpsServer(ThreadingHTTPServer):
    """
    Serves an application on ``127.0.0.1``.

    :param application: Called for each request in the thread of its connection; returns the answer
        and the fault that befalls it, or None.
    :param port: 0 for any that is free.
    :param wall_clock: Tells the Unix time of the header Date.
    """

    daemon_threads = True
    # Many tests connect at the same moment.
    request_queue_size = 128

    def __init__(
        self,
        application: Application,
        context: ssl.SSLContext,
        port: int,
        *,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.application = application
        self.wall_clock = wall_clock
        self.stopping = threading.Event()
        self._context = context
        self._open: set[ssl.SSLSocket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)
        self.base_url = f"https://localhost:{self.server_port}"
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    def server_bind(self) -> None:
        """Bind without asking the resolver for this machine's name, which may take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def start(self) -> None:
        """Serve in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and end every connection."""
        self.stopping.set()
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        self.server_close()
        with self._open_lock:
            for connection in self._open:
                _end(connection)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Do the handshake in the connection's own thread, then serve it."""
        request.settimeout(_IDLE_SECONDS)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._context.wrap_socket(request, server_side=True) as connection:
            with self._open_lock:
                self._open.add(connection)
            try:
                super().finish_request(connection, client_address)
            finally:
                with self._open_lock:
                    self._open.discard(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet of clients that went away or did not trust us; report all else."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _end(connection: ssl.SSLSocket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "test-authorization-server"
    sys_version = ""
    wbufsize = -1
    server: HttpsServer

    def do_GET(self) -> None:
        """Answer."""
        self._serve()

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET  # noqa: N815

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return an instant, or now, as the header Date has it."""
        now = self.server.wall_clock()
        return super().date_time_string(now if timestamp is None else timestamp)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing: URLs hold codes."""

    def _serve(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if (
            not length.isdigit()
            or int(length) > _MAX_BODY_BYTES
            or "Transfer-Encoding" in self.headers
        ):
            self.close_connection = True
            self._send(json_answer({"error": "invalid_request"}, 413))
            return
        path, _, query = self.path.partition("?")
        request = Request(
            method=self.command,
            path=path,
            query=query,
            url=self.server.base_url + self.path,
            headers=self.headers,
            body=self.rfile.read(int(length)),
        )
        answer, fault = self.server.application(request)
        if fault is None:
            self._send(answer)
        else:
            self._fail(fault, answer)

    def _send(self, answer: Answer) -> None:
        self._send_head(answer, len(answer.body))
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _send_head(self, answer: Answer, length: int) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    # --- Faults -----------------------------------------------------------------------------------

    def _fail(self, fault: Fault, answer: Answer) -> None:
        if fault.kind == "slow":
            self.server.stopping.wait(fault.seconds)
            self._send(answer)
        elif fault.kind in _BROKEN:
            self.close_connection = True
            _BROKEN[fault.kind](self, fault, answer)
        else:
            self._send(_replacement(fault))

    def _reset(self, fault: Fault, answer: Answer) -> None:
        del fault, answer
        # Closed at once and without a farewell: the peer sees a reset.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _truncate(self, fault: Fault, answer: Answer) -> None:
        del fault
        self._send_head(answer, len(answer.body))
        self.wfile.write(answer.body[: len(answer.body) // 2])

    def _drip(self, fault: Fault, answer: Answer) -> None:
        self._send_head(answer, len(answer.body))
        for position in range(len(answer.body)):
            self.wfile.write(answer.body[position : position + 1])
            self.wfile.flush()
            if self.server.stopping.wait(fault.seconds):
                return

    def _huge(self, fault: Fault, answer: Answer) -> None:
        del answer
        head = b'{"access_token":"'
        self._send_head(json_answer({}, fault.status or 200), fault.size_bytes)
        self.wfile.write(head)
        left = fault.size_bytes - len(head)
        while left > 0 and not self.server.stopping.is_set():
            left -= self.wfile.write(_CHUNK[:left])


_BROKEN: dict[str, Callable[[_Handler, Fault, Answer], None]] = {
    "reset": _Handler._reset,
    "truncated_json": _Handler._truncate,
    "drip": _Handler._drip,
    "huge_body": _Handler._huge,
}


def _replacement(fault: Fault) -> Answer:
    retry = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
    if fault.kind == "html":
        page = "<!doctype html><title>Bad gateway</title><h1>Bad gateway</h1>"
        answer = html_answer(page, fault.status or 502)
    elif fault.kind == "status":
        answer = Answer(status=fault.status or 503)
    elif fault.kind == "redirect":
        answer = Answer(status=fault.status or 307, headers={"Location": fault.location})
    elif fault.kind == "body":
        headers = {"Content-Type": fault.content_type}
        answer = Answer(status=fault.status or 200, body=fault.body.encode(), headers=headers)
    else:
        body: dict[str, object] = {"error": fault.error}
        if fault.error_description is not None:
            body["error_description"] = fault.error_description
        usual = 200 if fault.kind == "error_200" else 400
        answer = Answer(
            status=fault.status or usual,
            body=json.dumps({**body, **dict(fault.members)}).encode(),
            headers={"Content-Type": "application/json", "Cache-Control": "no-store"},
        )
    answer.headers.update(retry)
    return answer
