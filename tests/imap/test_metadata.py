# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of messages before a body is read; one odd message costs nothing but itself."""

from __future__ import annotations

import re
from datetime import datetime, timezone

import pytest

from airflow_imap_oauth.exceptions import (
    ImapCommandError,
    ImapProtocolError,
    ImapUnavailableError,
)
from airflow_imap_oauth.imap.headers import read_headers
from tests.imap.accounts import Account
from tests.imap.mails import note
from tests.mailbox import BROKEN, WELL_FORMED, small_mailbox
from tests.servers.embedded.grammar import parse_set
from tests.servers.embedded_imap import EmbeddedImapServer


def test_metadata(account: Account) -> None:
    """Flags, arrival and size are those of the message; headers come when asked for."""
    moment = datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone.utc)
    raw = WELL_FORMED[0].raw
    account.deliver(raw, internaldate=moment, flags=["\\Seen", "\\Flagged"])
    with account.session("INBOX") as session:
        (plain,) = session.fetch_metadata([1])
        (whole,) = session.fetch_metadata([1], headers=True)
    assert (plain.uid, plain.internaldate_at, plain.size_bytes) == (1, moment, len(raw))
    assert set(plain.flags) >= {"\\Seen", "\\Flagged"}
    assert (plain.headers, plain.structure_error) == (None, None)
    assert read_headers(whole.headers).subject == WELL_FORMED[0].name
    assert read_headers(whole.headers).from_addresses[0].address == "reports@shop.test"


def test_attachments_of_well_formed_mail(account: Account) -> None:
    """Every attachment is found under its true name, on every server alike."""
    account.deliver(*(mail.raw for mail in WELL_FORMED))
    with account.session("INBOX") as session:
        found = list(session.fetch_metadata(session.search()))
    for mail, one in zip(WELL_FORMED, found, strict=True):
        names = [part.filename for part in one.parts if part.filename]
        wanted = [item.filename for item in mail.attachments]
        assert [name for name in names if name in wanted] == wanted, mail.name
        assert one.structure_error is None, mail.name


def test_broken_mail_has_metadata(account: Account) -> None:
    """No fault of a message takes it, or another one, out of the answer."""
    account.deliver(*(mail.raw for mail in BROKEN))
    with account.session("INBOX") as session:
        found = list(session.fetch_metadata(session.search(), headers=True))
    assert [one.uid for one in found] == list(range(1, len(BROKEN) + 1))
    assert all(one.parts or one.structure_error or one.size_bytes for one in found)


def test_messages_that_are_gone(account: Account) -> None:
    """A message that another client removed is left out, also where it never was."""
    account.deliver(note(), note(), note())
    with account.session("INBOX") as session:
        account.server.expunge(account.login, 2)
        session.noop()
        found = session.fetch_metadata([3, 1, 2, 2, 77, 0, -4, 2**40])
        assert [one.uid for one in found] == [1, 3]


def test_batches(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """Round trips do not grow with the number of messages; rows come in order of UIDs."""
    scripted.deliver(*[note()] * 520)
    with scripted.session("INBOX") as session:
        uids = [one.uid for one in session.fetch_metadata(range(520, 0, -1))]
    assert uids == list(range(1, 521))
    assert embedded_imap.command_names.count("UID FETCH") == 2


@pytest.mark.parametrize("headers", [False, True])
def test_a_message_that_the_server_refuses(
    scripted: Account, embedded_imap: EmbeddedImapServer, headers: bool
) -> None:
    """One message that breaks every batch is told with the server's words; the others come."""
    scripted.deliver(*small_mailbox(9))
    embedded_imap.script("UID FETCH", uid=4, status="NO [SERVERBUG] broken", times=None)
    with scripted.session("INBOX") as session:
        found = list(session.fetch_metadata(range(1, 10), headers=headers))
    assert sorted(one.uid for one in found) == list(range(1, 10))
    odd = {one.uid: one.structure_error for one in found if one.structure_error}
    assert odd == {4: "the server refused it: NO [SERVERBUG] broken"}
    assert embedded_imap.command_names.count("UID FETCH") < 12


def test_a_batch_that_the_server_refuses_whole(
    scripted: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """Where one message takes all rows of its batch away, it is found by halving."""

    def names_four(line: str) -> bool:
        uids = parse_set(line.split()[3].encode())
        return "BODYSTRUCTURE" in line and 4 in uids.pick(list(range(1, 41)))

    scripted.deliver(*[note()] * 40)
    embedded_imap.script("UID FETCH", matching=names_four, status="BAD broken", times=None)
    with scripted.session("INBOX") as session:
        found = list(session.fetch_metadata(range(1, 41)))
    assert sorted(one.uid for one in found) == list(range(1, 41))
    assert {one.uid for one in found if one.structure_error} == {4}
    assert next(one for one in found if one.uid == 4).size_bytes
    assert embedded_imap.command_names.count("UID FETCH") < 20


def test_a_structure_that_the_server_refuses(
    scripted: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """What the server can tell without the structure is still told."""
    scripted.deliver(*small_mailbox(3))
    embedded_imap.script(
        "UID FETCH",
        uid=2,
        status="NO cannot parse",
        times=None,
        matching=lambda line: "BODYSTRUCTURE" in line,
    )
    with scripted.session("INBOX") as session:
        found = {one.uid: one for one in session.fetch_metadata([1, 2, 3], headers=True)}
    assert found[2].structure_error == "the server refused it: NO cannot parse"
    assert found[2].size_bytes
    assert found[2].headers
    assert found[1].structure_error is found[3].structure_error is None


@pytest.mark.parametrize(
    ("structure", "reason"),
    [
        (b'("text" "plain"', "garbled"),
        (b"NIL", "the server sent no structure"),
        (b"()", "the server sent no structure"),
        (b") x (", "garbled"),
    ],
)
def test_a_garbled_row(
    scripted: Account, embedded_imap: EmbeddedImapServer, structure: bytes, reason: str
) -> None:
    """A row that cannot be read costs its own structure and no other message's."""
    scripted.deliver(*small_mailbox(3))

    def garble(answer: bytes) -> bytes:
        rows = answer.split(b"\r\n")
        rows[1] = re.sub(rb"BODYSTRUCTURE .*", b"BODYSTRUCTURE " + structure + b")", rows[1])
        return b"\r\n".join(rows)

    embedded_imap.script("UID FETCH", rewrite=garble)
    with scripted.session("INBOX") as session:
        found = {one.uid: one for one in session.fetch_metadata([1, 2, 3, 77])}
    assert set(found) == {1, 2, 3}
    assert reason in (found[2].structure_error or "")
    assert found[2].size_bytes
    assert found[1].structure_error is found[3].structure_error is None


def test_rows_that_nobody_asked_for(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """News of other messages, and rows in pieces, are put in their place."""
    scripted.deliver(note(), note())
    news = (
        b"* 2 FETCH (FLAGS (\\Deleted))\r\n"
        b"* 9 FETCH (UID 9 FLAGS ())\r\n"
        b"* 1 FETCH (FLAGS () UID 1)\r\n"
    )

    def between(answer: bytes) -> bytes:
        row, end, tagged = answer.partition(b"\r\n")
        return news + row + end + news + tagged

    embedded_imap.script("UID FETCH", rewrite=between)
    with scripted.session("INBOX") as session:
        found = list(session.fetch_metadata([1]))
    assert [(one.uid, one.structure_error) for one in found] == [(1, None)]


def test_a_server_that_refuses_everything(
    scripted: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """A server that refuses every FETCH is no case of odd messages, and is soon given up."""
    scripted.deliver(*[note()] * 200)
    embedded_imap.script("UID FETCH", status="NO never", times=None)
    with scripted.session("INBOX") as session:
        with scripted.fails(ImapCommandError, "IMAP FETCH") as caught:
            list(session.fetch_metadata(range(1, 201)))
        assert "NO never" in str(caught.value)
    assert embedded_imap.command_names.count("UID FETCH") < 60


def test_a_server_that_throttles(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """Throttling in the middle is transient, not a fault of the messages."""
    scripted.deliver(note())
    embedded_imap.script("UID FETCH", status="NO [THROTTLED] later")
    with scripted.session("INBOX") as session, scripted.fails(ImapUnavailableError, "IMAP FETCH"):
        list(session.fetch_metadata([1]))


def test_another_folder_meanwhile(account: Account) -> None:
    """UIDs mean nothing in another folder: what was begun cannot go on there."""
    account.deliver(*[note()] * 3)
    account.deliver(note(), folder="Other")
    with account.session("INBOX") as session:
        begun = session.fetch_metadata([1, 2, 3])
        session.examine("Other")
        with account.fails(ImapCommandError, "IMAP FETCH"):
            list(begun)


def test_an_answer_without_end(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """A line of megabytes is no answer, and does not fill the memory."""
    scripted.deliver(note())
    embedded_imap.script("UID FETCH", answer=b"* 1 FETCH (UID 1 X " + b"x" * 3_000_000 + b")\r\n")
    with scripted.session("INBOX") as session, scripted.fails(ImapProtocolError, "IMAP FETCH"):
        list(session.fetch_metadata([1]))
