# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
A forward proxy on loopback: HTTP CONNECT or SOCKS5, with or without a sign-in, and with faults.

Use::

    with ForwardProxy("socks5", user="u", password="p") as proxy:
        connect("localhost", 993, through=proxy.url)
        assert proxy.targets == [("localhost", 993)]

Every name that it is asked for is loopback to it.
"""

from __future__ import annotations

import base64
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Literal
from urllib.parse import quote

_CHUNK_BYTES = 65536
_STOP_SECONDS = 5.0
_DRIP_SECONDS = 0.1

ProxyKind = Literal["http", "socks5"]
Fault = Literal["", "silent", "drip", "hang up", "reset", "garbage", "glued", "split"]


class ForwardProxy:
    """
    One proxy of one kind.

    :param user: Who may use it; None: anybody.
    :param refusal: What is answered in place of a connection: an HTTP status line without its
        version, such as ``403 Forbidden``, or a SOCKS reply code. None: the connection is made.
    :param fault: ``silent``: no answer; ``drip``: a byte of it each 0.1 seconds, without end;
        ``hang up``, ``reset``: the connection ends instead of it; ``garbage``: something else;
        ``glued``: it comes in one piece with what the server says first; ``split``: in pieces of
        one byte.
    :ivar targets: Hosts and ports that it was asked for, as they were written.
    :ivar requests: What clients sent before the tunnel stood.
    :ivar connections: Connections accepted.
    """

    def __init__(
        self,
        kind: ProxyKind,
        *,
        user: str | None = None,
        password: str = "",
        refusal: str | int | None = None,
        fault: Fault = "",
    ) -> None:
        self.kind = kind
        self.user = user
        self.password = password
        self.refusal = refusal
        self.fault = fault
        self.port = 0
        self.targets: list[tuple[str, int]] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self._listener = socket.socket()
        self._stop = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        """Its URL, as a client of it writes it; SOCKS with names resolved by the proxy."""
        return self.url_of("http" if self.kind == "http" else "socks5h")

    def url_of(self, scheme: str, *, password: str | None = None) -> str:
        """Return its URL with another scheme or password."""
        login = ""
        if self.user is not None:
            secret = self.password if password is None else password
            login = f"{quote(self.user, safe='')}:{quote(secret, safe='')}@"
        return f"{scheme}://{login}127.0.0.1:{self.port}"

    def __enter__(self) -> ForwardProxy:
        """Listen, and serve each connection in a thread."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        """Close everything."""
        self._stop.set()
        with socket.socket() as wake:
            wake.connect_ex(("127.0.0.1", self.port))
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_STOP_SECONDS)
        self._listener.close()
        for one in self._open:
            one.close()

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._stop.is_set():
                client.close()
                return
            self.connections += 1
            self._open.append(client)
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, EOFError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            speak = self._http if self.kind == "http" else self._socks
            granted = speak(client)
            if granted is not None:
                self._tunnel(client, granted)
        if self.fault != "reset":
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            client.close()

    # --- The two protocols ----------------------------------------------------------------------

    def _http(self, client: socket.socket) -> bytes | None:
        """Read a CONNECT; return the answer that opens the tunnel, or None after a refusal."""
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += _read(client, 1)
        self.requests.append(request)
        method, target, _ = request.split(b"\r\n")[0].decode().split(" ")
        host, _, port = target.rpartition(":")
        self.targets.append((host.strip("[]"), int(port)))
        refusal = self.refusal
        if method != "CONNECT":
            refusal = "405 Method Not Allowed"
        elif not self._may_pass(request):
            refusal = "407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x"
        if refusal is not None:
            self._say(client, f"HTTP/1.1 {refusal}\r\nContent-Length: 5\r\n\r\nsorry".encode())
            return None
        return b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n"

    def _may_pass(self, request: bytes) -> bool:
        if self.user is None:
            return True
        login = base64.b64encode(f"{self.user}:{self.password}".encode())
        return b"proxy-authorization: basic " + login.lower() in request.lower()

    def _socks(self, client: socket.socket) -> bytes | None:
        """Read the requests of RFC 1928; return the last answer, or None after a refusal."""
        head = _read(client, 2)
        methods = _read(client, head[1])
        self.requests.append(head + methods)
        wanted = b"\x00" if self.user is None else b"\x02"
        if wanted not in methods:
            self._say(client, b"\x05\xff")
            return None
        if not self._say(client, b"\x05" + wanted):
            return None
        if self.user is not None and not self._socks_sign_in(client):
            return None
        host = self._socks_target(client)
        port = int.from_bytes(_read(client, 2), "big")
        self.targets.append((host, port))
        reply = b"\x00\x01\x7f\x00\x00\x01\x00\x00"
        if self.refusal is not None:
            self._say(client, b"\x05" + bytes([int(self.refusal)]) + reply)
            return None
        return b"\x05\x00" + reply

    def _socks_sign_in(self, client: socket.socket) -> bool:
        _read(client, 1)
        user = _read(client, _read(client, 1)[0]).decode()
        password = _read(client, _read(client, 1)[0]).decode()
        is_right = (user, password) == (self.user, self.password)
        return self._say(client, b"\x01\x00" if is_right else b"\x01\x01") and is_right

    def _socks_target(self, client: socket.socket) -> str:
        kind = _read(client, 4)[3]
        if kind == 3:
            return _read(client, _read(client, 1)[0]).decode()
        family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
        return socket.inet_ntop(family, _read(client, size))

    # --- What is answered -----------------------------------------------------------------------

    def _say(self, client: socket.socket, answer: bytes) -> bool:
        """Answer as the fault wants it; False where the client is lost to it."""
        if self.fault == "silent":
            self._stop.wait()
        elif self.fault == "drip":
            for byte in self._dripping():
                client.sendall(byte)
        elif self.fault == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            client.close()
        elif self.fault == "garbage":
            client.sendall(b"SSH-2.0-test\r\n\r\n")
        elif self.fault == "split":
            for value in answer:
                client.sendall(bytes([value]))
            return True
        elif self.fault != "hang up":
            client.sendall(answer)
            return True
        return False

    def _dripping(self) -> Iterator[bytes]:
        # An answer of RFC 1928 that ends in a long name; or a line of HTTP without end.
        start = b"HTTP/1.1 200 " if self.kind == "http" else b"\x05\x00\x05\x00\x00\x03\xff"
        for value in start + b"x" * 100:
            if self._stop.is_set():
                return
            time.sleep(_DRIP_SECONDS)
            yield bytes([value])

    def _tunnel(self, client: socket.socket, granted: bytes) -> None:
        _, port = self.targets[-1]
        with socket.create_connection(("127.0.0.1", port), timeout=5) as server:
            server.settimeout(None)
            self._open.append(server)
            if self.fault == "glued":
                granted += server.recv(_CHUNK_BYTES)
            if self._say(client, granted):
                _relay(client, server)


def _relay(client: socket.socket, server: socket.socket) -> None:
    """Pass bytes both ways until one side ends."""
    others = {client: server, server: client}
    with selectors.DefaultSelector() as selector:
        for one in others:
            selector.register(one, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                source = key.fileobj
                assert isinstance(source, socket.socket)
                data = source.recv(_CHUNK_BYTES)
                if not data:
                    return
                others[source].sendall(data)


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data
