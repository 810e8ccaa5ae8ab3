# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Parts by section: the right bytes, few round trips, bounded memory."""

from __future__ import annotations

import base64
import re
import tracemalloc
from collections.abc import Callable

import pytest

from airflow_imap_oauth.imap.model import PartRequest
from airflow_imap_oauth.imap.parts import MAX_ANSWER_BYTES, PIECE_BYTES
from tests.imap.accounts import Account, file_request, read_parts
from tests.imap.mails import random_bytes, with_file
from tests.mailbox import BROKEN, WELL_FORMED
from tests.mailbox.building import entity, message, multipart
from tests.servers.authorization_server import AuthorizationServer
from tests.servers.dovecot import Dovecot
from tests.servers.embedded_imap import EmbeddedImapServer

MIB = 1024 * 1024


def _asked(server: EmbeddedImapServer) -> list[tuple[str, int, int]]:
    """Return UID set, offset and greatest length of each FETCH of bodies."""
    found = [
        re.search(r"UID FETCH (\S+) \(UID BODY\.PEEK\[[^\]]*\]<(\d+)\.(\d+)>\)", line)
        for line in server.commands
        if "BODY" in line
    ]
    assert all(found)
    return [(one[1], int(one[2]), int(one[3])) for one in found if one]


def test_attachments_of_well_formed_mail(account: Account) -> None:
    """Every attachment comes decoded, byte by byte, on every server alike."""
    account.deliver(*(mail.raw for mail in WELL_FORMED))
    with account.session("INBOX") as session:
        requests = {
            (one.uid, part.filename): PartRequest(
                uid=one.uid,
                section=part.section,
                encoding=part.encoding,
                size_hint_bytes=part.size_bytes,
            )
            for one in session.fetch_metadata(session.search())
            for part in one.parts
            if part.filename
        }
        content = read_parts(session, list(requests.values()))
    for uid, mail in enumerate(WELL_FORMED, 1):
        for item in mail.attachments:
            assert content[requests[uid, item.filename]] == item.content, mail.name


def test_whole_messages(account: Account) -> None:
    """The empty section is the message as it was delivered."""
    account.deliver(*(mail.raw for mail in WELL_FORMED))
    requests = [PartRequest(uid=uid, section="") for uid in range(1, len(WELL_FORMED) + 1)]
    with account.session("INBOX") as session:
        content = read_parts(session, requests)
    assert [content[request] for request in requests] == [mail.raw for mail in WELL_FORMED]


def test_headers_and_text_of_a_part(account: Account) -> None:
    """Sections may name a header, a text and the MIME header of a part."""
    account.deliver(with_file(b"abc"))
    requests = [PartRequest(uid=1, section=name) for name in ("HEADER", "2.MIME", "TEXT")]
    with account.session("INBOX") as session:
        header, mime, text = read_parts(session, requests).values()
    assert b"Subject: Report" in header
    assert b'filename="file.bin"' in mime
    assert text.startswith(b"--=_outer")


def test_every_part_of_broken_mail_is_answered(account: Account) -> None:
    """No fault of a message makes reading its parts fail, nor another message's."""
    account.deliver(*(mail.raw for mail in BROKEN))
    with account.session("INBOX") as session:
        requests = [
            PartRequest(
                uid=one.uid,
                section=part.section,
                encoding=part.encoding,
                size_hint_bytes=part.size_bytes,
            )
            for one in session.fetch_metadata(session.search())
            for part in one.parts[:20]
        ]
        assert set(read_parts(session, requests)) == set(requests)


def test_damage_is_reported(account: Account) -> None:
    """What was wrong with the encoding is told with the part, and what was received counted."""
    content = random_bytes(3000)
    raw, start = with_file(content), base64.b64encode(content)[:40]
    account.deliver(raw, raw.replace(start, b"*!\x80" + start))
    with account.session("INBOX") as session:
        reports = {}
        for part in session.fetch_parts([file_request(1), file_request(2)]):
            for _ in part.pieces:
                pass
            reports[part.request.uid] = part.report
    assert reports[1].damage is None
    assert "skipped" in (reports[2].damage or "")
    assert reports[2].encoded_bytes == reports[1].encoded_bytes + 3 > 4000


@pytest.mark.parametrize(
    "size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES]
)
def test_sizes_around_a_piece(scripted: Account, size: int) -> None:
    """Nothing is lost or doubled where a part ends with a piece."""
    content = random_bytes(size)
    raw = message(multipart([entity(b"x"), entity(content, "a/b", encoding="binary")]))
    stored = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    scripted.server.deliver(scripted.login, raw)
    with scripted.session("INBOX") as session:
        whole = read_parts(session, [PartRequest(uid=1, section="")])
        hinted = [PartRequest(uid=1, section="", size_hint_bytes=hint) for hint in (1, size, 10**7)]
        assert {*read_parts(session, hinted).values(), *whole.values()} == {
            stored.replace(b"\0", b"\x80")
        }


def test_large_parts_come_in_bounded_pieces(
    scripted: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """A part is asked for by section, 1 MiB at a time, one piece behind the other."""
    content = random_bytes(3 * MIB)
    scripted.deliver(with_file(content))
    with scripted.session("INBOX") as session:
        for part in session.fetch_parts([file_request(1, size_hint_bytes=4_300_000)]):
            pieces = list(part.pieces)
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= MIB
    asked = _asked(embedded_imap)
    assert [(uids, length) for uids, _, length in asked] == [("1", PIECE_BYTES)] * len(asked)
    assert [offset for _, offset, _ in asked] == [PIECE_BYTES * at for at in range(len(asked))]
    assert len(asked) == 5


def test_small_parts_come_together(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """Round trips do not grow with the number of small parts."""
    contents = {uid: random_bytes(2000, uid) for uid in range(1, 61)}
    scripted.deliver(*map(with_file, contents.values()))
    with scripted.session("INBOX") as session:
        found = read_parts(session, [file_request(uid, size_hint_bytes=2740) for uid in contents])
    assert {request.uid: content for request, content in found.items()} == contents
    assert [uids for uids, _, _ in _asked(embedded_imap)] == ["1:60"]


def test_a_batch_holds_a_few_mebibytes(
    scripted: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """Parts that are not so small come in several batches."""
    scripted.deliver(*[with_file(b"abc")] * 30)
    requests = [file_request(uid, size_hint_bytes=400_000) for uid in range(1, 31)]
    with scripted.session("INBOX") as session:
        assert set(read_parts(session, requests).values()) == {b"abc"}
    assert [uids for uids, _, _ in _asked(embedded_imap)] == ["1:11", "12:22", "23:30"]


def test_a_batch_stays_bounded_also_where_sizes_are_wrong(
    scripted: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """However the sizes are mixed, no answer can hold more than its bound."""
    small = with_file(b"abc")
    scripted.deliver(*[small] * 300)
    hints = [0] * 298 + [500_000, 10]
    requests = [file_request(uid, size_hint_bytes=hint) for uid, hint in enumerate(hints, 1)]
    with scripted.session("INBOX") as session:
        assert set(read_parts(session, requests).values()) == {b"abc"}
    for uids, _, length in _asked(embedded_imap):
        first, _, last = uids.partition(":")
        assert (int(last or first) - int(first) + 1) * length <= MAX_ANSWER_BYTES
    assert len(_asked(embedded_imap)) == 2


def test_memory_does_not_grow_with_a_part(
    dovecot: Dovecot, authorization_server: AuthorizationServer, imap_login: Callable[[], str]
) -> None:
    """A message of 24 MiB is read within a few pieces' memory."""
    account = Account(dovecot, authorization_server, imap_login())
    line = b"A" * 76 + b"\r\n"
    body = line * (24 * MIB // len(line))
    account.deliver(message(entity(body)))
    with account.session("INBOX") as session:
        tracemalloc.start()
        try:
            size = 0
            for part in session.fetch_parts([PartRequest(uid=1, section="")]):
                for piece in part.pieces:
                    size += len(piece)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert size > len(body)
    assert peak < 6 * MIB
