# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Connections through a proxy: HTTP CONNECT and SOCKS5, in bounded time.

python-socks speaks both. It reads with one timeout for each wait, and takes what follows the
answer to CONNECT for a part of it: the greeting of a server that speaks first would be lost. So it
is given a connection that knows when the time is up and where the answer ends. Load this module
only where a proxy is used.
"""

from __future__ import annotations

import re
import socket
import time
from typing import Any

from python_socks import ProxyError, ProxyType
from python_socks.sync import Proxy

from airflow_imap_oauth.oauth.proxies import ProxyAddress, ProxyFailureError

_MAX_HEAD_BYTES = 64 * 1024
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_HOST = re.compile(rb"[!-~]+")

# RFC 1928 section 6: what no later attempt changes.
_SOCKS_NOT_ALLOWED = 2
_SOCKS_UNSUPPORTED = frozenset({7, 8})
_HTTP_FORBIDDEN = 403
_HTTP_AUTHENTICATION_REQUIRED = 407


def open_tunnel(
    proxy: ProxyAddress, host: str, port: int, *, timeout_seconds: float
) -> socket.socket:
    """
    Return a connection to a server through a proxy, ready for TLS; its timeout is the given one.

    :param timeout_seconds: For the way to the proxy and what is said there, together.
    :raises ProxyFailureError: If the proxy cannot be reached, or does not open the way.
    :raises UnicodeError: If ``host`` is not the name of a host.
    """
    expires_at = time.monotonic() + timeout_seconds
    name = host.encode("idna")
    if not _HOST.fullmatch(name):
        raise UnicodeError("not the name of a host")
    failure: OSError
    try:
        connection = socket.create_connection((proxy.host, proxy.port), timeout_seconds)
    except OSError as error:
        failure = unreachable(proxy, error)
    else:
        extend(connection, proxy, name.decode("ascii"), port, expires_at=expires_at)
        connection.settimeout(timeout_seconds)
        return connection
    raise failure from None


def extend(
    connection: socket.socket, proxy: ProxyAddress, host: str, port: int, *, expires_at: float
) -> None:
    """
    Ask the proxy at the other end of a connection to extend it to a server.

    :param host: A name in ASCII, or an address.
    :param expires_at: By :func:`time.monotonic`.
    :raises ProxyFailureError: If it does not; the connection is closed.
    """
    speech = _Speech(connection, proxy.scheme == "http", expires_at)
    failure: OSError
    try:
        _Spoken(proxy, speech).connect(host, port)
    except socket.gaierror:  # of socks5, which resolves here
        failure = ProxyFailureError(
            f"The name of host '{host}' cannot be resolved.",
            hint="Check its spelling, or use socks5h in proxy_url: then the proxy resolves it.",
            retry_helps=True,
        )
    except TimeoutError as error:
        failure = unreachable(proxy, error)
    except OSError:
        failure = _closed(proxy)
    except (ProxyError, ValueError) as error:
        code = getattr(error, "error_code", None)
        failure = _refusal(proxy, speech, code, f"host '{host}' port {port}")
    else:
        return
    connection.close()
    raise failure from None


def unreachable(proxy: ProxyAddress, error: BaseException | None) -> ProxyFailureError:
    """Say why a proxy cannot be reached, from the error of a socket."""
    hint = "Check proxy_url, and the firewall between here and the proxy."
    if isinstance(error, socket.gaierror):
        message = f"The name of the proxy '{proxy.host}' cannot be resolved."
    elif isinstance(error, TimeoutError):
        message = f"The proxy '{proxy.host}' did not answer in time."
        hint = "Check proxy_url, or raise connect_timeout_seconds."
    else:
        message = f"The proxy '{proxy.host}' cannot be reached."
    return ProxyFailureError(message, hint=hint, retry_helps=True)


def _closed(proxy: ProxyAddress) -> ProxyFailureError:
    return ProxyFailureError(
        f"The proxy '{proxy.host}' closed the connection without an answer.",
        hint="Check proxy_url, and that the proxy serves this machine.",
        retry_helps=True,
    )


def _refusal(
    proxy: ProxyAddress, speech: _Speech, code: int | None, target: str
) -> ProxyFailureError:
    """Judge the proxy's answer, by its code and not by its words."""
    is_http = proxy.scheme == "http"
    told = f"{'HTTP' if is_http else 'SOCKS reply'} {code}"
    retry_helps = False
    if _wants_sign_in(code, speech.heard, is_http=is_http):
        asked = "refuses the user and password of" if proxy.user else "wants a user and password in"
        message = f"The proxy '{proxy.host}' {asked} proxy_url."
        hint = "Put the right ones before its host, percent-encoded: user:password@"
    elif code is None and speech.is_over:
        return _closed(proxy)
    elif code is None or (not is_http and code in _SOCKS_UNSUPPORTED):
        what = "HTTP CONNECT" if is_http else "SOCKS5"
        message = f"The proxy '{proxy.host}' does not speak {what} as is needed."
        hint = "Check scheme and port of proxy_url."
    elif code == (_HTTP_FORBIDDEN if is_http else _SOCKS_NOT_ALLOWED):
        message = f"The proxy '{proxy.host}' does not allow connections to {target} ({told})."
        hint = "Ask whoever runs the proxy to allow that host and port."
    else:
        message = f"The proxy '{proxy.host}' could not connect to {target} ({told})."
        hint = "Try again later; if it persists, check host and port, and the proxy's own way out."
        retry_helps = True
    return ProxyFailureError(message, hint=hint, retry_helps=retry_helps)


def _wants_sign_in(code: int | None, heard: bytes, *, is_http: bool) -> bool:
    if is_http:
        return code == _HTTP_AUTHENTICATION_REQUIRED
    # RFC 1928 section 3: no acceptable method. RFC 1929 section 2: any status but 0 is a failure.
    return heard == b"\x05\xff" or (
        heard.startswith(b"\x05\x02\x01") and heard[3:4] not in {b"", b"\x00"}
    )


class _Spoken(Proxy):
    """What python-socks says to a proxy, over a connection that stands."""

    def __init__(self, proxy: ProxyAddress, speech: _Speech) -> None:
        is_http = proxy.scheme == "http"
        super().__init__(
            ProxyType.HTTP if is_http else ProxyType.SOCKS5,
            proxy.host,
            proxy.port,
            username=_as_sent(proxy.user, is_http),
            password=_as_sent(proxy.password, is_http),
            rdns=proxy.scheme == "socks5h",
            # What python-socks takes for the way to this proxy: another proxy, or this.
            forward=_Standing(speech),
        )


class _Standing(Proxy):
    def __init__(self, speech: _Speech) -> None:
        self._speech: Any = speech

    def connect(self, *_: Any, **__: Any) -> socket.socket:
        """Return the connection."""
        stands: socket.socket = self._speech
        return stands


class _Speech:
    """
    The part of a socket that python-socks uses, bounded in time.

    :ivar heard: What the proxy answered so far.
    :ivar is_over: Whether it closed the connection.
    """

    def __init__(self, connection: socket.socket, is_http: bool, expires_at: float) -> None:
        self._connection = connection
        self._is_http = is_http
        self._expires_at = expires_at
        self.heard = b""
        self.is_over = False

    def sendall(self, data: bytes) -> None:
        """Send."""
        self._wait_no_longer()
        self._connection.sendall(data)

    def recv(self, size: int) -> bytes:
        """Return what was asked for; of HTTP the whole head of the answer, and no byte more."""
        if not self._is_http:
            return self._take(size)
        while len(self.heard) < _MAX_HEAD_BYTES:
            self._wait_no_longer()
            coming = self._connection.recv(size, socket.MSG_PEEK)
            end = _HEAD_END.search(self.heard + coming)
            self._take(len(coming) if end is None else end.end() - len(self.heard))
            if end is not None:
                break
            if not coming:
                self.is_over = True
                break
        return self.heard

    def close(self) -> None:
        """Close."""
        self._connection.close()

    def _take(self, size: int) -> bytes:
        self._wait_no_longer()
        data = self._connection.recv(size)
        self.heard += data
        self.is_over = not data and size > 0
        return data

    def _wait_no_longer(self) -> None:
        left = self._expires_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)


def _as_sent(text: str | None, is_http: bool) -> str | None:
    """Make UTF-8 (RFC 7617 section 2.1) of what python-socks sends as ISO 8859-1."""
    return text.encode().decode("latin-1") if text is not None and is_http else text
