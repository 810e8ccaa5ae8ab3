# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""One odd message is set aside with its reason; the others land."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_imap_oauth.etl import Choice, FetchOptions
from airflow_imap_oauth.exceptions import (
    ImapCommandError,
    ImapProtocolError,
    ImapUnavailableError,
)
from airflow_imap_oauth.imap.model import Part
from tests.etl.conftest import Landed
from tests.etl.memory_mailbox import MemoryMailbox, mail

ATTACHMENTS_ONLY = FetchOptions(choice=Choice(eml=False))
REFUSED = ImapCommandError("NO [SERVERBUG] cannot read it")


def three() -> MemoryMailbox:
    """Make a folder whose second message is the odd one."""
    return MemoryMailbox(mail("one", a_csv=b"1"), mail("two", a_csv=b"2"), mail("three"))


@pytest.mark.parametrize("error", [REFUSED, ImapProtocolError("garbled")])
def test_a_part_that_cannot_be_had_sets_its_message_aside(landed: Landed, error: Exception) -> None:
    """The message is quarantined with the whole of it as raw bytes, the others are ok."""
    mailbox = three()
    mailbox.faults[2, "2"] = error

    result = landed.fetch(mailbox, "run")

    assert (result.counts.messages, result.counts.quarantined) == (2, 1)
    record = landed.records()[1]
    assert record["outcome"] == "quarantined"
    assert (record["quarantine"]["stage"], record["quarantine"]["reason"]) == (
        "fetch",
        f"part 2: {error}",
    )
    assert landed.content(record["quarantine"]["raw"]) == mailbox.messages[2].raw
    (outcomes,) = [commit["outcomes"] for commit in landed.commits()]
    assert outcomes["ok"] == "1,3"
    assert outcomes["quarantined"] == [
        {
            "uid": 2,
            "stage": "fetch",
            "reason": f"part 2: {error}",
            "raw": record["quarantine"]["raw"]["path"],
        }
    ]


def test_raw_bytes_are_kept_where_only_attachments_are_landed(landed: Landed) -> None:
    """Without ``eml`` the raw bytes of an odd message are fetched into the quarantine."""
    mailbox = three()
    mailbox.faults[2, "2"] = REFUSED

    landed.fetch(mailbox, "run", options=ATTACHMENTS_ONLY)

    record = landed.records()[1]
    assert record["quarantine"]["raw"]["path"].startswith("quarantine/")
    assert landed.content(record["quarantine"]["raw"]) == mailbox.messages[2].raw


def test_a_message_that_cannot_be_had_at_all_is_named(landed: Landed) -> None:
    """Without any bytes the quarantine still says which message, and why."""
    mailbox = three()
    mailbox.faults[2, ""] = REFUSED

    landed.fetch(mailbox, "run")

    record = landed.records()[1]
    assert (record["uid"], record["quarantine"]["raw"]) == (2, None)
    assert record["quarantine"]["reason"] == str(REFUSED)
    assert not list(landed.root.glob("mail/*/*/0000000002.eml"))


def test_a_quarantined_message_is_settled(landed: Landed) -> None:
    """The next run does not stumble over it again."""
    mailbox = three()
    mailbox.faults[2, ""] = REFUSED
    landed.fetch(mailbox, "first")

    assert landed.fetch(mailbox, "second").manifest is None


def test_metadata_that_fails_for_one_message_does_not_hide_the_others(landed: Landed) -> None:
    """The one at fault is found among many, and its raw bytes are kept."""
    mailbox = MemoryMailbox(*(mail(str(n)) for n in range(9)))
    mailbox.metadata_faults[6] = ImapProtocolError("a row that cannot be read")

    result = landed.fetch(mailbox, "run")

    assert (result.counts.messages, result.counts.quarantined) == (8, 1)
    (odd,) = [record for record in landed.records() if record["outcome"] == "quarantined"]
    assert (odd["uid"], odd["quarantine"]["reason"]) == (6, "a row that cannot be read")
    assert landed.content(odd["quarantine"]["raw"]) == mailbox.messages[6].raw


def test_a_message_that_the_server_leaves_out_is_not_taken_for_deleted(landed: Landed) -> None:
    """A server that says OK and sends no row, but lists the message, gets it quarantined."""
    mailbox = three()
    mailbox.silent.add(2)

    result = landed.fetch(mailbox, "run")

    assert (result.counts.quarantined, result.counts.gone) == (1, 0)


def test_a_message_deleted_meanwhile_is_gone(landed: Landed) -> None:
    """Deleted before its row or before its bytes could be read: settled, with no record."""
    mailbox = three()

    def delete() -> None:
        mailbox.messages.pop(2, None)
        mailbox.faults[2, ""] = mailbox.faults[2, "2"] = REFUSED
        mailbox.messages.pop(3, None)

    rows = mailbox.fetch_metadata([1, 2])
    mailbox.fetch_metadata = lambda uids, **_: iter(  # type: ignore[method-assign]
        [row for row in rows if row.uid in uids]
    )
    mailbox.before_parts = delete
    pieces = mailbox._pieces
    mailbox._pieces = lambda request: (  # type: ignore[method-assign]
        pieces(request) if request.uid in mailbox.messages else _refuse()
    )

    result = landed.fetch(mailbox, "run")

    (commit,) = landed.commits()
    assert (commit["outcomes"]["ok"], commit["outcomes"]["gone"]) == ("1", "2:3")
    assert (result.counts.messages, result.counts.gone) == (1, 2)
    assert landed.uids() == [1]


def _refuse():  # type: ignore[no-untyped-def]  # noqa: ANN202  # an iterator that fails at once
    raise REFUSED
    yield b""


def test_a_structure_that_cannot_be_read_sets_the_message_aside(landed: Landed) -> None:
    """Its attachments are not known, so the message is quarantined, whole."""
    odd = replace(mail(), parts=(), structure_error="nested too deep")

    landed.fetch(MemoryMailbox(odd, mail()), "run")

    record = landed.records()[0]
    assert (record["quarantine"]["stage"], record["quarantine"]["reason"]) == (
        "parse",
        "structure: nested too deep",
    )
    assert landed.content(record["quarantine"]["raw"]) == odd.raw


def test_a_structure_does_not_matter_to_whole_messages(landed: Landed) -> None:
    """Where only whole messages are landed, they land."""
    odd = replace(mail(), parts=(), structure_error="nested too deep")
    options = FetchOptions(choice=Choice(attachments=False))

    assert landed.fetch(MemoryMailbox(odd), "run", options=options).counts.messages == 1


def test_a_flood_of_attachments_is_set_aside(landed: Landed) -> None:
    """A message with more attachments than anyone sends does not become a million objects."""
    part = Part(section="2", content_type="a/b", encoding="7bit", filename="x")
    flood = replace(mail(), parts=tuple(replace(part, section=str(n)) for n in range(2, 2000)))

    mailbox = MemoryMailbox(flood)
    landed.fetch(mailbox, "run")

    (record,) = landed.records()
    assert record["quarantine"]["stage"] == "policy"
    assert len(mailbox.requested) == 1


def test_an_empty_message_that_should_not_be_empty_is_set_aside(landed: Landed) -> None:
    """A server that answers nothing for a message of some size is not believed."""
    mailbox = three()
    mailbox._pieces = lambda _request: iter([b""])  # type: ignore[method-assign]

    assert landed.fetch(mailbox, "run").counts.quarantined == 3


def test_damaged_encoding_is_decoded_as_well_as_can_be_and_said(landed: Landed) -> None:
    """Broken base64 does not stop a message: the record says what is wrong with the file."""
    message = mail(a_csv=b"good data")
    message.bodies["2"] = message.bodies["2"][:-3] + b"!!"

    landed.fetch(MemoryMailbox(message), "run")

    (record,) = landed.records()
    (attachment,) = record["attachments"]
    assert record["outcome"] == "ok"
    assert attachment["damaged"]
    assert landed.content(attachment).startswith(b"good d")


def test_an_outage_is_no_fault_of_the_message(landed: Landed) -> None:
    """A server out of order ends the attempt; nothing is quarantined."""
    mailbox = three()
    mailbox.faults[2, ""] = ImapUnavailableError("try later")

    with pytest.raises(ImapUnavailableError):
        landed.fetch(mailbox, "run")

    assert landed.commits() == []
