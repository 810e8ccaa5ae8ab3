# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The page of one mailbox."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import pytest

from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from tests.hooks import connections
from tests.ui.browsing import PERSON, path, sign_in, text_of

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from tests.hooks.mailboxes import Mailbox
    from tests.servers.authorization_server import AuthorizationServer
    from tests.servers.embedded_imap import EmbeddedImapServer

HOSTILE = "<script>alert('x')</script>&"


def opened(browser: TestClient, conn_id: str) -> str:
    """Return the page of a connection."""
    answer = browser.get(path("/mailbox", connection_id=conn_id), headers=PERSON)
    assert answer.status_code == 200
    return str(answer.text)


def test_everything_is_told(only_mailbox: Mailbox, browser: TestClient) -> None:
    """State, instants, scopes, settings and what is not sealed stand on the page."""
    ImapOAuthHook(only_mailbox.conn_id).get_access_token()
    sign_in(browser)
    text = text_of(opened(browser, only_mailbox.conn_id))
    for told in (
        "State active",
        "Access token until",
        "Authorized since",
        f"Mail server {only_mailbox.mail.host}:{only_mailbox.mail.port}, TLS implicit",
        f"Account {only_mailbox.login}",
        "Scopes granted",
        "Token store variable",
        "Not sealed yet refresh token, client_secret",
    ):
        assert told in text


def test_last_error_is_told_with_its_hint(
    only_mailbox: Mailbox, browser: TestClient, authorization_server: AuthorizationServer
) -> None:
    """Who is called because a task failed reads here why, and what to do."""
    hook = ImapOAuthHook(only_mailbox.conn_id)
    hook.get_access_token()
    authorization_server.revoke_all(only_mailbox.login)
    with pytest.raises(Exception, match="invalid_grant"), hook:
        pass
    sign_in(browser)
    text = text_of(opened(browser, only_mailbox.conn_id))
    assert "State needs authorization" in text
    assert "ReauthorizationRequiredError" in text
    assert f"airflow imap-oauth login {only_mailbox.conn_id}" in text


@pytest.mark.parametrize("role", ["OP", "ADMIN"])
def test_who_may_edit_is_offered_the_actions(
    only_mailbox: Mailbox, browser: TestClient, role: str
) -> None:
    """Authorize, Check, Revoke and Forget lead to their pages."""
    sign_in(browser, role)
    html = opened(browser, only_mailbox.conn_id)
    for page in ("/authorize", "/check", "/revoke", "/forget"):
        assert f'href="{path(page, connection_id=only_mailbox.conn_id)}"' in html


def test_who_may_only_look_is_offered_nothing(
    only_mailbox: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user who may read the connection, but not change it, sees its state alone."""
    monkeypatch.setattr("tests.ui.auth_manager.READ_ONLY", only_mailbox.conn_id)
    sign_in(browser)
    html = opened(browser, only_mailbox.conn_id)
    assert "State" in html
    for page in ("/authorize", "/check", "/revoke", "/forget"):
        assert path(page, connection_id=only_mailbox.conn_id) not in html


def test_who_has_teams_is_asked_for_no_json(
    only_mailbox: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Airflow knows teams, permissions are checked with the team of the connection."""
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    sign_in(browser)
    assert "/check?" in opened(browser, only_mailbox.conn_id)
    answer = browser.get(path("/check", connection_id=only_mailbox.conn_id), headers=PERSON)
    assert answer.status_code == 200


def test_connection_of_the_environment(
    only_mailbox: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the environment defines is shown, and that Airflow cannot write it."""
    password, extra = connections.stored(only_mailbox.conn_id)
    values = {"host": "mail.test", "login": "env@x.test", "password": password, "extra": extra}
    monkeypatch.setenv(*connections.environment(only_mailbox.conn_id, **values))
    sign_in(browser)
    html = opened(browser, only_mailbox.conn_id)
    assert "env@x.test" in html
    assert "defined by EnvironmentVariablesBackend" in html


def test_hostile_texts_are_escaped(only_mailbox: Mailbox, browser: TestClient) -> None:
    """Whatever a connection holds is shown as text."""
    extra = {"mailbox": HOSTILE, "fallback_conn_id": "other", "scopes": "imap <b>"}
    connections.change(only_mailbox.conn_id, login=HOSTILE, extra=extra)
    sign_in(browser)
    html = opened(browser, only_mailbox.conn_id)
    assert "<script" not in html
    assert "<b>" not in html
    assert escape(HOSTILE).replace("&#x27;", "&#39;") in html


def test_hostile_text_of_a_server_is_escaped(
    only_mailbox: Mailbox, browser: TestClient, authorization_server: AuthorizationServer
) -> None:
    """What an authorization server answers is shown as text."""
    authorization_server.fail_next("token", "json_error", status=400, error=HOSTILE)
    with pytest.raises(Exception, match="refused without"):
        ImapOAuthHook(only_mailbox.conn_id).get_access_token()
    sign_in(browser)
    html = opened(browser, only_mailbox.conn_id)
    assert "Last error" in html
    assert "<script" not in html


def test_broken_connection_is_told(only_mailbox: Mailbox, browser: TestClient) -> None:
    """A connection that another key encrypted is no error page."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        query = update(Connection).where(Connection.conn_id == only_mailbox.conn_id)
        session.execute(query.values(password="gAAAAA-broken"))
    sign_in(browser)
    text = text_of(opened(browser, only_mailbox.conn_id))
    assert "State misconfigured" in text
    assert "fernet_key" in text


def test_page_holds_no_secret_and_asks_nobody(
    only_mailbox: Mailbox,
    browser: TestClient,
    authorization_server: AuthorizationServer,
    embedded_imap: EmbeddedImapServer,
) -> None:
    """Neither tokens nor client secret appear, sealed or not, and no server is asked."""
    token = ImapOAuthHook(only_mailbox.conn_id).get_access_token()
    sign_in(browser)
    authorization_server.reset_counters()
    html = opened(browser, only_mailbox.conn_id)
    for secret in {*authorization_server.secrets_issued(), token, "sealed:v1"}:
        assert secret not in html
    assert not authorization_server.requests
    assert embedded_imap.connections == 0


def test_connections_of_other_types_are_not_found(
    only_mailbox: Mailbox, browser: TestClient
) -> None:
    """Pages are about mailboxes of this package alone."""
    connections.add(f"{only_mailbox.conn_id}_other", conn_type="imap", login="plain@example.test")
    sign_in(browser)
    answer = browser.get(
        path("/mailbox", connection_id=f"{only_mailbox.conn_id}_other"), headers=PERSON
    )
    assert answer.status_code == 404
    assert "plain@example.test" not in answer.text
