# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Connections that end too early, fall silent or say nonsense."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from airflow_imap_oauth.exceptions import (
    ImapConnectionError,
    ImapError,
    ImapUnavailableError,
)
from tests.imap.accounts import Account
from tests.mailbox import small_mailbox
from tests.servers.embedded_imap import EmbeddedImapServer

STEP = "IMAP connection"
SHORT_SECONDS = 0.3


@pytest.mark.parametrize(
    ("command", "step"),
    [
        ("GREETING", STEP),
        ("CAPABILITY", STEP),
        ("AUTHENTICATE", "IMAP sign-in"),
        ("LIST", "IMAP sign-in"),
    ],
)
@pytest.mark.parametrize(
    "fault",
    [{"drop_after_bytes": 0}, {"drop_after_bytes": 3}, {"reset": True, "drop_after_bytes": 0}],
)
def test_cut_while_signing_in(
    scripted: Account,
    embedded_imap: EmbeddedImapServer,
    command: str,
    step: str,
    fault: dict[str, object],
) -> None:
    """A connection that ends early is one that is lost, and a retry helps."""
    embedded_imap.script(command, **fault)
    with scripted.fails(ImapConnectionError, step) as caught:
        scripted.open()
    assert caught.value.retry_helps


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"drop_after_bytes": 0}, "closed the connection"),
        ({"drop_after_bytes": 300}, "closed the connection"),
        ({"drop_after_bytes": 300, "reset": True}, "during UID FETCH 1"),
        ({"answer": b""}, "did not answer UID FETCH 1 within 0.3 seconds"),
        ({"answer": b"* 1 FETCH (UID 1 BODY[]<0> {500}\r\nabc"}, "did not answer UID FETCH"),
        ({"answer": b"* BYE going down\r\n"}, "going down"),
    ],
)
def test_lost_while_reading(
    scripted: Account, embedded_imap: EmbeddedImapServer, fault: dict[str, object], told: str
) -> None:
    """Cut, reset, silence and BYE end the session; every later call fails at once, alike."""
    scripted.deliver(small_mailbox(2)[1])
    embedded_imap.script("UID FETCH", **fault)
    with scripted.session("INBOX", read_timeout_seconds=SHORT_SECONDS) as session:
        with scripted.fails(ImapConnectionError, "IMAP FETCH") as caught:
            list(session.fetch_metadata([1], headers=True))
        assert told in str(caught.value)
        received = len(embedded_imap.commands)
        with scripted.fails(ImapConnectionError, "IMAP NOOP") as again:
            session.noop()
        assert again.value.message == caught.value.message
        assert len(embedded_imap.commands) == received


def test_ended_by_the_server(account: Account) -> None:
    """Where the server ends the account's connections, the next command says so."""
    with account.session("INBOX") as session:
        account.server.kick(account.login)
        with account.fails(ImapConnectionError, "IMAP NOOP"):
            session.noop()


def test_a_token_that_runs_out(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """Exchange ends a session with its token; the hint says what to do."""
    embedded_imap.script("NOOP", answer=b"* BYE Session invalidated - AccessTokenExpired\r\n")
    with scripted.session() as session:
        with scripted.fails(ImapConnectionError, "IMAP NOOP") as caught:
            session.noop()
        assert "fresh token" in caught.value.hint


def test_throttling_is_transient(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """A refusal for lack of resources is no command error, and carries the wait."""
    embedded_imap.script(
        "NOOP", status="BAD Request is throttled. Suggested Backoff Time: 1500 milliseconds"
    )
    with scripted.session() as session:
        with scripted.fails(ImapUnavailableError, "IMAP NOOP") as caught:
            session.noop()
        assert caught.value.retry_after_seconds == 1.5
        session.noop()


@pytest.mark.parametrize(
    "answer",
    [
        b"* SEARCH 1\r\nstray line\r\n* " + b"9" * 50 + b" EXISTS\r\n{tag} OK\r\n",
        b"{tag} OK\r\n",
        b"* OK still here\r\n* 3 EXPUNGE\r\n{tag} OK done\r\n",
    ],
)
def test_odd_answers_that_do_no_harm(
    scripted: Account, embedded_imap: EmbeddedImapServer, answer: bytes
) -> None:
    """Stray lines, news nobody asked for and an OK without text are passed over."""
    embedded_imap.script("NOOP", answer=answer)
    with scripted.session("INBOX") as session:
        session.noop()
        assert session.search() == []


@pytest.mark.parametrize(
    "answer",
    [
        b"x\r\n" * 2000,
        b"* " + b"x" * 2_000_000 + b"\r\n",
        b"other1 OK done\r\n",
        b"* 1 FETCH {x}\r\n{",
    ],
)
def test_answers_that_are_no_imap(
    scripted: Account, embedded_imap: EmbeddedImapServer, answer: bytes
) -> None:
    """Nonsense without end is given up, as the server's fault, within bounds."""
    embedded_imap.script("NOOP", answer=answer)
    with scripted.session("INBOX", read_timeout_seconds=SHORT_SECONDS) as session:
        with pytest.raises(ImapError) as caught:
            session.noop()
        assert (caught.value.conn_id, caught.value.step) == ("mail-42", "IMAP NOOP")
        assert "imaplib" not in str(caught.value)


def test_closing_never_raises_nor_waits(
    scripted: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """Closing twice, and closing at a server that does not answer LOGOUT, is fine."""
    embedded_imap.script("LOGOUT", answer=b"")
    session = scripted.open(read_timeout_seconds=SHORT_SECONDS)
    started = time.monotonic()
    session.close()
    session.close()
    assert time.monotonic() - started < 10 * SHORT_SECONDS
    with scripted.fails(ImapConnectionError, "IMAP NOOP"):
        session.noop()


def test_closing_amid_a_command(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """Who closes while a command waits ends it at once, as a lost connection."""
    embedded_imap.script("NOOP", answer=b"")
    session = scripted.open(read_timeout_seconds=30.0)
    closing = threading.Timer(SHORT_SECONDS, session.close)
    started = time.monotonic()
    closing.start()
    with scripted.fails(ImapConnectionError, "IMAP NOOP"):
        session.noop()
    closing.join()
    assert time.monotonic() - started < 10 * SHORT_SECONDS
    session.close()


def test_an_interrupted_command(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """A command that was broken off leaves half an answer: the session is of no use any more."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    embedded_imap.script("NOOP", answer=b"* OK half an ans")
    session = scripted.open(read_timeout_seconds=30.0)
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, SHORT_SECONDS)
    try:
        with pytest.raises(KeyboardInterrupt):
            session.noop()
    finally:
        signal.signal(signal.SIGALRM, before)
    with scripted.fails(ImapConnectionError, "IMAP EXAMINE"):
        session.examine("INBOX")
    session.close()
    assert embedded_imap.command_names[-1] == "NOOP"


def test_leaving_politely(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """A session ends with LOGOUT, never with CLOSE, which would expunge."""
    with scripted.session("INBOX"):
        pass
    assert embedded_imap.command_names[-1] == "LOGOUT"
    assert "CLOSE" not in embedded_imap.command_names
