# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The way to an authorization server: what is sent, and what is not accepted."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from airflow_imap_oauth.exceptions import ConfigurationError, OAuthError, TransientOAuthError
from airflow_imap_oauth.oauth.http import MAX_BODY_BYTES, HttpAnswer, Transport
from airflow_imap_oauth.oauth.settings import TransportSettings
from tests.servers.certificates import CertificateAuthority

Speak = Callable[[socket.socket, bytes], None]


class Listener:
    """What a server of one connection after another got to hear."""

    def __init__(self, port: int, settings: TransportSettings) -> None:
        self.url = f"https://localhost:{port}/token"
        self.plain_url = f"http://localhost:{port}/token"
        self.settings = settings
        self.heard: list[bytes] = []

    def ask(self, *, form: dict[str, str] | None = None, **changes: object) -> HttpAnswer:
        """Send one request."""
        method = "GET" if form is None else "POST"
        with Transport(self.settings) as transport:
            return transport.request(method, self.url, form=form, step="test", **changes)

    def fails(self) -> OAuthError:
        """Send one request, and return its error."""
        with pytest.raises(OAuthError) as caught:
            self.ask()
        return caught.value


@contextmanager
def listening(
    ca: CertificateAuthority,
    speak: Speak,
    *,
    tls: bool = True,
    context: ssl.SSLContext | None = None,
) -> Iterator[Listener]:
    """Run a server that reads a request and answers it byte for byte as told."""
    if tls and context is None:
        context = ca.server_context("localhost")
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings = TransportSettings(
            ca_file=str(ca.ca_file),
            connect_timeout_seconds=1.0,
            read_timeout_seconds=0.5,
            allow_loopback_http=not tls,
        )
        listener = Listener(server.getsockname()[1], settings)
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                with suppress(OSError):  # of clients that leave as they please
                    connection, _ = server.accept()
                    _serve_one(connection, context, speak, listener.heard)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener
        finally:
            stop.set()
            with socket.socket() as wake:
                wake.connect_ex(server.getsockname())
            thread.join(timeout=10)


def _serve_one(
    connection: socket.socket,
    context: ssl.SSLContext | None,
    speak: Speak,
    heard: list[bytes],
) -> None:
    with connection:
        connection.settimeout(5)
        tls = context.wrap_socket(connection, server_side=True) if context else connection
        with tls:
            request = b""
            while not _whole(request):
                piece = tls.recv(65536)
                if not piece:
                    return
                request += piece
            heard.append(request)
            speak(tls, request)


def _whole(request: bytes) -> bool:
    if request.startswith(b"\x16"):  # the handshake of a client that takes us for a TLS server
        return True
    head, mark, body = request.partition(b"\r\n\r\n")
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(mark) and len(body) >= (int(length[0].split(b":")[1]) if length else 0)


def saying(status: str, body: bytes = b"{}", *headers: str, length: bool = True) -> Speak:
    """Return a server's answer."""

    def speak(connection: socket.socket, _: bytes) -> None:
        lines = [f"HTTP/1.1 {status}", *headers]
        if length:
            lines.append(f"Content-Length: {len(body)}")
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    return speak


def test_answers_of_success_and_client_error_are_returned(ca: CertificateAuthority) -> None:
    """2xx and 4xx reach the caller, headers by lower-case name."""
    for status in (200, 201, 400, 401, 404):
        with listening(ca, saying(f"{status} X", b'{"a":1}', "X-Thing: v")) as listener:
            answer = listener.ask()
            assert (answer.status_code, answer.text) == (status, '{"a":1}')
            assert answer.headers["x-thing"] == "v"


def test_rfc8259_8_1_mark_in_front_is_taken_off(ca: CertificateAuthority) -> None:
    """No reader of an answer, ours or a library's, gets to see a byte order mark."""
    with listening(ca, saying("200 OK", b"\xef\xbb\xbf{}")) as peer:
        assert peer.ask().text == "{}"


def test_rfc6749_2_3_1_secrets_are_in_the_body_alone(ca: CertificateAuthority) -> None:
    """The request line holds no parameter, and no header but the needed ones is sent."""
    with listening(ca, saying("200 OK")) as listener:
        listener.ask(form={"refresh_token": "a b&c=é"})
        head, _, body = listener.heard[0].partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    assert first == b"POST /token HTTP/1.1"
    names = {line.split(b":")[0].lower() for line in headers}
    assert names == {
        *(b"host", b"accept", b"accept-encoding", b"connection", b"user-agent"),
        *(b"content-type", b"content-length"),
    }
    assert body == b"refresh_token=a+b%26c%3D%C3%A9"


def test_cookies_are_not_sent_back(ca: CertificateAuthority) -> None:
    """A cookie of one answer is not part of the next request."""
    with listening(ca, saying("200 OK", b"{}", "Set-Cookie: sid=1; Path=/")) as listener:
        with Transport(listener.settings) as transport:
            for _ in range(2):
                transport.request("GET", listener.url, step="test")
        assert not any(b"cookie" in request.lower() for request in listener.heard)


def test_netrc_is_not_read(
    ca: CertificateAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A .netrc with a password for the host changes nothing."""
    (tmp_path / "netrc").write_text("machine localhost login u password p\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with listening(ca, saying("200 OK")) as listener:
        listener.ask()
        assert b"authorization" not in listener.heard[0].lower()


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temp", "308 Perm"])
def test_rfc8414_3_no_redirect_is_followed(ca: CertificateAuthority, status: str) -> None:
    """A redirect is an error even to the same host."""
    with listening(ca, saying(status, b"", "Location: /elsewhere")) as listener:
        error = listener.fails()
        assert not error.retry_helps
        assert len(listener.heard) == 1


def test_body_at_the_cap_is_read(ca: CertificateAuthority) -> None:
    """One MiB is still an answer."""
    with listening(ca, saying("200 OK", b"x" * MAX_BODY_BYTES)) as listener:
        assert len(listener.ask().text) == MAX_BODY_BYTES


@pytest.mark.parametrize("length", [True, False])
def test_body_beyond_the_cap_is_not_read(ca: CertificateAuthority, length: bool) -> None:
    """One byte more is not, announced or not."""
    speak = saying("200 OK", b"x" * (MAX_BODY_BYTES + 1), length=length)
    with listening(ca, speak) as listener:
        assert "larger than" in listener.fails().message


def test_compressed_answer_is_refused(ca: CertificateAuthority) -> None:
    """A body that could grow beyond the cap when unpacked is not unpacked."""
    with listening(ca, saying("200 OK", b"x", "Content-Encoding: gzip")) as listener:
        error = listener.fails()
        assert isinstance(error, TransientOAuthError)
        assert "compressed" in error.message
        assert b"accept-encoding: identity" in listener.heard[0].lower()


def test_endless_headers_are_bounded(ca: CertificateAuthority) -> None:
    """A server that drips headers is cut off after the bound for the whole answer."""

    def drip(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for number in range(100):
            connection.sendall(f"X-{number}: v\r\n".encode())
            time.sleep(0.1)

    with listening(ca, drip) as listener:
        started = time.monotonic()
        error = listener.fails()
        assert isinstance(error, TransientOAuthError)
        assert "not whole after 2 seconds" in error.message
        assert time.monotonic() - started < 4


def test_endless_body_without_length_is_bounded(ca: CertificateAuthority) -> None:
    """A body that the bound cut short is not taken for a whole one."""

    def drip(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n{}")
        for _number in range(100):
            connection.sendall(b" ")
            time.sleep(0.1)

    with listening(ca, drip) as listener:
        assert "not whole" in listener.fails().message


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
        b"* OK IMAP4rev1 ready\r\n",
        b"\x00\x01\x02" * 100,
    ],
)
def test_broken_http_is_transient(ca: CertificateAuthority, answer: bytes) -> None:
    """What is no whole HTTP answer is a broken connection."""
    with listening(ca, lambda connection, _: connection.sendall(answer)) as listener:
        error = listener.fails()
        assert isinstance(error, TransientOAuthError)
        assert "broke off" in error.message


def test_port_without_tls_is_named(ca: CertificateAuthority) -> None:
    """A plain port under https is a TLS error that says so."""
    with listening(ca, saying("400 Bad Request"), tls=False) as listener:
        listener.url = listener.plain_url.replace("http:", "https:")
        error = listener.fails()
        assert isinstance(error, TransientOAuthError)
        assert "TLS with host 'localhost' failed" in error.message


def test_http_to_loopback_under_the_test_setting(ca: CertificateAuthority) -> None:
    """Plain http works for loopback where it is allowed."""
    with listening(ca, saying("200 OK"), tls=False) as listener:
        listener.url = listener.plain_url
        assert listener.ask().status_code == 200


def test_refused_connection_is_transient() -> None:
    """A closed port is named as unreachable."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with Transport(TransportSettings()) as transport, pytest.raises(TransientOAuthError) as caught:
        transport.request("GET", f"https://127.0.0.1:{port}/", step="test")
    assert "cannot be reached" in caught.value.message
    assert caught.value.step == "test"


def test_unknown_host_is_transient_and_named() -> None:
    """A name that does not resolve is told apart from a host that does not answer."""
    with Transport(TransportSettings()) as transport, pytest.raises(TransientOAuthError) as caught:
        transport.request("GET", "https://no-such-host.invalid/", step="test")
    assert "'no-such-host.invalid' cannot be resolved" in caught.value.message


def test_expired_certificate_blames_the_time(ca: CertificateAuthority) -> None:
    """An expired certificate is no matter of ca_file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*ca.issue("localhost", expired=True))
    with listening(ca, saying("200 OK"), context=context) as listener:
        error = listener.fails()
        assert not error.retry_helps
        assert "not valid at this time" in error.message
        assert "clock" in error.hint


def test_certificate_of_another_host_blames_the_url(ca: CertificateAuthority) -> None:
    """A certificate for another name is no matter of ca_file."""
    context = ca.server_context("other.example")
    with listening(ca, saying("200 OK"), context=context) as listener:
        error = listener.fails()
        assert not error.retry_helps
        assert "is for another host" in error.message


@pytest.mark.parametrize(("content", "problem"), [(None, "does not exist"), ("x", "PEM form")])
def test_unusable_ca_file(tmp_path: Path, content: str | None, problem: str) -> None:
    """A ca_file that is missing, or no certificate, is named with its problem."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    settings = TransportSettings(ca_file=str(file))
    with Transport(settings) as transport, pytest.raises(ConfigurationError, match=problem):
        transport.request("GET", "https://localhost/", step="test")


def test_ca_file_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """What is no plain file is named, and not read."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, Path("/dev/zero")):
        settings = TransportSettings(ca_file=str(path))
        with (
            Transport(settings) as transport,
            pytest.raises(ConfigurationError, match="no plain file"),
        ):
            transport.request("GET", "https://localhost/", step="test")


def test_closed_transport_can_be_used_again(ca: CertificateAuthority) -> None:
    """Closing is no end: the next request opens what it needs."""
    with listening(ca, saying("200 OK")) as listener:
        transport = Transport(listener.settings)
        for _ in range(2):
            assert transport.request("GET", listener.url, step="test").status_code == 200
            transport.close()
