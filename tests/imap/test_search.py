# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""SEARCH by UID, of folders of any size."""

from __future__ import annotations

import re

import pytest

from airflow_imap_oauth.exceptions import (
    ImapCommandError,
)
from tests.imap.accounts import Account
from tests.imap.mails import note
from tests.servers.embedded_imap import EmbeddedImapServer


def test_search(account: Account) -> None:
    """Raw criteria choose messages by UID, ascending; ASCII or not."""
    account.deliver(note("report one"), note("r\u00e9sum\u00e9"), note("report two"))
    account.deliver(note("report three"), flags=["\\Seen"])
    with account.session("INBOX") as session:
        assert session.search() == session.search("ALL") == [1, 2, 3, 4]
        assert session.search('(SUBJECT "report" UNSEEN)') == [1, 3]
        assert session.search('SUBJECT "r\u00e9sum\u00e9"') == [2]
        assert session.search("SUBJECT r\u00e9sum\u00e9 UNSEEN") == [2]
        assert session.search('SUBJECT "nothing of the kind"') == []
        assert session.search("UNSEEN", uid_from=2) == [2, 3]
        assert session.search("UNSEEN", uid_to=2) == [1, 2]
        assert session.search(uid_from=3, uid_to=3) == [3]


def test_search_above_the_last_message(account: Account) -> None:
    """``n:*`` means the last message where that is below n: it is not found again."""
    account.deliver(note(), note())
    with account.session("INBOX") as session:
        assert session.search(uid_from=3) == []
        assert session.search("UNSEEN", uid_from=50) == []
        assert session.search(uid_from=2, uid_to=1) == []


@pytest.mark.parametrize(
    "capabilities", [("IMAP4rev1", "LITERAL+"), ("IMAP4rev1", "LITERAL-"), ("IMAP4rev1",)]
)
def test_search_with_every_kind_of_literal(
    scripted: Account, embedded_imap: EmbeddedImapServer, capabilities: tuple[str, ...]
) -> None:
    """Non-ASCII criteria are sent as the server takes literals."""
    embedded_imap.capabilities = capabilities
    scripted.deliver(note("r\u00e9sum\u00e9"), note("other"))
    with scripted.session("INBOX") as session:
        assert session.search('(SUBJECT "r\u00e9sum\u00e9" FROM "ann")') == [1]
        plus = len(capabilities) > 1
        assert ("+}" in embedded_imap.commands[-1]) == plus
        session.noop()


@pytest.mark.parametrize("status", ["NO [BADCHARSET (US-ASCII)] no", "BAD no"])
def test_a_search_that_is_refused(
    scripted: Account, embedded_imap: EmbeddedImapServer, status: str
) -> None:
    """The server's words are told, and the session lives on."""
    embedded_imap.script("UID SEARCH", status=status)
    with scripted.session("INBOX") as session:
        with scripted.fails(ImapCommandError, "IMAP SEARCH") as caught:
            session.search("SUBJECT \u00e9")
        assert status in str(caught.value)
        assert session.search() == []


def test_criteria_that_the_server_does_not_know(account: Account) -> None:
    """A wrong search key is the server's BAD, told with the step."""
    with account.session("INBOX") as session:
        with account.fails(ImapCommandError, "IMAP SEARCH"):
            session.search("NOSUCHKEY")
        assert session.search() == []


def test_a_search_before_a_folder_is_open(account: Account) -> None:
    """It is refused here, and so is reading."""
    with account.session() as session:
        with account.fails(ImapCommandError, "IMAP SEARCH"):
            session.search()
        with account.fails(ImapCommandError, "IMAP FETCH"):
            list(session.fetch_metadata([1]))


@pytest.mark.parametrize("uidnext", [b"* OK [UIDNEXT 4294967295] next\r\n", b""])
def test_a_huge_folder_is_searched_in_windows(
    scripted: Account, embedded_imap: EmbeddedImapServer, uidnext: bytes
) -> None:
    """No answer can grow beyond the longest line of the reader; all windows together are all."""
    answer = b"* 900000 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n" + uidnext + b"{tag} OK done\r\n"
    highest = 4_294_967_290 if uidnext else 300_000
    found = [3, 81_000, 163_000, highest]

    def matches(line: str) -> bool:
        asked.append(line.partition("UID SEARCH ")[2])
        return True

    asked: list[str] = []
    embedded_imap.script("EXAMINE", answer=answer)
    embedded_imap.script(
        "UID SEARCH",
        matching=lambda line: line.endswith("UID *"),
        answer=b"* SEARCH %d\r\n{tag} OK\r\n" % highest,
    )
    embedded_imap.script(
        "UID SEARCH",
        matching=matches,
        times=None,
        answer=b"* SEARCH " + b" ".join(b"%d" % uid for uid in found) + b"\r\n{tag} OK\r\n",
    )
    with scripted.session("Huge") as session:
        assert session.search("UNSEEN", uid_from=2, uid_to=400_000 if uidnext else None) == [
            uid for uid in found if not uidnext or uid <= 400_000
        ]
    bounds = [re.fullmatch(r"UID (\d+):(\d+|\*) UNSEEN", one.strip()) or one for one in asked]
    assert len(bounds) > 2
    last = 1
    for bound in bounds:
        assert isinstance(bound, re.Match)
        assert int(bound[1]) == last + 1
        last = int(bound[2]) if bound[2] != "*" else highest
        assert (last - int(bound[1])) * 11 < 1_000_000 or bound[2] == "*"
    assert last >= 300_000


def test_an_odd_search_answer(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """Several lines, zeros, words and modification sequences are understood."""
    scripted.deliver(note())
    answer = b"* SEARCH 3 1\r\n* SEARCH\r\n* SEARCH 0 x 2 (MODSEQ 9)\r\n{tag} OK\r\n"
    embedded_imap.script("UID SEARCH", answer=answer)
    with scripted.session("INBOX") as session:
        assert session.search() == [1, 2, 3]
