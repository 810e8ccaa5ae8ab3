# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The way to a server: certificates, STARTTLS, hosts, greetings."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    ImapConnectionError,
    ImapError,
    ImapProtocolError,
    ImapTlsError,
    ImapUnavailableError,
)
from airflow_imap_oauth.imap.session import probe
from tests.imap.accounts import Account
from tests.servers.certificates import CertificateAuthority
from tests.servers.embedded_imap import EmbeddedImapServer

STEP = "IMAP connection"
SHORT_SECONDS = 0.3


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Give a port where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    """Give a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _starttls(account: Account) -> dict[str, Any]:
    return {"tls": "starttls", "port": account.server.starttls_port}


# --- The certificate ----------------------------------------------------------------------------


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_an_unknown_authority_is_not_trusted(account: Account, tls: str) -> None:
    """Without ca_file the test authority is unknown; the hint names the field."""
    changes = _starttls(account) if tls == "starttls" else {}
    with account.fails(ImapTlsError, STEP) as caught:
        account.open(ca_file=None, **changes)
    assert "certificate" in str(caught.value)
    assert "ca_file" in caught.value.hint
    assert not caught.value.retry_helps


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize(
    ("names", "expired", "hint"),
    [
        (("other.test",), False, "host name that stands in the server's certificate"),
        (("localhost",), True, "Renew the server's certificate"),
    ],
)
def test_a_certificate_that_does_not_hold(
    scripted: Account,
    embedded_imap: EmbeddedImapServer,
    ca: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
    names: tuple[str, ...],
    expired: bool,
    hint: str,
    tls: str,
) -> None:
    """A certificate of another host, or of another time, is refused before a token leaves."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*ca.issue(*names, expired=expired))
    monkeypatch.setattr(embedded_imap, "tls_context", context)
    changes = _starttls(scripted) if tls == "starttls" else {}
    with scripted.fails(ImapTlsError, STEP) as caught:
        scripted.open(**changes)
    assert hint in caught.value.hint
    assert "AUTHENTICATE" not in embedded_imap.command_names


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_is_none(scripted: Account, tmp_path: Path, content: str | None) -> None:
    """A file that is missing or holds no certificate is named."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with scripted.fails(ConfigurationError, STEP) as caught:
        scripted.open(ca_file=str(file))
    assert str(file) in str(caught.value)


# --- STARTTLS -----------------------------------------------------------------------------------


def test_starttls_is_never_skipped(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """Where STARTTLS is not offered, nothing is sent in the clear."""
    embedded_imap.script("GREETING", answer=b"* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2] hi\r\n")
    answer = b"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2\r\n{tag} OK done\r\n"
    embedded_imap.script("CAPABILITY", answer=answer, times=None)
    with scripted.fails(ImapTlsError, STEP) as caught:
        scripted.open(**_starttls(scripted))
    assert "STARTTLS" in str(caught.value)
    assert "AUTHENTICATE" not in embedded_imap.command_names


def test_starttls_that_is_refused(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """A refusal is the end, not a reason to go on in the clear."""
    embedded_imap.script("STARTTLS", status="NO not today")
    with scripted.fails(ImapTlsError, STEP):
        scripted.open(**_starttls(scripted))
    assert "AUTHENTICATE" not in embedded_imap.command_names


def test_preauth_does_not_avoid_starttls(
    scripted: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """A greeting in the clear that claims a sign-in is refused (RFC 3501 section 7.1.4)."""
    embedded_imap.script("GREETING", answer=b"* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n")
    with scripted.fails(ImapTlsError, STEP) as caught:
        scripted.open(**_starttls(scripted))
    assert "claims a sign-in" in str(caught.value)


def test_what_was_said_in_the_clear_is_forgotten(
    scripted: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """Capabilities that somebody slipped in ahead of TLS do not count behind it."""
    injected = b"* CAPABILITY IMAP4rev1 AUTH=OAUTHBEARER\r\n"
    embedded_imap.script("STARTTLS", before=injected)
    embedded_imap.mechanisms = ("XOAUTH2",)
    with scripted.session("INBOX", **_starttls(scripted)):
        assert any("AUTHENTICATE XOAUTH2" in line for line in embedded_imap.commands)


# --- The way there ------------------------------------------------------------------------------


def test_nobody_listens(scripted: Account, closed_port: int) -> None:
    """A refused connection names host and port; a retry may help."""
    with scripted.fails(ImapConnectionError, STEP) as caught:
        scripted.open(port=closed_port)
    assert f"'localhost' port {closed_port}" in str(caught.value)
    assert "firewall" in caught.value.hint
    assert caught.value.retry_helps


def test_a_host_that_does_not_exist(scripted: Account) -> None:
    """A name that cannot be resolved is named."""
    with scripted.fails(ImapConnectionError, STEP) as caught:
        scripted.open(host="no-such-host.invalid")
    assert "'no-such-host.invalid' cannot be resolved" in str(caught.value)


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".test", "imap\n.test"])
def test_what_is_no_host_name(scripted: Account, host: str) -> None:
    """Nonsense is a wrong setting or cannot be resolved, and no codec's traceback."""
    with pytest.raises((ConfigurationError, ImapConnectionError)) as caught:
        scripted.open(host=host)
    kind = type(caught.value)
    with scripted.fails(kind, STEP):
        scripted.open(host=host)


def test_tls_at_a_port_without_tls(account: Account) -> None:
    """The hint names both ports."""
    with account.fails(ImapTlsError, STEP) as caught:
        account.open(port=account.server.starttls_port)
    assert "993" in caught.value.hint
    assert "143" in caught.value.hint


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_a_server_that_never_speaks(scripted: Account, silent_port: int, tls: str) -> None:
    """Neither a handshake nor a greeting is waited for without end."""
    started = time.monotonic()
    with scripted.fails(ImapConnectionError, STEP) as caught:
        scripted.open(
            port=silent_port,
            tls=tls,
            connect_timeout_seconds=SHORT_SECONDS,
            read_timeout_seconds=SHORT_SECONDS,
        )
    assert f"did not answer within {SHORT_SECONDS:g} seconds" in str(caught.value)
    assert time.monotonic() - started < 10 * SHORT_SECONDS


@pytest.mark.parametrize(
    ("greeting", "kind", "told"),
    [
        (b"220 mail.test\r\n", ImapProtocolError, "does not speak IMAP: it sent '220 mail.test'."),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ImapProtocolError, "'HTTP/1.1 400 Bad Request'"),
        (b"+OK POP3\x1b[2J ready\r\n", ImapError, ""),
        (b"* BYE [UNAVAILABLE] maintenance\r\n", ImapUnavailableError, "maintenance"),
        (b"* BYE Too many connections\r\n", ImapUnavailableError, "Too many connections"),
        (b"* BYE go away\r\n", ImapConnectionError, "go away"),
        (b"\xff\xfe\r\n", ImapProtocolError, ""),
        (b"x" * 100_000 + b"\r\n", ImapProtocolError, ""),
    ],
)
def test_odd_greetings(
    scripted: Account,
    embedded_imap: EmbeddedImapServer,
    greeting: bytes,
    kind: type[ImapError],
    told: str,
) -> None:
    """What is no greeting is quoted in short; a BYE says whether waiting helps."""
    embedded_imap.script("GREETING", answer=greeting, drop_after_bytes=len(greeting))
    with pytest.raises(kind) as caught:
        scripted.open()
    embedded_imap.script("GREETING", answer=greeting, drop_after_bytes=len(greeting))
    with scripted.fails(type(caught.value), STEP) as again:
        scripted.open()
    assert told in str(again.value)
    assert len(str(again.value)) < 500


def test_a_capability_that_is_not_ascii(
    scripted: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """Odd bytes among the capabilities are an error of the server's, told as such."""
    answer = b"* CAPABILITY IMAP4rev1 X-\xc3\xa9\r\n{tag} OK\r\n"
    embedded_imap.script("CAPABILITY", answer=answer, times=None)
    with scripted.fails(ImapProtocolError, STEP):
        scripted.open()


def test_probe(account: Account) -> None:
    """The way to the server can be tried without a token."""
    assert probe(account.settings) == "OAUTHBEARER"
