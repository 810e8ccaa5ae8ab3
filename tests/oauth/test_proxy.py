# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Token requests through a proxy: which are taken, what is sent, and how each failure is told."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import time
import traceback
from dataclasses import replace

import pytest

from airflow_imap_oauth.exceptions import ConfigurationError, OAuthError, TransientOAuthError
from airflow_imap_oauth.oauth.http import HttpAnswer, Transport
from airflow_imap_oauth.oauth.proxies import checked_proxy_url
from airflow_imap_oauth.oauth.settings import TransportSettings
from tests.oauth.test_transport import Listener, listening, saying
from tests.servers.certificates import CertificateAuthority
from tests.servers.http_proxy import Fault, ForwardProxy, ProxyKind

KINDS: tuple[ProxyKind, ...] = ("http", "socks5")
CANARY = "canary-9fb1-of-the-proxy"


def _ask(listener: Listener, proxy_url: str, url: str | None = None) -> HttpAnswer:
    settings = replace(listener.settings, proxy_url=proxy_url)
    with Transport(settings) as transport:
        return transport.request("POST", url or listener.url, form={"a": "b"}, step="test")


def _error(listener: Listener, proxy_url: str) -> OAuthError:
    with pytest.raises(OAuthError) as caught:
        _ask(listener, proxy_url)
    return caught.value


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("http://proxy.example.com:3128", 3128),
        ("http://proxy.example.com/", 80),
        ("socks5://proxy.example.com", 1080),
        ("socks5h://[::1]:1080", 1080),
        ("HTTP://PROXY.example.com:8080", 8080),
    ],
)
def test_usable_proxy_urls(url: str, port: int) -> None:
    """The three schemes are taken, with their usual ports."""
    proxy = checked_proxy_url(url)
    assert proxy.port == port
    assert proxy.user is None


def test_user_and_password_are_percent_decoded_and_not_shown() -> None:
    """They are read as UTF-8, and stand in no repr."""
    proxy = checked_proxy_url(f"http://us%40er:{CANARY}%3A%2F%C3%A9@proxy.example.com")
    assert (proxy.user, proxy.password) == ("us@er", f"{CANARY}:/é")
    assert "us@er" not in repr(proxy)
    assert CANARY not in f"{proxy!r}{TransportSettings(proxy_url=f'http://u:{CANARY}@p')!r}"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "proxy.example.com:3128",
        f"u:{CANARY}@proxy.example.com",
        f"https://u:{CANARY}@proxy.example.com",
        f"socks4://u:{CANARY}@proxy.example.com",
        f"ftp://u:{CANARY}@proxy.example.com",
        f"{CANARY}://proxy.example.com",
        f"http://u:{CANARY}/rest@proxy.example.com",
        f"http://u:{CANARY}#rest@proxy.example.com",
        f"http://u:{CANARY}@proxy.example.com/path",
        f"http://u:{CANARY}@proxy.example.com?",
        f"http://u:{CANARY}@",
        f"http://u:{CANARY}@proxy.example.com:0",
        f"http://u:{CANARY}@proxy.example.com:99999",
        f"http://u:{CANARY}@proxy..example.com",
        f"http://u:{CANARY} x@proxy.example.com",
        f"http://u:{CANARY}\n@proxy.example.com",
        f"http://u:{CANARY}%0D%0A@proxy.example.com",
        f"http://u:{CANARY}%FF@proxy.example.com",
        f"http://a%3Au:{CANARY}@proxy.example.com",
        f"http://:{CANARY}@proxy.example.com",
        f"http://{CANARY}@proxy.example.com",
        f"socks5://u:{CANARY}%C3%A9@proxy.example.com",
        f"socks5://u:{CANARY * 20}@proxy.example.com",
    ],
)
def test_unusable_proxy_urls(ca: CertificateAuthority, url: str) -> None:
    """They are refused before any network, by a message that repeats nothing of them."""
    with pytest.raises(ConfigurationError, match="proxy_url") as caught:
        checked_proxy_url(url)
    shown = f"{caught.value}{caught.value.__context__!r}{caught.value.__cause__!r}"
    assert CANARY not in shown
    assert caught.value.hint
    with listening(ca, saying("200 OK")) as listener:
        with pytest.raises(ConfigurationError):
            _ask(listener, url)
        assert listener.heard == []


@pytest.mark.parametrize("fault", ["", "split"])
@pytest.mark.parametrize("kind", KINDS)
def test_request_goes_through_the_proxy(
    ca: CertificateAuthority, kind: ProxyKind, fault: Fault
) -> None:
    """A server on loopback too is reached through it alone, with TLS up to the server."""
    with listening(ca, saying("200 OK")) as listener, ForwardProxy(kind, fault=fault) as proxy:
        assert _ask(listener, proxy.url).status_code == 200
        port = int(listener.url.split(":")[2].split("/")[0])
        assert proxy.targets == [("localhost", port)]
        assert len(listener.heard) == 1


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_environment_has_no_say(
    ca: CertificateAuthority, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Variables neither take the proxy away nor bring one."""
    with listening(ca, saying("200 OK")) as listener, ForwardProxy("http") as proxy:
        monkeypatch.setenv(name, "*" if name.lower() == "no_proxy" else proxy.url)
        _ask(listener, proxy.url)
        assert proxy.connections == 1
        listener.ask()
        assert proxy.connections == 1


@pytest.mark.parametrize("kind", KINDS)
def test_name_is_resolved_at_the_proxy(ca: CertificateAuthority, kind: ProxyKind) -> None:
    """CONNECT and socks5h hand over a name that this machine does not know."""
    context = ca.server_context("login.proxied.test")
    with (
        listening(ca, saying("200 OK"), context=context) as listener,
        ForwardProxy(kind) as proxy,
    ):
        url = listener.url.replace("localhost", "login.proxied.test")
        assert _ask(listener, proxy.url, url).status_code == 200
        assert proxy.targets[0][0] == "login.proxied.test"


def test_socks5_resolves_here(ca: CertificateAuthority) -> None:
    """Under socks5 the proxy gets an address, and an unknown name is told as such."""
    with listening(ca, saying("200 OK")) as listener, ForwardProxy("socks5") as proxy:
        assert _ask(listener, proxy.url_of("socks5")).status_code == 200
        assert proxy.targets[0][0] == "127.0.0.1"
        listener.url = listener.url.replace("localhost", "no-such-host.invalid")
        error = _error(listener, proxy.url_of("socks5"))
        assert isinstance(error, TransientOAuthError)
        assert "'no-such-host.invalid' cannot be resolved" in error.message


@pytest.mark.parametrize("kind", KINDS)
def test_certificate_is_that_of_the_server(ca: CertificateAuthority, kind: ProxyKind) -> None:
    """A proxy that leads elsewhere is found out."""
    context = ca.server_context("other.example")
    with (
        listening(ca, saying("200 OK"), context=context) as listener,
        ForwardProxy(kind) as proxy,
    ):
        error = _error(listener, proxy.url)
        assert not error.retry_helps
        assert "'localhost' is for another host" in error.message
        assert listener.heard == []


@pytest.mark.parametrize(
    ("kind", "user", "password"),
    [("http", "us@er", f"{CANARY}:é/%"), ("socks5", "us@er", f"{CANARY}:/%")],
)
def test_sign_in_to_the_proxy(
    ca: CertificateAuthority,
    caplog: pytest.LogCaptureFixture,
    kind: ProxyKind,
    user: str,
    password: str,
) -> None:
    """User and password reach the proxy as they are, the server never, and no log."""
    caplog.set_level(logging.DEBUG)
    with (
        listening(ca, saying("200 OK")) as listener,
        ForwardProxy(kind, user=user, password=password) as proxy,
    ):
        assert _ask(listener, proxy.url).status_code == 200
        assert b"proxy-authorization" not in listener.heard[0].lower()
        with pytest.raises(OAuthError):
            _ask(listener, proxy.url_of("http" if kind == "http" else "socks5", password="wrong"))
    assert CANARY not in caplog.text
    assert "us@er" not in caplog.text


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_proxy_that_wants_another_sign_in(
    ca: CertificateAuthority, caplog: pytest.LogCaptureFixture, kind: ProxyKind, given: bool
) -> None:
    """A retry cannot help; the message names the proxy's host, not what was sent."""
    caplog.set_level(logging.DEBUG)
    with (
        listening(ca, saying("200 OK")) as listener,
        ForwardProxy(kind, user="known", password="right") as proxy,
    ):
        url = proxy.url_of("http" if kind == "http" else "socks5h", password=CANARY)
        error = _error(listener, url if given else url.replace(f"known:{CANARY}@", ""))
        assert listener.heard == []
    assert type(error) is OAuthError
    asked = "refuses the user and password of" if given else "wants a user and password in"
    assert error.message == f"The proxy '127.0.0.1' {asked} proxy_url."
    assert error.hint
    assert error.step == "test"
    shown = "".join(traceback.format_exception(error))
    assert CANARY not in f"{shown}{vars(error)}{caplog.text}"
    assert "python_socks" not in shown


@pytest.mark.parametrize(
    ("kind", "refusal", "is_transient"),
    [
        ("http", "403 Forbidden", False),
        ("http", "502 Bad Gateway", True),
        ("http", "503 Service Unavailable", True),
        ("http", "504 Gateway Timeout", True),
        ("socks5", 1, True),
        ("socks5", 2, False),
        ("socks5", 4, True),
        ("socks5", 5, True),
        ("socks5", 7, False),
    ],
)
def test_proxy_that_does_not_connect(
    ca: CertificateAuthority, kind: ProxyKind, refusal: str | int, is_transient: bool
) -> None:
    """A ban is permanent, a server that the proxy cannot reach for now is not."""
    with (
        listening(ca, saying("200 OK")) as listener,
        ForwardProxy(kind, refusal=refusal) as proxy,
    ):
        error = _error(listener, proxy.url)
    assert type(error) is (TransientOAuthError if is_transient else OAuthError)
    assert "The proxy '127.0.0.1'" in error.message
    assert error.status_code is None
    assert error.hint


@pytest.mark.parametrize(
    ("fault", "is_transient", "message"),
    [
        ("silent", True, "did not answer in time"),
        ("drip", True, "did not answer in time"),
        ("hang up", True, "closed the connection"),
        ("reset", True, "closed the connection"),
        ("garbage", False, "does not speak"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_proxy_that_does_not_answer(
    ca: CertificateAuthority, kind: ProxyKind, fault: Fault, is_transient: bool, message: str
) -> None:
    """What it says is bounded by the connect timeout as a whole, and told as the proxy's fault."""
    with listening(ca, saying("200 OK")) as listener, ForwardProxy(kind, fault=fault) as proxy:
        started = time.monotonic()
        error = _error(listener, proxy.url)
        assert time.monotonic() - started < 1.9  # the connect timeout is 1 second
    assert error.retry_helps == is_transient
    assert f"The proxy '127.0.0.1' {message}" in error.message


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
def test_proxy_that_is_not_there(ca: CertificateAuthority, scheme: str) -> None:
    """A closed port and an unknown name are told as those of the proxy."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with listening(ca, saying("200 OK")) as listener:
        error = _error(listener, f"{scheme}://u:{CANARY}@127.0.0.1:{port}")
        assert isinstance(error, TransientOAuthError)
        assert error.message == "The proxy '127.0.0.1' cannot be reached."
        error = _error(listener, f"{scheme}://no-such-proxy.invalid:3128")
        assert isinstance(error, TransientOAuthError)
        assert "proxy 'no-such-proxy.invalid' cannot be resolved" in error.message


@pytest.mark.parametrize("kind", KINDS)
def test_dripping_server_behind_a_proxy_is_cut(ca: CertificateAuthority, kind: ProxyKind) -> None:
    """The bound on the whole answer holds through the tunnel."""

    def drip(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for number in range(100):
            connection.sendall(f"X-{number}: v\r\n".encode())
            time.sleep(0.1)

    with listening(ca, drip) as listener, ForwardProxy(kind) as proxy:
        started = time.monotonic()
        error = _error(listener, proxy.url)
        assert isinstance(error, TransientOAuthError)
        assert "host 'localhost' was not whole after 2 seconds" in error.message
        assert time.monotonic() - started < 4


def test_proxy_libraries_are_loaded_only_for_a_proxy() -> None:
    """Neither a transport without one nor the IMAP session loads python-socks."""
    program = (
        "import sys\n"
        "import airflow_imap_oauth.imap.session\n"
        "from airflow_imap_oauth.oauth.http import Transport\n"
        "from airflow_imap_oauth.oauth.settings import TransportSettings\n"
        "Transport(TransportSettings())._opened()\n"
        "print('python_socks' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"
