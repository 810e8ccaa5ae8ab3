# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Mail through a proxy: the same session, and each failure of the proxy told as its own."""

from __future__ import annotations

import socket
import time

import pytest

from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    ImapConnectionError,
    ImapError,
    ImapTlsError,
)
from airflow_imap_oauth.imap.session import probe
from tests.imap.accounts import Account
from tests.imap.mails import note
from tests.servers.embedded_imap import EmbeddedImapServer
from tests.servers.http_proxy import Fault, ForwardProxy, ProxyKind

KINDS: tuple[ProxyKind, ...] = ("http", "socks5")
STEP = "IMAP connection"
CANARY = "canary-77ad-of-the-proxy"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_a_mailbox_is_read_through_the_proxy(account: Account, kind: ProxyKind, tls: str) -> None:
    """Both kinds of proxies carry both ways to TLS, also to a server on loopback."""
    account.deliver(note(), note())
    port = account.server.port if tls == "implicit" else account.server.starttls_port
    with (
        ForwardProxy(kind) as proxy,
        account.session("INBOX", tls=tls, port=port, proxy_url=proxy.url) as session,
    ):
        assert session.search() == [1, 2]
        assert proxy.targets == [("localhost", port)]


@pytest.mark.parametrize("fault", ["glued", "split"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_greeting_behind_the_answer_of_the_proxy_is_not_lost(
    scripted: Account, kind: ProxyKind, fault: Fault
) -> None:
    """A server that speaks first may do so in one piece with the proxy's answer."""
    port = scripted.server.starttls_port
    with (
        ForwardProxy(kind, fault=fault) as proxy,
        scripted.session("INBOX", tls="starttls", port=port, proxy_url=proxy.url) as session,
    ):
        assert session.search() == []


def test_environment_has_no_say(scripted: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY does not take the proxy away."""
    monkeypatch.setenv("NO_PROXY", "*")
    with ForwardProxy("http") as proxy:
        assert probe(scripted.settings) == "OAUTHBEARER"
        assert proxy.connections == 0
        scripted.open(proxy_url=proxy.url).close()
        assert proxy.connections == 1


@pytest.mark.parametrize("kind", KINDS)
def test_name_is_resolved_at_the_proxy_and_verified_here(
    scripted: Account, kind: ProxyKind
) -> None:
    """The proxy gets the name as it is, and the certificate must be for it."""
    with ForwardProxy(kind) as proxy:
        with scripted.fails(ImapTlsError, STEP) as caught:
            scripted.open(host="imap.proxied.test", proxy_url=proxy.url)
        assert "certificate of 'imap.proxied.test'" in caught.value.message
        assert proxy.targets == [("imap.proxied.test", scripted.server.port)]


def test_socks5_resolves_here(scripted: Account) -> None:
    """Under socks5 the proxy gets an address, and an unknown name is told as such."""
    with ForwardProxy("socks5") as proxy:
        scripted.open(proxy_url=proxy.url_of("socks5")).close()
        assert proxy.targets[0][0] == "127.0.0.1"
        with scripted.fails(ImapConnectionError, STEP) as caught:
            scripted.open(host="no-such-host.invalid", proxy_url=proxy.url_of("socks5"))
        assert "'no-such-host.invalid' cannot be resolved" in caught.value.message


@pytest.mark.parametrize("kind", KINDS)
def test_sign_in_to_the_proxy(
    scripted: Account, kind: ProxyKind, caplog: pytest.LogCaptureFixture
) -> None:
    """User and password open the way; wrong ones are told without being shown."""
    with ForwardProxy(kind, user="known", password=f"{CANARY}-right") as proxy:
        scripted.open(proxy_url=proxy.url).close()
        wrong = proxy.url_of("http" if kind == "http" else "socks5h", password=f"{CANARY}-wrong")
        with scripted.fails(ImapError, STEP) as caught:
            scripted.open(proxy_url=wrong)
    assert not caught.value.retry_helps
    assert "refuses the user and password of proxy_url" in caught.value.message
    assert CANARY not in f"{caught.value}{vars(caught.value)}{caplog.text}{scripted.settings}"


@pytest.mark.parametrize(
    ("kind", "refusal", "expected"),
    [
        ("http", "403 Forbidden", ImapError),
        ("http", "407 Proxy Authentication Required", ImapError),
        ("http", "503 Service Unavailable", ImapConnectionError),
        ("socks5", 2, ImapError),
        ("socks5", 4, ImapConnectionError),
    ],
)
def test_proxy_that_does_not_connect(
    scripted: Account, kind: ProxyKind, refusal: str | int, expected: type[ImapError]
) -> None:
    """A ban is permanent, a server that the proxy cannot reach for now is not."""
    with ForwardProxy(kind, refusal=refusal) as proxy, scripted.fails(expected, STEP) as caught:
        scripted.open(proxy_url=proxy.url)
    assert caught.value.message.startswith("The proxy '127.0.0.1' ")
    assert caught.value.hint


@pytest.mark.parametrize("fault", ["silent", "drip", "hang up"])
@pytest.mark.parametrize("kind", KINDS)
def test_proxy_that_does_not_answer(scripted: Account, kind: ProxyKind, fault: Fault) -> None:
    """The connect timeout bounds what the proxy says as a whole."""
    with ForwardProxy(kind, fault=fault) as proxy:
        started = time.monotonic()
        with scripted.fails(ImapConnectionError, STEP) as caught:
            scripted.open(proxy_url=proxy.url, connect_timeout_seconds=0.5)
        assert time.monotonic() - started < 1.5
    assert caught.value.message.startswith("The proxy '127.0.0.1' ")


def test_proxy_that_is_not_there(scripted: Account) -> None:
    """A closed port is told as that of the proxy."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with scripted.fails(ImapConnectionError, STEP) as caught:
        scripted.open(proxy_url=f"http://u:{CANARY}@127.0.0.1:{port}")
    assert caught.value.message == "The proxy '127.0.0.1' cannot be reached."


def test_read_timeout_holds_through_the_tunnel(
    scripted: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """A server that falls silent behind a proxy is given up as without one."""
    with (
        ForwardProxy("http") as proxy,
        scripted.session(proxy_url=proxy.url, read_timeout_seconds=0.5) as session,
    ):
        embedded_imap.script("NOOP", answer=b"")
        with scripted.fails(ImapConnectionError, "IMAP NOOP") as caught:
            session.noop()
    assert "did not answer NOOP within 0.5 seconds" in caught.value.message


def test_unusable_proxy_url(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """It is refused before any network."""
    for url in (f"https://u:{CANARY}@127.0.0.1:1", f"nonsense {CANARY}"):
        with scripted.fails(ConfigurationError, STEP) as caught:
            scripted.open(proxy_url=url)
        assert CANARY not in str(caught.value)
    assert embedded_imap.connections == 0


@pytest.mark.parametrize("host", ["a\r\nX-Header: b", "a b", "a..b", "x" * 64])
def test_host_that_would_break_out(scripted: Account, host: str) -> None:
    """What is no name of a host is refused before the proxy hears of it."""
    with ForwardProxy("http") as proxy:
        with scripted.fails(ConfigurationError, STEP):
            scripted.open(host=host, proxy_url=proxy.url)
        assert proxy.connections == 0
