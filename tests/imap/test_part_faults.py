# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Parts of servers that are odd, refuse or break off, and of callers that skip."""

from __future__ import annotations

import re

import pytest

from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    ImapCommandError,
    ImapConnectionError,
    ImapError,
    ImapProtocolError,
    ImapUnavailableError,
)
from airflow_imap_oauth.imap.model import PartRequest
from airflow_imap_oauth.imap.parts import PIECE_BYTES
from tests.imap.accounts import Account, file_request, read_parts
from tests.imap.mails import random_bytes, with_file
from tests.servers.embedded_imap import EmbeddedImapServer

MIB = 1024 * 1024


@pytest.mark.parametrize("hint", [None, 0, 10, 2740, 100_000, 5_000_000, -5])
def test_wrong_sizes(scripted: Account, hint: int | None) -> None:
    """A size that the server told wrongly costs round trips, never content."""
    contents = [random_bytes(size, size) for size in (0, 10, 2000, 40_000, 900_000)]
    scripted.deliver(*map(with_file, contents))
    with scripted.session("INBOX") as session:
        requests = [file_request(uid, size_hint_bytes=hint) for uid in range(1, 6)]
        found = read_parts(session, requests)
    assert [found[request] for request in requests] == contents


def test_a_server_that_knows_no_partial_fetch(
    scripted: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """Who sends everything at once is understood, and not asked again."""
    content = random_bytes(40_000)
    scripted.deliver(with_file(content))
    with scripted.session("INBOX") as session:
        (body,) = read_parts(session, [file_request(1, encoding="binary")]).values()
        answer = b"* 1 FETCH (UID 1 BODY[2] {%d}\r\n%b)\r\n{tag} OK done\r\n" % (len(body), body)
        embedded_imap.script("UID FETCH", answer=answer)
        found = read_parts(session, [file_request(1, size_hint_bytes=1000)])
    assert list(found.values()) == [content]
    assert embedded_imap.command_names.count("UID FETCH") == 2


def test_a_server_that_forgets_the_offset(
    scripted: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """Who begins anew where the second piece was asked for doubles nothing."""
    content = random_bytes(MIB)
    scripted.deliver(with_file(content))
    with scripted.session("INBOX") as session:
        (body,) = read_parts(session, [file_request(1, encoding="binary")]).values()
        assert len(body) > PIECE_BYTES
        answer = b"* 1 FETCH (UID 1 BODY[2] {%d}\r\n%b)\r\n{tag} OK done\r\n" % (len(body), body)
        embedded_imap.script(
            "UID FETCH", matching=lambda line: f"<{PIECE_BYTES}." in line, answer=answer
        )
        found = read_parts(session, [file_request(1)])
    assert list(found.values()) == [content]


def test_a_server_that_caps_its_pieces(
    scripted: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """Who sends less than was asked for is asked for the rest."""

    def cap(answer: bytes) -> bytes:
        found = re.match(rb"(.*?) \{(\d+)\}\r\n", answer)
        if found is None or int(found[2]) <= 4096:
            return answer
        data, rest = answer[found.end() :][:4096], answer[found.end() + int(found[2]) :]
        return found[1] + b" {4096}\r\n" + data + rest

    content = random_bytes(20_000)
    scripted.deliver(with_file(content))
    embedded_imap.script("UID FETCH", rewrite=cap, times=None)
    with scripted.session("INBOX") as session:
        for hint in (27_500, 2_000_000):
            found = read_parts(session, [file_request(1, size_hint_bytes=hint)])
            assert list(found.values()) == [content]


@pytest.mark.parametrize(
    ("row", "kind", "told"),
    [
        (b"", ImapCommandError, "Message 1 is gone"),
        (b"* 1 FETCH (UID 1 BODY[2]<0> NIL)\r\n", ImapProtocolError, "does not exist"),
        (b"* 1 FETCH (UID 1 BODY[2]<0> ((\r\n", ImapProtocolError, "garbled"),
        (b'* 1 FETCH (UID 1 BODY[2]<512> "abc")\r\n', ImapProtocolError, "garbled"),
        (b"* 1 FETCH (UID 1 BODY[2]<0> (a b))\r\n", ImapProtocolError, "garbled"),
        (b'* 1 FETCH (UID 1 BODY[3]<0> "abc")\r\n', ImapCommandError, "gone"),
        (b'* 1 FETCH (UID 7 BODY[2]<0> "abc")\r\n', ImapCommandError, "gone"),
    ],
)
@pytest.mark.parametrize("hint", [None, 3])
def test_answers_without_the_part(
    scripted: Account,
    embedded_imap: EmbeddedImapServer,
    row: bytes,
    kind: type[ImapError],
    told: str,
    hint: int | None,
) -> None:
    """What is no answer to what was asked is an error of this part; the session lives on."""
    scripted.deliver(with_file(b"abc"))
    embedded_imap.script("UID FETCH", answer=row + b"{tag} OK done\r\n", times=2)
    with scripted.session("INBOX") as session:
        for part in session.fetch_parts([file_request(1, size_hint_bytes=hint)]):
            with scripted.fails(kind, "IMAP FETCH") as caught:
                list(part.pieces)
            assert told in str(caught.value)
        embedded_imap.rules.clear()
        assert list(read_parts(session, [file_request(1)]).values()) == [b"abc"]


def test_a_message_that_is_gone(account: Account) -> None:
    """A message removed by another client is told, alone or in a batch; the others come."""
    account.deliver(*[with_file(b"abc")] * 3)
    with account.session("INBOX") as session:
        account.server.expunge(account.login, 2)
        session.noop()
        for hint in (10, None):
            gone = []
            for part in session.fetch_parts(
                [file_request(uid, size_hint_bytes=hint) for uid in (1, 2, 3)]
            ):
                if part.request.uid == 2:
                    with account.fails(ImapCommandError, "IMAP FETCH") as caught:
                        list(part.pieces)
                    gone.append(str(caught.value))
                else:
                    assert b"".join(part.pieces) == b"abc"
            assert len(gone) == 1
            assert "Message 2 is gone" in gone[0]


@pytest.mark.parametrize("hint", [10, None])
def test_a_message_that_the_server_refuses(
    scripted: Account, embedded_imap: EmbeddedImapServer, hint: int | None
) -> None:
    """One refused message of a batch is told with the server's words; the others come."""
    scripted.deliver(*[with_file(b"abc")] * 4)
    embedded_imap.script("UID FETCH", uid=3, status="NO [SERVERBUG] broken", times=None)
    with scripted.session("INBOX") as session:
        for part in session.fetch_parts(
            [file_request(uid, size_hint_bytes=hint) for uid in range(1, 5)]
        ):
            if part.request.uid == 3:
                with scripted.fails(ImapCommandError, "IMAP FETCH") as caught:
                    list(part.pieces)
                assert "part '2' of message 3: NO [SERVERBUG] broken" in str(caught.value)
            else:
                assert b"".join(part.pieces) == b"abc"


def test_a_server_that_throttles(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """Throttling ends the pass as a transient error: no message is at fault."""
    scripted.deliver(*[with_file(b"abc")] * 2)
    embedded_imap.script("UID FETCH", status="NO [THROTTLED] later", times=None)
    with scripted.session("INBOX") as session, scripted.fails(ImapUnavailableError, "IMAP FETCH"):
        read_parts(
            session, [file_request(1, size_hint_bytes=10), file_request(2, size_hint_bytes=10)]
        )


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_cut_in_the_middle_of_a_part(
    scripted: Account, embedded_imap: EmbeddedImapServer, reset: bool
) -> None:
    """What came before the cut was handed out; then the error says that a retry helps."""
    content = random_bytes(3 * MIB)
    scripted.deliver(with_file(content))
    embedded_imap.script(
        "UID FETCH",
        matching=lambda line: f"<{2 * PIECE_BYTES}." in line,
        drop_after_bytes=5000,
        reset=reset,
    )
    got = b""
    with scripted.session("INBOX") as session:
        with scripted.fails(ImapConnectionError, "IMAP FETCH") as caught:
            for part in session.fetch_parts([file_request(1)]):
                for piece in part.pieces:
                    got += piece
        assert caught.value.retry_helps
        with scripted.fails(ImapConnectionError, "IMAP FETCH"):
            read_parts(session, [file_request(1)])
    assert content.startswith(got)
    assert len(got) > MIB


@pytest.mark.parametrize("hint", [10, None])
def test_pieces_left_unread_are_lost(scripted: Account, hint: int | None) -> None:
    """A part that was skipped is no silence: reading it later is refused."""
    scripted.deliver(*[with_file(b"abc")] * 2)
    with scripted.session("INBOX") as session:
        requests = [file_request(uid, size_hint_bytes=hint) for uid in (1, 2)]
        parts = session.fetch_parts(requests)
        first, second = next(parts), next(parts)
        assert b"".join(second.pieces) == b"abc"
        assert list(second.pieces) == []
        with scripted.fails(ImapCommandError, "IMAP FETCH") as caught:
            list(first.pieces)
        assert "left unread" in str(caught.value)


def test_a_part_that_was_read_stays_read(scripted: Account) -> None:
    """Behind its end a part gives nothing, also when the next one was taken."""
    scripted.deliver(*[with_file(b"abc")] * 2)
    with scripted.session("INBOX") as session:
        parts = session.fetch_parts([file_request(1), file_request(2)])
        first = next(parts)
        assert list(first.pieces) == [b"abc"]
        next(parts)
        assert list(first.pieces) == []


@pytest.mark.parametrize(
    "section", ["1 2", "0", "1.", "a", "1]", "1]<0.5> BODY[", "-1", "HEADER.FIELDS"]
)
def test_what_is_no_section(
    scripted: Account, embedded_imap: EmbeddedImapServer, section: str
) -> None:
    """It is refused before a byte is sent."""
    scripted.deliver(with_file(b"abc"))
    with scripted.session("INBOX") as session:
        with scripted.fails(ConfigurationError, "IMAP FETCH"):
            read_parts(session, [PartRequest(uid=1, section=section)])
        assert "UID FETCH" not in embedded_imap.command_names


def test_another_folder_meanwhile(account: Account) -> None:
    """UIDs mean nothing in another folder: pieces cannot be read from there."""
    account.deliver(*[with_file(b"abc")] * 2)
    account.deliver(with_file(b"def"), folder="Other")
    with account.session("INBOX") as session:
        parts = session.fetch_parts([file_request(1), file_request(2)])
        first = next(parts)
        session.examine("Other")
        with account.fails(ImapCommandError, "IMAP FETCH"):
            list(first.pieces)


def test_no_request(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """Nothing asked for is nothing sent."""
    with scripted.session("INBOX") as session:
        assert read_parts(session, []) == {}
        assert list(session.fetch_metadata([])) == []
    assert "UID FETCH" not in embedded_imap.command_names
