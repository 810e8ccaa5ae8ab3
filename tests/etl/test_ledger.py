# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Two runs at once, lost hints, files that cannot be read, and sets too large to repeat."""

from __future__ import annotations

import json

import pytest

from airflow_imap_oauth.etl import Choice, FetchOptions, open_destination, read_position
from airflow_imap_oauth.exceptions import CommitConflictError, LedgerError
from tests.etl.conftest import ACCOUNT, Landed
from tests.etl.memory_mailbox import MemoryMailbox, mail

ONE_EACH = FetchOptions(commit_messages=1)


def red(word: str) -> FetchOptions:
    """Choose messages by a word of their subject."""
    return FetchOptions(criteria=f'SUBJECT "{word}"')


def test_of_two_runs_with_the_same_messages_one_wins(landed: Landed) -> None:
    """The slower run gets a conflict that a retry resolves; nothing is committed twice."""
    mailbox, same = MemoryMailbox(mail(), mail()), MemoryMailbox(mail(), mail())
    mailbox.before_parts = lambda: landed.fetch(same, "winner") and None

    with pytest.raises(CommitConflictError) as caught:
        landed.fetch(mailbox, "loser")

    assert caught.value.retry_helps
    assert landed.uids() == [1, 2]
    mailbox.before_parts = lambda: None
    assert landed.fetch(mailbox, "loser").manifest is None


def test_runs_with_different_messages_both_commit(landed: Landed) -> None:
    """A run that lost the race for a number goes on with the next: its messages are others."""
    mailbox, same = (
        MemoryMailbox(mail("red"), mail("blue")),
        MemoryMailbox(mail("red"), mail("blue")),
    )
    mailbox.before_parts = lambda: landed.fetch(same, "blue", options=red("blue")) and None

    result = landed.fetch(mailbox, "red", options=red("red"))

    assert (result.counts.messages, sorted(landed.uids())) == (1, [1, 2])
    assert [commit["seq"] for commit in landed.commits()] == [1, 2]
    assert landed.fetch(mailbox, "again", options=red("red")).manifest is None


@pytest.mark.parametrize("hint", [None, b"", b"{", b'{"schema": "x"}'])
def test_a_lost_hint_is_worked_out_again(landed: Landed, hint: bytes | None) -> None:
    """The hint at the last commit may be missing or garbled: the commits themselves decide."""
    mailbox = MemoryMailbox(mail(), mail(), mail())
    landed.fetch(mailbox, "first", options=ONE_EACH)
    (file,) = landed.root.glob("ledger/*/tip.json")
    file.unlink() if hint is None else file.write_bytes(hint)
    mailbox.deliver(mail())

    landed.fetch(mailbox, "second")

    assert landed.uids() == [1, 2, 3, 4]


def test_a_hint_that_lags_is_caught_up(landed: Landed) -> None:
    """A process killed between commit and hint leaves an older hint; nothing is landed twice."""
    mailbox = MemoryMailbox(mail(), mail(), mail())
    landed.fetch(mailbox, "first", options=ONE_EACH)
    (file,) = landed.root.glob("ledger/*/tip.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "seq": 1}))

    assert landed.fetch(mailbox, "second").manifest is None


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        ("destination.json", "version"),
        ("ledger/*/commits/0000000001.json", "version"),
        ("ledger/*/commits/0000000001.json", "JSON"),
        ("ledger/*/commits/0000000001.json", "missing"),
        ("ledger/*/commits/0000000001.json", "field"),
    ],
)
def test_a_ledger_that_cannot_be_understood_stops_the_run(
    landed: Landed, pattern: str, what: str
) -> None:
    """A file of another version, damaged or missing is named, and nothing is landed over it."""
    mailbox = MemoryMailbox(mail())
    landed.fetch(mailbox, "first")
    (file,) = landed.root.glob(pattern)
    content = json.loads(file.read_text())
    if what == "missing":
        file.unlink()
    elif what == "JSON":
        file.write_text("{")
    elif what == "version":
        file.write_text(json.dumps({**content, "version": 2}))
    else:
        file.write_text(json.dumps({**content, "settled_uid": "one"}))
    mailbox.deliver(mail())
    mailbox.requested.clear()

    with pytest.raises(LedgerError) as caught:
        landed.fetch(mailbox, "second")

    assert file.name in str(caught.value)
    assert mailbox.requested == []


def test_additional_keys_are_ignored(landed: Landed) -> None:
    """A later release may add keys within version 1."""
    mailbox = MemoryMailbox(mail())
    landed.fetch(mailbox, "first")
    (file,) = landed.root.glob("ledger/*/commits/*")
    file.write_text(json.dumps({**json.loads(file.read_text()), "later": {"a": 1}}))

    assert landed.fetch(mailbox, "second").manifest is None


def test_the_position_tells_what_is_uncommitted(landed: Landed) -> None:
    """Whoever waits for mail learns up to where it is committed, without writing anything."""
    mailbox = MemoryMailbox(mail("red"), mail("blue"), mail("red"))
    before = read_position(
        open_destination(landed.root, read_only=True), account=ACCOUNT, mail_folder="INBOX"
    )
    assert not landed.root.exists()
    landed.fetch(mailbox, "run", options=red("red"))

    after = read_position(
        open_destination(landed.root, read_only=True), account=ACCOUNT, mail_folder="INBOX"
    )

    assert (before.uidvalidity, before.is_settled(1)) == (None, False)
    assert after.uidvalidity == 7
    assert [after.is_settled(uid) for uid in (1, 2, 3, 4)] == [True, False, True, False]
    assert (after.search_from('SUBJECT "red"'), after.search_from("ALL")) == (4, 2)


def test_sets_too_large_to_repeat_go_to_a_checkpoint(landed: Landed) -> None:
    """With thousands of gaps a commit stays small, and every reader gets the same state."""
    count = 14_000
    mailbox = MemoryMailbox()
    for number in range(count):
        mailbox.deliver(mail("red" if number % 2 else "blue"))
    options = FetchOptions(criteria='SUBJECT "red"', commit_messages=1000, choice=Choice(eml=False))
    landed.fetch(mailbox, "red", options=options)

    assert any(commit["checkpoint"] is not None for commit in landed.commits())
    largest = max(file.stat().st_size for file in landed.root.glob("ledger/*/commits/*"))
    assert largest < 64 * 1024
    destination = open_destination(landed.root)
    position = read_position(destination, account=ACCOUNT, mail_folder="INBOX")
    assert [uid for uid in range(1, count + 1) if position.is_settled(uid)] == list(
        range(2, count + 1, 2)
    )
    assert landed.fetch(mailbox, "again", options=red("red")).manifest is None
