# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The page that checks a connection, on real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_imap_oauth.hooks.check import TITLES
from tests.hooks import connections
from tests.ui.browsing import PERSON, path, press, rows, sign_in, text_of

if TYPE_CHECKING:
    import pytest
    from fastapi.testclient import TestClient

    from tests.hooks.mailboxes import Mailbox
    from tests.servers.authorization_server import AuthorizationServer
    from tests.servers.embedded_imap import EmbeddedImapServer


def test_opening_the_page_asks_nobody(
    only_mailbox: Mailbox,
    browser: TestClient,
    authorization_server: AuthorizationServer,
    embedded_imap: EmbeddedImapServer,
) -> None:
    """A link or a prefetching browser checks nothing: only the button does."""
    sign_in(browser)
    authorization_server.reset_counters()
    answer = browser.get(path("/check", connection_id=only_mailbox.conn_id), headers=PERSON)
    assert answer.status_code == 200
    assert not rows(answer.text)
    assert not authorization_server.requests
    assert embedded_imap.connections == 0


def test_every_step_is_shown(only_mailbox: Mailbox, browser: TestClient) -> None:
    """With a connection in order, the page tells all steps in order and that all is well."""
    sign_in(browser)
    answer = press(browser, "/check", only_mailbox.conn_id)
    assert answer.status_code == 200
    steps = rows(answer.text)
    assert list(steps) == list(TITLES.values())
    assert "failed" not in {outcome for outcome, *_ in steps.values()}
    assert "All is well" in text_of(answer.text)


def test_failure_is_shown_with_its_hint(only_mailbox: Mailbox, browser: TestClient) -> None:
    """What failed is said first; its row says what to do; what rests on it is skipped."""
    connections.change(only_mailbox.conn_id, extra={"issuer": "https://missing.invalid"})
    sign_in(browser)
    answer = press(browser, "/check", only_mailbox.conn_id)
    steps = rows(answer.text)
    assert "Failed: Names of the servers." in text_of(answer.text)
    assert steps[TITLES["names"]][0] == "failed"
    assert "Check its spelling" in steps[TITLES["names"]][2]
    assert steps[TITLES["sign_in"]][0] == "skipped"


def test_tokens_are_kept(
    only_mailbox: Mailbox, browser: TestClient, authorization_server: AuthorizationServer
) -> None:
    """A check renews as a task would: the next one finds the token of the first."""
    sign_in(browser)
    authorization_server.reset_counters()
    press(browser, "/check", only_mailbox.conn_id)
    press(browser, "/check", only_mailbox.conn_id)
    assert authorization_server.token_requests == 1


def test_connection_of_the_environment(
    only_mailbox: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the environment defines is checked, and not what it hides."""
    password, extra = connections.stored(only_mailbox.conn_id)
    mail = only_mailbox.mail
    values = {"host": mail.host, "port": mail.port, "login": only_mailbox.login}
    name, value = connections.environment(
        only_mailbox.conn_id, **values, password=password, extra=extra
    )
    connections.change(only_mailbox.conn_id, extra={"mail_provider": "nobody"})
    monkeypatch.setenv(name, value)
    sign_in(browser)
    assert "All is well" in text_of(press(browser, "/check", only_mailbox.conn_id).text)


def test_undecryptable_connection_is_told_in_words(
    only_mailbox: Mailbox, browser: TestClient
) -> None:
    """With another Fernet key there is nothing to check, and the page says which key is meant."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        query = update(Connection).where(Connection.conn_id == only_mailbox.conn_id)
        session.execute(query.values(password="gAAAAA-broken"))
    sign_in(browser)
    answer = press(browser, "/check", only_mailbox.conn_id)
    assert answer.status_code == 400
    assert "Fernet key" in answer.text
    assert path("/mailbox", connection_id=only_mailbox.conn_id) in answer.text


def test_texts_of_servers_are_escaped_and_hold_no_secret(
    only_mailbox: Mailbox, browser: TestClient, authorization_server: AuthorizationServer
) -> None:
    """Whatever a server answers, the page holds neither markup of it nor a secret."""
    sign_in(browser)
    shown = []
    for kind in ("html", "body", "json_error"):
        body = '{"error": "<script>alert(1)</script>", "access_token": 1}'
        authorization_server.fail_next("token", kind, status=400, body=body)
        shown.append(press(browser, "/check", only_mailbox.conn_id).text)
    shown.append(press(browser, "/check", only_mailbox.conn_id).text)
    pages = "".join(shown)
    assert "<script" not in pages
    assert not [secret for secret in authorization_server.secrets_issued() if secret in pages]


def test_too_many_checks_are_refused(
    only_mailbox: Mailbox, browser: TestClient, authorization_server: AuthorizationServer
) -> None:
    """The eleventh check of a minute is refused, and told when to come back."""
    connections.change(only_mailbox.conn_id, extra={"mail_provider": "nobody"})
    sign_in(browser)
    for _ in range(10):
        assert press(browser, "/check", only_mailbox.conn_id).status_code == 200
    authorization_server.reset_counters()
    answer = press(browser, "/check", only_mailbox.conn_id)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 61
    assert "too often" in answer.text
    sign_in(browser)  # somebody else
    assert press(browser, "/check", only_mailbox.conn_id).status_code == 200
