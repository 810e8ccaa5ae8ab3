# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Taking access back by the pages: at the mail provider, or here alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from airflow_imap_oauth.hooks.variable_store import read_variable, variable_key
from tests.hooks import connections
from tests.ui.browsing import PERSON, path, press, sign_in, text_of

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from tests.hooks.mailboxes import Mailbox
    from tests.servers.authorization_server import AuthorizationServer


def revocations(server: AuthorizationServer) -> int:
    """Count the requests to revoke that reached the authorization server."""
    return len(server.recorded("revocation"))


def is_left(conn_id: str) -> bool:
    """Tell whether connection or token store hold a token."""
    password, extra = connections.stored(conn_id)
    return bool(password or extra.get("refresh_token") or read_variable(variable_key(conn_id)))


def audits(conn_id: str) -> list[tuple[str, str]]:
    """Return event and owner of the audit rows about a connection."""
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        rows: Any = session.scalars(select(Log).where(Log.event.like("imap_oauth.%")))
        return [
            (row.event, row.owner) for row in rows if json.loads(row.extra)["connection"] == conn_id
        ]


@pytest.mark.parametrize("page", ["/revoke", "/forget"])
def test_asking_changes_nothing(
    only_mailbox: Mailbox, browser: TestClient, authorization_server: AuthorizationServer, page: str
) -> None:
    """The page says whose access ends and what will happen, and waits for the button."""
    sign_in(browser)
    authorization_server.reset_counters()
    answer = browser.get(path(page, connection_id=only_mailbox.conn_id), headers=PERSON)
    assert answer.status_code == 200
    assert only_mailbox.login in answer.text
    assert "until somebody authorizes it again" in text_of(answer.text)
    assert is_left(only_mailbox.conn_id)
    assert not authorization_server.requests
    assert not audits(only_mailbox.conn_id)


def test_mail_provider_that_revokes_nothing(only_mailbox: Mailbox, browser: TestClient) -> None:
    """Where the mail provider cannot be asked, both pages say what a person does there."""
    values = {"mail_provider": "microsoft", "issuer": None, "scopes": None}
    connections.change(only_mailbox.conn_id, extra=values)
    sign_in(browser)
    opened = browser.get(path("/revoke", connection_id=only_mailbox.conn_id), headers=PERSON)
    assert "https://myapps.microsoft.com" in opened.text
    answer = press(browser, "/revoke", only_mailbox.conn_id)
    assert answer.status_code == 200
    assert "What is left to do: Microsoft offers no revocation" in text_of(answer.text)
    assert not is_left(only_mailbox.conn_id)


def test_revoked_here_and_there(
    only_mailbox: Mailbox, browser: TestClient, authorization_server: AuthorizationServer
) -> None:
    """The mail provider accepts the token no more, no copy is left, and the log says who did it."""
    ImapOAuthHook(only_mailbox.conn_id).get_access_token()
    name = sign_in(browser)
    answer = press(browser, "/revoke", only_mailbox.conn_id)
    assert answer.status_code == 200
    assert "no longer accepts the refresh token" in text_of(answer.text)
    assert not is_left(only_mailbox.conn_id)
    assert revocations(authorization_server) == 1
    assert audits(only_mailbox.conn_id) == [("imap_oauth.revoked", name)]


def test_forgotten_here_alone(
    only_mailbox: Mailbox, browser: TestClient, authorization_server: AuthorizationServer
) -> None:
    """No copy is left, the mail provider was not asked, and the page says what is left to do."""
    name = sign_in(browser)
    authorization_server.reset_counters()
    answer = press(browser, "/forget", only_mailbox.conn_id)
    assert answer.status_code == 200
    assert "was not asked" in text_of(answer.text)
    assert "security settings of the account" in text_of(answer.text)
    assert not is_left(only_mailbox.conn_id)
    assert not authorization_server.requests
    assert [owner for _, owner in audits(only_mailbox.conn_id)] == [name]


def test_refusal_of_the_mail_provider_is_told(
    only_mailbox: Mailbox, browser: TestClient, authorization_server: AuthorizationServer
) -> None:
    """If it may still accept the token, the page says so; the copies are gone all the same."""
    authorization_server.fail_next("revocation", "status", status=503)
    sign_in(browser)
    answer = press(browser, "/revoke", only_mailbox.conn_id)
    assert 'role="alert"' in answer.text
    assert "may still accept the refresh token" in text_of(answer.text)
    assert not is_left(only_mailbox.conn_id)


def test_nothing_to_revoke(only_mailbox: Mailbox, browser: TestClient) -> None:
    """A connection that nobody has authorized is no error."""
    only_mailbox.connect(password=None)
    sign_in(browser)
    answer = press(browser, "/revoke", only_mailbox.conn_id)
    assert "There was no refresh token to revoke" in text_of(answer.text)


@pytest.mark.parametrize("page", ["/revoke", "/forget"])
def test_connection_defined_elsewhere(
    only_mailbox: Mailbox,
    browser: TestClient,
    authorization_server: AuthorizationServer,
    monkeypatch: pytest.MonkeyPatch,
    page: str,
) -> None:
    """What Airflow cannot write is left alone, and the page says what to do instead."""
    sign_in(browser)
    monkeypatch.setenv(*connections.environment(only_mailbox.conn_id, login="env@x.test"))
    opened = browser.get(path(page, connection_id=only_mailbox.conn_id), headers=PERSON)
    assert "EnvironmentVariablesBackend" in opened.text
    assert "delete the refresh token where the connection is defined" in text_of(opened.text)
    assert "<form method" not in opened.text
    assert is_left(only_mailbox.conn_id)
    assert not revocations(authorization_server)


def test_nothing_is_done_to_what_became_defined_elsewhere(
    only_mailbox: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A form that was open while the environment took the connection over does nothing."""
    from tests.ui.browsing import form_of

    sign_in(browser)
    opened = browser.get(path("/revoke", connection_id=only_mailbox.conn_id), headers=PERSON)
    action, fields = form_of(opened.text)
    monkeypatch.setenv(*connections.environment(only_mailbox.conn_id, login="env@x.test"))
    answer = browser.post(action, data=fields, headers=PERSON)
    assert answer.status_code == 409
    assert is_left(only_mailbox.conn_id)


def test_pages_hold_no_secret(
    only_mailbox: Mailbox, browser: TestClient, authorization_server: AuthorizationServer
) -> None:
    """Neither question nor result shows what is taken back."""
    token = ImapOAuthHook(only_mailbox.conn_id).get_access_token()
    sign_in(browser)
    asked = browser.get(path("/revoke", connection_id=only_mailbox.conn_id), headers=PERSON).text
    shown = asked + press(browser, "/revoke", only_mailbox.conn_id).text
    secrets = {*authorization_server.secrets_issued(), token}
    assert not [secret for secret in secrets if secret in shown]


def test_too_many_revocations_are_refused(only_mailbox: Mailbox, browser: TestClient) -> None:
    """Nobody makes the API server flood an authorization server."""
    sign_in(browser)
    answers = [press(browser, "/forget", only_mailbox.conn_id).status_code for _ in range(11)]
    assert answers == [200] * 10 + [429]
