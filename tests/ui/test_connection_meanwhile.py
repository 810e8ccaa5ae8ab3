# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What somebody does to a connection while another person signs in for it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.hooks import connections
from tests.ui.authorizing import authorized, begin, box, consented, is_untouched, own_address
from tests.ui.browsing import PERSON, sign_in, text_of

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from tests.hooks.mailboxes import Mailbox

__all__ = ["box", "own_address"]
pytestmark = pytest.mark.usefixtures("own_address")


@contextmanager
def server_of_somebody_else() -> Iterator[str]:
    """Give the URL of a server to which nobody may connect."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield f"https://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_connection_deleted_meanwhile(box: Mailbox, browser: TestClient) -> None:
    """Where the connection is gone, the answer leads to a page that says so."""
    sign_in(browser)
    arrived = consented(box, begin(browser, box.conn_id))
    connections.remove(box.conn_id)
    page = browser.get(arrived, headers=PERSON)
    assert page.status_code == 404
    assert box.authorization.token_requests == 0


@pytest.mark.parametrize("key", ["exchange_url", "issuer", "device_url", "revoke_url"])
@pytest.mark.parametrize("is_sealed", [True, False])
def test_server_of_an_editor(
    box: Mailbox, browser: TestClient, key: str, *, is_sealed: bool
) -> None:
    """An editor's own server, put in during a sign-in, gets neither code nor client secret."""
    sign_in(browser)
    if is_sealed:
        assert "is authorized" in text_of(authorized(browser, box).text)
    before = connections.stored(box.conn_id)[0]
    arrived = consented(box, begin(browser, box.conn_id))
    box.authorization.reset_counters()
    with server_of_somebody_else() as evil:
        connections.change(box.conn_id, extra={key: f"{evil}/token"})
        page = browser.get(arrived, headers=PERSON)
    assert page.status_code == 400
    assert box.authorization.token_requests == 0
    assert connections.stored(box.conn_id)[0] == before


def test_mail_server_of_an_editor(box: Mailbox, browser: TestClient) -> None:
    """An editor's own mail server gets no token out of a sign-in that was meant for another."""
    sign_in(browser)
    arrived = consented(box, begin(browser, box.conn_id))
    connections.change(box.conn_id, host="imap.evil.test")
    assert "changed while you signed in" in text_of(browser.get(arrived, headers=PERSON).text)
    assert is_untouched(box)


def test_other_person_meanwhile(box: Mailbox, browser: TestClient) -> None:
    """Who signed in for one address does not authorize the connection for another."""
    sign_in(browser)
    arrived = consented(box, begin(browser, box.conn_id))
    connections.change(box.conn_id, login="chief@example.test")
    assert "changed while you signed in" in text_of(browser.get(arrived, headers=PERSON).text)
    assert box.authorization.token_requests == 0


def test_edit_meanwhile_is_kept(box: Mailbox, browser: TestClient) -> None:
    """What somebody edits otherwise during a sign-in is not undone, and authorizing works."""
    sign_in(browser)
    arrived = consented(box, begin(browser, box.conn_id))
    connections.change(box.conn_id, extra={"read_timeout_seconds": 9})
    assert "is authorized" in text_of(browser.get(arrived, headers=PERSON).text)
    _, extra = connections.stored(box.conn_id)
    secret = extra.pop("client_secret")
    assert secret.startswith("sealed:v1:")
    expected = connections.custom(box.authorization, read_timeout_seconds=9)
    del expected["client_secret"]
    assert extra == expected
