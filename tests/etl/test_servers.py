# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Whole runs against real servers, over TLS: what they send is what lands."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from airflow_imap_oauth.etl import Choice, FetchOptions, RunResult, fetch, open_destination
from airflow_imap_oauth.exceptions import ImapConnectionError
from airflow_imap_oauth.imap.model import ImapSettings, MailSession
from airflow_imap_oauth.imap.session import open_session
from tests.etl.conftest import Landed
from tests.mailbox import BROKEN, WELL_FORMED, Mail, small_mailbox
from tests.servers.authorization_server import AuthorizationServer
from tests.servers.embedded_imap import EmbeddedImapServer
from tests.servers.mail_server import MailServer


class Account:
    """One account on one server."""

    def __init__(self, server: MailServer, authorization: AuthorizationServer, login: str) -> None:
        self.server = server
        self.login = login
        self._token = authorization.mint_access_token(login)
        self._settings = ImapSettings(
            conn_id="mail",
            host=server.host,
            port=server.port,
            user=login,
            ca_file=str(authorization.ca_file),
        )

    @contextmanager
    def session(self) -> Iterator[MailSession]:
        """Sign in."""
        session = open_session(self._settings, self._token)
        try:
            yield session
        finally:
            session.close()

    def fetch(self, landed: Landed, run_id: str, options: FetchOptions | None = None) -> RunResult:
        """Carry out one try of a run."""
        destination = open_destination(landed.root)
        with self.session() as session:
            return fetch(
                session, destination, options or FetchOptions(), account=self.login, run_id=run_id
            )


@pytest.fixture
def account(
    mail_server: MailServer,
    authorization_server: AuthorizationServer,
    imap_login: Callable[[], str],
) -> Account:
    """Give an account of its own."""
    return Account(mail_server, authorization_server, imap_login())


@pytest.fixture
def scripted(
    embedded_imap: EmbeddedImapServer,
    authorization_server: AuthorizationServer,
    imap_login: Callable[[], str],
) -> Account:
    """Give an account on the embedded server, which can be told to misbehave."""
    return Account(embedded_imap, authorization_server, imap_login())


def _asks_for_bodies(line: str) -> bool:
    return "BODY.PEEK[]" in line


def _as_delivered(mail: Mail) -> bytes:
    """Return what a server keeps: it may end lines as the standard demands."""
    return mail.raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def test_well_formed_mail_lands_whole(account: Account, landed: Landed) -> None:
    """Every message byte by byte, every attachment decoded under its true name."""
    for mail in WELL_FORMED:
        account.server.deliver(account.login, mail.raw)

    result = account.fetch(landed, "run")

    assert result.counts.messages == len(WELL_FORMED)
    for mail, record in zip(WELL_FORMED, landed.records(), strict=True):
        assert landed.content(record["eml"]) == mail.raw, mail.name
        found = [(item["filename"], landed.content(item)) for item in record["attachments"]]
        assert found == [(item.filename, item.content) for item in mail.attachments], mail.name


@pytest.mark.parametrize(
    "choice", [Choice(), Choice(eml=False), Choice(attachments=False)], ids=["all", "files", "eml"]
)
def test_broken_mail_lands_or_is_kept_raw_with_its_reason(
    account: Account, landed: Landed, choice: Choice
) -> None:
    """No fault of a message stops a run: all are committed, and none without its bytes."""
    for mail in BROKEN:
        account.server.deliver(account.login, mail.raw)

    result = account.fetch(landed, "run", FetchOptions(choice=choice))

    assert result.counts.messages + result.counts.quarantined == len(BROKEN)
    for mail, record in zip(BROKEN, landed.records(), strict=True):
        fault = record["quarantine"]
        if fault:
            assert fault["reason"], mail.name
        stored = fault["raw"] if fault else record["eml"]
        if stored:
            kept = landed.content(stored)
            assert kept in (mail.raw, _as_delivered(mail)) or b"\0" in mail.raw, mail.name
        else:
            assert not fault, mail.name
            assert not choice.eml, mail.name
        for item in record["attachments"]:
            landed.content(item)
    assert account.fetch(landed, "again").manifest is None


def test_two_runs_with_mail_in_between(account: Account, landed: Landed) -> None:
    """The second run lands what arrived, also in a folder with a name of its own."""
    first, second = small_mailbox(3), small_mailbox(2, seed=9)
    folder = "R\u00e9sum\u00e9s & \u8acb\u6c42"
    options = FetchOptions(mail_folder=folder)
    for raw in first:
        account.server.deliver(account.login, raw, folder=folder)
    account.fetch(landed, "one", options)
    for raw in second:
        account.server.deliver(account.login, raw, folder=folder)

    assert account.fetch(landed, "two", options).counts.messages == 2
    assert [landed.content(record["eml"]) for record in landed.records()] == [*first, *second]


def test_fetching_leaves_mail_unread(account: Account, landed: Landed) -> None:
    r"""A run sets no ``\Seen``."""
    account.server.deliver(account.login, small_mailbox(1)[0])

    account.fetch(landed, "run")

    with account.session() as session:
        session.examine("INBOX")
        assert session.search("UNSEEN") == [1]


def test_a_message_deleted_between_plan_and_fetch_is_gone(account: Account, landed: Landed) -> None:
    """Another client's deletion costs nothing but that message."""
    for raw in small_mailbox(3):
        account.server.deliver(account.login, raw)
    destination = open_destination(landed.root)
    with account.session() as session:
        search = session.search

        def search_then_delete(*arguments: object, **options: object) -> list[int]:
            found = search(*arguments, **options)  # type: ignore[arg-type]  # handed on
            if 2 in found:
                account.server.expunge(account.login, 2)
                session.search = search  # type: ignore[method-assign]  # once
            return found

        session.search = search_then_delete  # type: ignore[method-assign]  # to act in between
        result = fetch(session, destination, FetchOptions(), account=account.login, run_id="run")

    assert (result.counts.messages, result.counts.gone) == (2, 1)


def test_a_connection_cut_midway_is_resumed(
    embedded_imap: EmbeddedImapServer, scripted: Account, landed: Landed
) -> None:
    """The server drops the line in the second batch; the retry fetches the rest, no byte twice."""
    mails = small_mailbox(6)
    for raw in mails:
        embedded_imap.deliver(scripted.login, raw)
    options = FetchOptions(commit_messages=2, choice=Choice(attachments=False))
    embedded_imap.script("UID FETCH", uid=3, matching=_asks_for_bodies, drop_after_bytes=400)
    with pytest.raises(ImapConnectionError):
        scripted.fetch(landed, "run", options)
    assert landed.uids() == [1, 2]

    result = scripted.fetch(landed, "run", options)

    assert result.counts.messages == 6
    assert landed.uids() == [1, 2, 3, 4, 5, 6]
    assert [hashlib.sha256(raw).hexdigest() for raw in mails] == [
        record["eml"]["sha256"] for record in landed.records()
    ]


def test_a_message_that_the_server_refuses_is_set_aside(
    embedded_imap: EmbeddedImapServer, scripted: Account, landed: Landed
) -> None:
    """One NO to one message's bytes, for ever: the others land."""
    for raw in small_mailbox(4):
        embedded_imap.deliver(scripted.login, raw)
    embedded_imap.script(
        "UID FETCH",
        uid=2,
        matching=_asks_for_bodies,
        status="NO [SERVERBUG] cannot read it",
        times=None,
    )

    result = scripted.fetch(landed, "run")

    assert (result.counts.messages, result.counts.quarantined) == (3, 1)
    (odd,) = [record for record in landed.records() if record["outcome"] == "quarantined"]
    assert odd["uid"] == 2
    assert "cannot read it" in odd["quarantine"]["reason"]
