# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Finding mailboxes among many: the filter, the JSON for monitoring, and the time it takes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_imap_oauth.admin.mailboxes import MailboxRow
from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from tests.hooks import connections
from tests.ui.browsing import PERSON, rows, sign_in

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from tests.hooks.mailboxes import Mailbox
    from tests.servers.authorization_server import AuthorizationServer

PAGE = "/imap-oauth/"
JSON = "/imap-oauth/mailboxes.json"
HOSTILE = "<script>alert('x')</script>&\""


@contextmanager
def counted(statements: list[str]) -> Iterator[None]:
    """Note each statement that reaches Airflow's database."""
    from airflow import settings
    from sqlalchemy import event

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(settings.engine, "before_cursor_execute", note)
    yield
    event.remove(settings.engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=ORDERS", {"orders"}),
        ("q=bills@", {"bills"}),
        ("q=custom", {"orders", "bills"}),
        ("q=nothing", set()),
        ("state=unused", {"orders", "bills"}),
        ("state=active", set()),
        ("q=orders&state=", {"orders"}),
    ],
)
@pytest.mark.parametrize("kind", ["page", "json"])
def test_filter(
    only_mailbox: Mailbox, browser: TestClient, query: str, found: set[str], kind: str
) -> None:
    """Text (id, account, mail provider, in any case) and state leave what both allow."""
    password, extra = connections.stored(only_mailbox.conn_id)
    names = {name: f"{only_mailbox.conn_id}_{name}" for name in ("orders", "bills")}
    for name, conn_id in names.items():
        connections.add(conn_id, login=f"{name}@x.test", password=password, extra=extra)
    connections.remove(only_mailbox.conn_id)
    sign_in(browser)
    if kind == "page":
        listed = set(rows(browser.get(f"{PAGE}?{query}").text))
    else:
        answer = browser.get(f"{JSON}?{query}").json()
        listed = {one["conn_id"] for one in answer["mailboxes"]}
        assert answer["total"] == 2
    for conn_id in names.values():
        connections.remove(conn_id)
    assert listed == {names[name] for name in found}


@pytest.mark.usefixtures("only_mailbox")
def test_filter_is_kept_and_escaped(browser: TestClient) -> None:
    """The form shows what was asked for, as text."""
    sign_in(browser)
    html = browser.get(PAGE, params={"q": HOSTILE, "state": "active"}).text
    assert "<script" not in html
    assert 'value="&lt;script&gt;' in html
    assert '<option value="active" selected>' in html
    assert "0 of 1 mailboxes" in html


def test_unknown_state_is_refused(browser: TestClient) -> None:
    """A wrong state is told the right ones."""
    sign_in(browser)
    answer = browser.get(f"{PAGE}?state=dead", headers=PERSON)
    assert answer.status_code == 422
    assert "needs_authorization" in answer.text


def test_json_for_monitoring(
    only_mailbox: Mailbox, browser: TestClient, authorization_server: AuthorizationServer
) -> None:
    """A program gets documented keys, and instants in UTC, of a mailbox in trouble, too."""
    hook = ImapOAuthHook(only_mailbox.conn_id)
    hook.get_access_token()
    authorization_server.revoke_all(only_mailbox.login)
    with pytest.raises(Exception, match="invalid_grant"), hook:
        pass
    sign_in(browser)
    answer = browser.get(JSON)
    assert answer.status_code == 200
    (one,) = answer.json()["mailboxes"]
    documented = (Path(__file__).parents[2] / "docs" / "mailboxes_json.md").read_text()
    for key in (*answer.json(), *one):
        assert f"`{key}`" in documented
    assert (one["state"], one["grant"]) == ("needs_authorization", "user_consent")
    assert "invalid_grant" in one["last_error"]
    assert one["conn_id"] in one["last_error_hint"]
    for at in (answer.json()["generated_at"], one["since_at"], one["last_error_at"]):
        assert datetime.fromisoformat(at.replace("Z", "+00:00")).utcoffset() == timedelta(0)


def test_json_tells_a_problem(browser: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Monitoring learns why no states can be told."""
    monkeypatch.setenv("AIRFLOW__IMAP_OAUTH__FILE_FOLDER_SHARED", "perhaps")
    sign_in(browser)
    answer = browser.get(JSON)
    assert answer.status_code == 200
    assert "file_folder_shared" in answer.json()["problem"]


def test_many_mailboxes_load_within_a_second(only_mailbox: Mailbox, browser: TestClient) -> None:
    """Five hundred connections need a handful of queries."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    _, extra = connections.stored(only_mailbox.conn_id)
    text = json.dumps(extra)
    made = [f"{only_mailbox.conn_id}_{number:03}" for number in range(500)]
    with create_session() as session:
        session.add_all(
            Connection(
                conn_id=conn_id, conn_type="imap_oauth", login="u@x.test", host="h", extra=text
            )
            for conn_id in made
        )
    sign_in(browser)
    browser.get(PAGE)  # loads what the page is made of
    statements: list[str] = []
    with counted(statements):
        began = time.perf_counter()
        answer = browser.get(PAGE)
        took_seconds = time.perf_counter() - began
    with create_session() as session:
        session.execute(delete(Connection).where(Connection.conn_id.in_(made)))
    assert len(rows(answer.text)) == 501
    assert len(statements) < 12
    assert took_seconds < 3  # on a busy machine; else a third of a second


def test_json_has_the_keys_of_the_command() -> None:
    """Who watches by 'airflow imap-oauth status' and who watches by the page read the same keys."""
    from airflow_imap_oauth.cli.status import _row
    from airflow_imap_oauth.ui.pages.mailboxes import _as_json

    row = MailboxRow(conn_id="mail", login="a@x.test", user="b@x.test", state="unused")
    told = _as_json(row)
    assert {key: told[key] for key in _row(row)} == _row(row)
