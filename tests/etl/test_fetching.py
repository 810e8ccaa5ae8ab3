# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What one run lands, and what the next."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from airflow_imap_oauth.etl import Choice, FetchOptions
from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    ImapConnectionError,
    MailFolderNotFoundError,
    UidValidityChangedError,
)
from tests.etl.conftest import ACCOUNT, Landed
from tests.etl.memory_mailbox import MemoryMailbox, mail, named

ONE_EACH = FetchOptions(commit_messages=1)


def test_a_message_lands_byte_by_byte_with_its_attachments_decoded(landed: Landed) -> None:
    """The .eml file is what the server sent, the attachments are what the sender attached."""
    message = mail(report_csv=b"a,b\n" * 1000, notes_txt=b"note")

    landed.fetch(MemoryMailbox(message), "run")

    (record,) = landed.records()
    assert landed.content(record["eml"]) == message.raw
    assert [landed.content(item) for item in record["attachments"]] == [b"a,b\n" * 1000, b"note"]


def test_a_record_says_what_people_ask_of_a_message(landed: Landed) -> None:
    """The line of JSON holds key, addresses, dates, subject, flags and attachments."""
    landed.fetch(MemoryMailbox(replace(mail(a_csv=b"1"), flags=("\\Seen",))), "run")

    (record,) = landed.records()
    stored = {key: record.pop(key) for key in ("eml", "attachments")}
    assert record == {
        "schema": "airflow-imap-oauth/record",
        "version": 1,
        "account": ACCOUNT,
        "mail_folder": "INBOX",
        "uidvalidity": 7,
        "uid": 1,
        "outcome": "ok",
        "message_id": "<Hello@example.test>",
        "date_header": "2026-01-31T08:14:00Z",
        "date_header_raw": "Sat, 31 Jan 2026 08:14:00 +0000",
        "internaldate_at": "2026-01-31T08:15:00Z",
        "from": ["Ann <ann@example.test>"],
        "to": ["bob@example.test"],
        "cc": [],
        "subject": "Hello",
        "size_bytes": stored["eml"]["bytes"],
        "flags": ["\\Seen"],
        "quarantine": None,
    }
    (attachment,) = stored["attachments"]
    assert (attachment["section"], attachment["filename"]) == ("2", "a.csv")
    assert attachment["content_type"] == "text/csv"


def test_the_result_counts_and_names_the_runs_record(landed: Landed) -> None:
    """XCom gets counts, the highest UID and the path of a record that names every commit."""
    mailbox = MemoryMailbox(mail("one", a_csv=b"1"), mail("two"))

    result = landed.fetch(mailbox, "dag/task/run", options=ONE_EACH).to_xcom()

    record = json.loads(open(result["manifest"]).read())  # noqa: PTH123, SIM115  # a plain path
    assert record["run_id"] == "dag/task/run"
    (folder,) = record["folders"]
    assert [commit["seq"] for commit in folder["commits"]] == [1, 2]
    assert [commit["records"] for commit in folder["commits"]] == [
        commit["records"] for commit in landed.commits()
    ]
    stored_bytes = sum(len(message.raw) for message in mailbox.messages.values()) + 1
    assert result == {
        "manifest": result["manifest"],
        "messages": 2,
        "attachments": 1,
        "bytes": stored_bytes,
        "quarantined": 0,
        "uidvalidity": 7,
        "last_uid": 2,
    }


def test_a_second_run_lands_nothing_twice(landed: Landed) -> None:
    """With nothing new no part is asked for, nothing is committed, and there is no manifest."""
    mailbox = MemoryMailbox(mail(), mail())
    landed.fetch(mailbox, "first")
    mailbox.requested.clear()

    result = landed.fetch(mailbox, "second")

    assert (result.manifest, result.counts.messages, result.last_uid) == (None, 0, None)
    assert mailbox.requested == []
    assert len(landed.commits()) == 1


def test_a_later_run_lands_only_what_arrived(landed: Landed) -> None:
    """The next run reads the new message alone."""
    mailbox = MemoryMailbox(mail("old"))
    landed.fetch(mailbox, "first")
    uid = mailbox.deliver(mail("new"))
    mailbox.requested.clear()

    result = landed.fetch(mailbox, "second")

    assert landed.uids() == [1, uid]
    assert {request.uid for request in mailbox.requested} == {uid}
    assert result.last_uid == uid


def test_a_server_without_uidnext_is_read_all_the_same(landed: Landed) -> None:
    """UIDNEXT is optional: without it every run asks what is there."""
    mailbox = MemoryMailbox(mail(), mail())
    mailbox.knows_uidnext = False
    landed.fetch(mailbox, "first")
    mailbox.deliver(mail())

    landed.fetch(mailbox, "second")

    assert landed.uids() == [1, 2, 3]


def test_a_lost_connection_costs_one_batch(landed: Landed) -> None:
    """What was committed stays, and the retry asks only for what was not."""
    mailbox = MemoryMailbox(*(mail(str(n)) for n in range(5)))
    mailbox.lost_after = 3
    with pytest.raises(ImapConnectionError):
        landed.fetch(mailbox, "run", options=ONE_EACH)
    assert landed.uids() == [1, 2, 3]
    mailbox.lost_after = None
    mailbox.requested.clear()

    result = landed.fetch(mailbox, "run", options=ONE_EACH)

    assert [request.uid for request in mailbox.requested] == [4, 5]
    assert landed.uids() == [1, 2, 3, 4, 5]
    assert result.counts.messages == 5


def test_a_retry_carries_out_the_plan_of_the_first_try(landed: Landed) -> None:
    """What arrives between two tries is left to the next run."""
    mailbox = MemoryMailbox(mail(), mail())
    mailbox.lost_after = 1
    with pytest.raises(ImapConnectionError):
        landed.fetch(mailbox, "run", options=ONE_EACH)
    mailbox.lost_after = None
    mailbox.deliver(mail())

    assert landed.fetch(mailbox, "run", options=ONE_EACH).counts.messages == 2
    assert landed.fetch(mailbox, "next").counts.messages == 1


def test_a_cleared_run_returns_its_record(landed: Landed) -> None:
    """Running a finished run again lands nothing and gives the same result."""
    mailbox = MemoryMailbox(mail())
    first = landed.fetch(mailbox, "run")
    mailbox.deliver(mail())

    assert landed.fetch(mailbox, "run") == first
    assert landed.uids() == [1]


def test_a_batch_ends_at_a_number_of_bytes(landed: Landed) -> None:
    """Large messages are committed one by one, small ones together."""
    big = mail(x_bin=b"x" * 5000)
    options = FetchOptions(commit_bytes=6000, choice=Choice(attachments=False))

    landed.fetch(MemoryMailbox(mail(), mail(), big, big, mail()), "run", options=options)

    assert [commit["outcomes"]["ok"] for commit in landed.commits()] == ["1:2", "3", "4", "5"]


def test_max_messages_takes_the_oldest_first(landed: Landed) -> None:
    """A run lands so many, and the following runs the rest, none left out."""
    mailbox = MemoryMailbox(*(mail(str(n)) for n in range(5)))
    options = FetchOptions(max_messages=2)

    counts = [landed.fetch(mailbox, f"run-{n}", options=options).counts.messages for n in range(4)]

    assert counts == [2, 2, 1, 0]
    assert landed.uids() == [1, 2, 3, 4, 5]


def test_only_chosen_parts_land(landed: Landed) -> None:
    """Without ``eml`` and with a glob, only attachments of such a name are asked for."""
    mailbox = MemoryMailbox(mail(a_CSV=b"1", b_pdf=b"2"), mail())
    options = FetchOptions(choice=Choice(eml=False, attachment_glob="*.csv"))

    landed.fetch(mailbox, "run", options=options)

    assert [(request.uid, request.section) for request in mailbox.requested] == [(1, "2")]
    first, second = landed.records()
    assert [item["filename"] for item in first["attachments"]] == ["a.CSV"]
    assert (first["eml"], second["eml"], second["attachments"]) == (None, None, [])


def test_two_mailboxes_share_a_destination(landed: Landed) -> None:
    """Equal UIDs of two accounts and of two folders are different messages."""
    ann, bob, archive = (MemoryMailbox(mail(name)) for name in ("ann", "bob", "archive"))
    archive.name = "Archive"
    landed.fetch(ann, "a")
    landed.fetch(bob, "b", account="bob@example.test")
    landed.fetch(archive, "c")

    found = {(r["account"], r["mail_folder"]): r["eml"] for r in landed.records()}

    assert {key: b"Subject: " + key_word in landed.content(found[key]) for key, key_word in {
        (ACCOUNT, "INBOX"): b"ann",
        ("bob@example.test", "INBOX"): b"bob",
        (ACCOUNT, "Archive"): b"archive",
    }.items()} == dict.fromkeys(found, True)  # fmt: skip


def test_the_spelling_of_an_account_does_not_make_another_mailbox(landed: Landed) -> None:
    """``Ann@Example.test`` is ``ann@example.test``, and ``inbox`` is ``INBOX``."""
    mailbox = MemoryMailbox(mail())
    landed.fetch(mailbox, "first")
    mailbox.name = "inbox"

    landed.fetch(mailbox, "second", account="Ann@Example.TEST")

    assert landed.uids() == [1]


@pytest.mark.parametrize(
    "name",
    ["../../up", "/etc", "a/b/c", "..", ".", "x" * 300, "C:\\x", "\u202egpj.exe", "日本", "%2e%2e"],
)
def test_hostile_folder_names_stay_inside(landed: Landed, name: str) -> None:
    """Whatever a folder is called, its mail lands below the destination, apart from others'."""
    mailbox, other = MemoryMailbox(mail("x", a_csv=b"1")), MemoryMailbox(mail("y"))
    mailbox.name, other.name = name, name + "x"

    landed.fetch(mailbox, "run")
    landed.fetch(other, "other")

    assert [record["mail_folder"] for record in landed.records()] in (
        [name, name + "x"],
        [name + "x", name],
    )


@pytest.mark.parametrize(
    "filename",
    ["../../../up.csv", "/etc/passwd", "..", "", "a\0b", "x" * 500, "a\nb.csv", None, "CON"],
)
def test_hostile_file_names_stay_inside(landed: Landed, filename: str | None) -> None:
    """Whatever an attachment is called, it lands in its message's folder, under a safe name."""
    landed.fetch(MemoryMailbox(named(mail(a_csv=b"data"), filename)), "run")

    (record,) = landed.records()
    (attachment,) = record["attachments"]
    assert landed.content(attachment) == b"data"
    assert attachment["filename"] == filename
    folder, _, base = attachment["path"].rpartition("/")
    assert folder.endswith("/7/0000000001")
    assert base.startswith("2-")


def test_equal_file_names_do_not_overwrite_each_other(landed: Landed) -> None:
    """Two attachments of one name, and the same name in two messages, are all kept."""
    twins = mail(a_csv=b"one", b_csv=b"two")
    twins = replace(twins, parts=tuple(replace(p, filename="a.csv") for p in twins.parts[1:]))
    landed.fetch(MemoryMailbox(twins, mail(a_csv=b"three")), "run")

    stored = [item for record in landed.records() for item in record["attachments"]]

    assert [landed.content(item) for item in stored] == [b"one", b"two", b"three"]


def test_two_filters_lose_and_repeat_nothing(landed: Landed) -> None:
    """Each filter lands what it selects; what both select lands once."""
    mailbox = MemoryMailbox(mail("red"), mail("blue"), mail("red blue"), mail("green"))

    def land(word: str, run_id: str) -> int:
        options = FetchOptions(criteria=f'SUBJECT "{word}"')
        return landed.fetch(mailbox, run_id, options=options).counts.messages

    assert [land("red", "1"), land("blue", "2"), land("red", "3")] == [2, 1, 0]
    mailbox.deliver(mail("blue too"))
    assert [land("red", "4"), land("blue", "5")] == [0, 1]
    assert sorted(landed.uids()) == [1, 2, 3, 5]
    assert landed.fetch(mailbox, "all").counts.messages == 1


def test_a_filter_does_not_search_again_what_it_has_seen(landed: Landed) -> None:
    """A filter that hits seldom starts after the last message it looked at."""
    mailbox = MemoryMailbox(mail("red"), mail("blue"), mail("blue"))
    options = FetchOptions(criteria='SUBJECT "red"')
    landed.fetch(mailbox, "first", options=options)
    mailbox.deliver(mail("red"))

    landed.fetch(mailbox, "second", options=options)

    assert mailbox.searches[-1] == ('SUBJECT "red"', 4, 4)


def test_a_message_that_comes_to_match_is_landed(landed: Landed) -> None:
    """A filter on flags finds an old message that someone flags later."""
    mailbox = MemoryMailbox(mail(), replace(mail(), flags=("\\Flagged",)))
    options = FetchOptions(criteria="FLAGGED")
    landed.fetch(mailbox, "first", options=options)
    mailbox.messages[1] = replace(mailbox.messages[1], flags=("\\Flagged",))

    landed.fetch(mailbox, "second", options=options)

    assert landed.uids() == [2, 1]


@pytest.mark.parametrize("change", ["uidvalidity", "zero", "uidnext"])
def test_a_renumbered_folder_stops_the_run(landed: Landed, change: str) -> None:
    """When UIDs no longer mean the same, nothing is read and the error says what to do."""
    mailbox = MemoryMailbox(mail(), mail())
    landed.fetch(mailbox, "first")
    mailbox.requested.clear()
    if change == "uidnext":
        mailbox.uidnext = 2
    else:
        mailbox.uidvalidity = 8 if change == "uidvalidity" else 0

    with pytest.raises(UidValidityChangedError) as caught:
        landed.fetch(mailbox, "second")

    assert caught.value.hint
    assert not caught.value.retry_helps
    assert mailbox.requested == []
    assert len(landed.commits()) == 1


def test_a_plan_does_not_outlive_a_renumbering(landed: Landed) -> None:
    """A retry after the folder was renumbered does not land other messages under the old UIDs."""
    mailbox = MemoryMailbox(mail())
    mailbox.lost_after = 0
    with pytest.raises(ImapConnectionError):
        landed.fetch(mailbox, "run")
    mailbox.lost_after, mailbox.uidvalidity = None, 8

    with pytest.raises(UidValidityChangedError):
        landed.fetch(mailbox, "run")


def test_a_missing_folder_is_told(landed: Landed) -> None:
    """The session's error rises and nothing is written but the destination's marker."""
    with pytest.raises(MailFolderNotFoundError):
        landed.fetch(MemoryMailbox(), "run", options=FetchOptions(mail_folder="Nope"))

    assert landed.commits() == []


@pytest.mark.parametrize(
    "wrong",
    [{"choice": Choice(eml=False, attachments=False)}, {"max_messages": 0}, {"commit_messages": 0}],
)
def test_options_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    """Landing nothing of a message, or no message at all, is a mistake."""
    with pytest.raises(ConfigurationError):
        FetchOptions(**wrong)  # type: ignore[arg-type]  # what the test is about
