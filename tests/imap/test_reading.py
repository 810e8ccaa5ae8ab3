# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Folders, search and metadata: read-only, by UID, one odd message at a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone

import pytest

from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    ImapCommandError,
    ImapError,
    ImapProtocolError,
    ImapUnavailableError,
    MailFolderNotFoundError,
)
from airflow_imap_oauth.imap.headers import read_headers
from airflow_imap_oauth.imap.model import MailSession, PartRequest
from tests.imap.accounts import Account, read_parts
from tests.mailbox import BROKEN, WELL_FORMED, small_mailbox
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


def _note(subject: str = "note", body: str = "body") -> bytes:
    return f"Subject: {subject}\r\nFrom: Ann <ann@shop.test>\r\n\r\n{body}\r\n".encode()


# --- Folders ------------------------------------------------------------------------------------


def test_what_a_folder_tells(account: Account) -> None:
    """Number of messages, next UID, and a UIDVALIDITY that stays until the folder is renumbered."""
    account.deliver(_note(), _note(), _note())
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
        answer=b"* 0 EXISTS\r\n{tag} OK [READ-ONLY]\r\n",
        matching=lambda line: "Bare" in line,
    )
    scripted.deliver(_note())
    with scripted.session("INBOX") as session:
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
        with account.fails(ImapCommandError, "IMAP SEARCH"):
            session.search()
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
    account.deliver(_note(folder), folder=folder)
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
    scripted.deliver(_note())
    with scripted.session("INBOX") as session:
        sent = len(embedded_imap.commands)
        with pytest.raises(ConfigurationError) as caught:
            call(text)(session)
        assert caught.value.conn_id == "mail-42"
        assert caught.value.step
        assert len(embedded_imap.commands) == sent
        session.noop()


# --- Search -------------------------------------------------------------------------------------


def test_search(account: Account) -> None:
    """Raw criteria choose messages by UID, ascending; ASCII or not."""
    account.deliver(_note("report one"), _note("r\u00e9sum\u00e9"), _note("report two"))
    account.deliver(_note("report three"), flags=["\\Seen"])
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
    account.deliver(_note(), _note())
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
    scripted.deliver(_note("r\u00e9sum\u00e9"), _note("other"))
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
    scripted.deliver(_note())
    answer = b"* SEARCH 3 1\r\n* SEARCH\r\n* SEARCH 0 x 2 (MODSEQ 9)\r\n{tag} OK\r\n"
    embedded_imap.script("UID SEARCH", answer=answer)
    with scripted.session("INBOX") as session:
        assert session.search() == [1, 2, 3]


# --- Metadata -----------------------------------------------------------------------------------


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
    account.deliver(_note(), _note(), _note())
    with account.session("INBOX") as session:
        account.server.expunge(account.login, 2)
        session.noop()
        found = session.fetch_metadata([3, 1, 2, 2, 77, 0, -4, 2**40])
        assert [one.uid for one in found] == [1, 3]


def test_batches(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """Round trips do not grow with the number of messages; rows come in order of UIDs."""
    scripted.deliver(*[_note()] * 520)
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
        found = {one.uid: one for one in session.fetch_metadata([1, 2, 3])}
    assert reason in (found[2].structure_error or "")
    assert found[2].size_bytes
    assert found[1].structure_error is found[3].structure_error is None


def test_rows_that_nobody_asked_for(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """News of other messages, and rows in pieces, are put in their place."""
    scripted.deliver(_note(), _note())
    news = (
        b"* 2 FETCH (FLAGS (\\Deleted))\r\n"
        b"* 9 FETCH (UID 9 FLAGS ())\r\n"
        b"* 1 FETCH (FLAGS () UID 1)\r\n"
    )
    embedded_imap.script("UID FETCH", before=news)
    with scripted.session("INBOX") as session:
        found = list(session.fetch_metadata([1]))
    assert [(one.uid, one.structure_error) for one in found] == [(1, None)]


def test_a_server_that_refuses_everything(
    scripted: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """A server that refuses every FETCH is no case of odd messages, and is soon given up."""
    scripted.deliver(*[_note()] * 200)
    embedded_imap.script("UID FETCH", status="NO never", times=None)
    with scripted.session("INBOX") as session:
        with scripted.fails(ImapCommandError, "IMAP FETCH") as caught:
            list(session.fetch_metadata(range(1, 201)))
        assert "NO never" in str(caught.value)
    assert embedded_imap.command_names.count("UID FETCH") < 60


def test_a_server_that_throttles(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """Throttling in the middle is transient, not a fault of the messages."""
    scripted.deliver(_note())
    embedded_imap.script("UID FETCH", status="NO [THROTTLED] later")
    with scripted.session("INBOX") as session, scripted.fails(ImapUnavailableError, "IMAP FETCH"):
        list(session.fetch_metadata([1]))


def test_another_folder_meanwhile(account: Account) -> None:
    """UIDs mean nothing in another folder: what was begun cannot go on there."""
    account.deliver(*[_note()] * 3)
    account.deliver(_note(), folder="Other")
    with account.session("INBOX") as session:
        begun = session.fetch_metadata([1, 2, 3])
        session.examine("Other")
        with account.fails(ImapCommandError, "IMAP FETCH"):
            list(begun)


def test_an_answer_without_end(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """A line of megabytes is no answer, and does not fill the memory."""
    scripted.deliver(_note())
    embedded_imap.script("UID FETCH", answer=b"* 1 FETCH (UID 1 X " + b"x" * 3_000_000 + b")\r\n")
    with scripted.session("INBOX") as session, scripted.fails(ImapProtocolError, "IMAP FETCH"):
        list(session.fetch_metadata([1]))
