# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Folders: opened read-only, by any name; what could become a command is refused."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    ImapCommandError,
    ImapError,
    ImapUnavailableError,
    MailFolderNotFoundError,
)
from airflow_imap_oauth.imap.model import MailSession, PartRequest
from tests.imap.accounts import Account, read_parts
from tests.imap.mails import note
from tests.mailbox import WELL_FORMED, small_mailbox
from tests.servers.embedded_imap import EmbeddedImapServer

FOLDERS = [
    "Rechnungen",
    "S\u00fcd/M\u00e4rz & Co",
    "\u58f2\u4e0a",
    "a.b",
    'q"uote\\',
    "sp ace",
    "&",
]


def test_what_a_folder_tells(account: Account) -> None:
    """Number of messages, next UID, and a UIDVALIDITY that stays until the folder is renumbered."""
    account.deliver(note(), note(), note())
    with account.session() as session:
        first, again = session.examine("INBOX"), session.examine("inbox")
        assert (first.name, first.exists, first.uidnext) == ("INBOX", 3, 4)
        assert again.uidvalidity == first.uidvalidity > 0
    account.server.renumber(account.login)
    with account.session() as session:
        assert session.examine("INBOX").uidvalidity > first.uidvalidity


def test_a_folder_that_tells_little(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """Numbers that a server leaves out are 0 or None, also after another folder told them."""
    embedded_imap.script(
        "EXAMINE",
        answer=b"{tag} OK [READ-ONLY]\r\n",
        matching=lambda line: "Bare" in line,
    )
    embedded_imap.script("NOOP", before=b"* 5 EXISTS\r\n* OK [UIDNEXT 77] x\r\n")
    scripted.deliver(note())
    with scripted.session("INBOX") as session:
        session.noop()
        bare = session.examine("Bare")
        assert (bare.exists, bare.uidvalidity, bare.uidnext) == (0, 0, None)


def test_reading_leaves_mail_unread(account: Account) -> None:
    r"""All that a session can do sets no ``\Seen``."""
    account.deliver(*(mail.raw for mail in WELL_FORMED[:8]))
    with account.session("INBOX") as session:
        found = list(session.fetch_metadata(session.search(), headers=True))
        read_parts(session, [PartRequest(uid=one.uid, section="") for one in found])
        read_parts(session, [PartRequest(uid=one.uid, section="1") for one in found])
    with account.session("INBOX") as session:
        assert len(session.search("UNSEEN")) == 8
        assert not any("\\Seen" in one.flags for one in session.fetch_metadata(range(1, 9)))


def test_nothing_is_sent_that_changes_mail(
    scripted: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """The session knows no command that writes, and peeks at bodies."""
    scripted.deliver(*small_mailbox(3))
    with scripted.session("INBOX") as session:
        session.list_folders()
        session.search('SUBJECT "x"')
        list(session.fetch_metadata([1, 2, 3], headers=True))
        read_parts(session, [PartRequest(uid=1, section="1")])
        session.noop()
    assert set(embedded_imap.command_names) == {
        "CAPABILITY",
        "AUTHENTICATE",
        "LIST",
        "EXAMINE",
        "UID SEARCH",
        "UID FETCH",
        "NOOP",
        "LOGOUT",
    }
    bodies = re.findall(r"BODY\S*\[", "\n".join(embedded_imap.commands))
    assert set(bodies) == {"BODY.PEEK["}


def test_a_missing_folder(account: Account) -> None:
    """It is named with the server's words, nothing is open then, and the session lives on."""
    with account.session("INBOX") as session:
        with account.fails(MailFolderNotFoundError, "IMAP EXAMINE") as caught:
            session.examine("No/Such \u00dc")
        assert "'No/Such \u00dc'" in str(caught.value)
        assert "cannot be opened: NO " in str(caught.value)
        assert "doesn't exist" in str(caught.value)
        assert not caught.value.retry_helps
        with account.fails(ImapCommandError, "IMAP SEARCH") as nothing_open:
            session.search()
        assert "No mail folder is open" in str(nothing_open.value)
        assert session.examine("INBOX").exists == 0


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("NO [INUSE] locked", ImapUnavailableError),
        ("NO [UNAVAILABLE] storage is down", ImapUnavailableError),
        ("NO [NOPERM] not yours", MailFolderNotFoundError),
        ("BAD what?", ImapCommandError),
    ],
)
def test_a_folder_that_cannot_be_opened(
    scripted: Account, embedded_imap: EmbeddedImapServer, status: str, kind: type[ImapError]
) -> None:
    """A folder that is only busy is not missing."""
    embedded_imap.script("EXAMINE", status=status)
    with scripted.session() as session, scripted.fails(kind, "IMAP EXAMINE"):
        session.examine("INBOX")


@pytest.mark.parametrize("folder", FOLDERS)
def test_folders_of_any_name(account: Account, folder: str) -> None:
    """A folder is listed under its Unicode name and opened by it."""
    account.deliver(note(folder), folder=folder)
    with account.session(folder) as session:
        assert session.search() == [1]
        found = {one.name: one for one in session.list_folders()}
        assert found[folder].delimiter == "/"
        assert folder in [one.name for one in session.list_folders(folder)]


def test_list_patterns(account: Account) -> None:
    """A pattern chooses; its wildcards stay wildcards."""
    for folder in ("Archive/2025", "Archive/2026", "\u00dcbersicht/2026"):
        account.server.create_folder(account.login, folder)
    with account.session() as session:
        assert {one.name for one in session.list_folders("Archive/%")} == {
            "Archive/2025",
            "Archive/2026",
        }
        assert [one.name for one in session.list_folders("\u00dcber*/*")] == ["\u00dcbersicht/2026"]


def test_names_against_the_standard(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """A folder is opened by the bytes that the server listed, whatever they are."""
    rows = (
        b'* LIST (\\HasNoChildren \\Sent) "/" "Entw\xc3\xbcrfe"\r\n'
        b'* LIST () NIL {8}\r\nAT&T "x"\r\n'
        b'* LIST (\\Marked) "." NIL\r\n'
        b"* LIST broken\r\n* LIST (( \r\n{tag} OK\r\n"
    )
    with scripted.session() as session:
        embedded_imap.script("LIST", answer=rows)
        found = session.list_folders()
        assert [(one.name, one.delimiter) for one in found] == [
            ("Entw\u00fcrfe", "/"),
            ('AT&T "x"', None),
            ("NIL", "."),
        ]
        assert found[0].attributes == ("\\HasNoChildren", "\\Sent")
        embedded_imap.script("EXAMINE", answer=b"* 1 EXISTS\r\n{tag} OK\r\n", times=2)
        session.examine("Entw\u00fcrfe")
        session.examine('AT&T "x"')
    opened = [line.partition(" ")[2] for line in embedded_imap.commands if "EXAMINE" in line]
    assert opened == ['EXAMINE "Entw\u00fcrfe"', r'EXAMINE "AT&T \"x\""']


def _examine(text: str) -> Callable[[MailSession], object]:
    return lambda session: session.examine(text)


def _list(text: str) -> Callable[[MailSession], object]:
    return lambda session: session.list_folders(text)


def _search(text: str) -> Callable[[MailSession], object]:
    return lambda session: session.search(text)


def _fetch(text: str) -> Callable[[MailSession], object]:
    return lambda session: read_parts(session, [PartRequest(uid=1, section=text)])


@pytest.mark.parametrize("call", [_examine, _list, _search, _fetch])
@pytest.mark.parametrize("text", ["1\r\nX1 DELETE INBOX", "1\r", "1\n", "1\0"])
def test_no_argument_becomes_a_command(
    scripted: Account,
    embedded_imap: EmbeddedImapServer,
    call: Callable[[str], Callable[[MailSession], object]],
    text: str,
) -> None:
    """Line ends and NUL are refused before a byte is sent."""
    scripted.deliver(note())
    with scripted.session("INBOX") as session:
        sent = len(embedded_imap.commands)
        with pytest.raises(ConfigurationError) as caught:
            call(text)(session)
        assert caught.value.conn_id == "mail-42"
        assert caught.value.step
        assert len(embedded_imap.commands) == sent
        session.noop()
