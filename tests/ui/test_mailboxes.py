# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The page of mailboxes in Airflow's own API application, with its database and its users."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

import pytest

from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from airflow_imap_oauth.hooks.variable_store import variable_key
from tests.hooks import connections
from tests.hooks.mailboxes import Mailbox, forget_tokens
from tests.servers.authorization_server import AuthorizationServer
from tests.servers.embedded_imap import EmbeddedImapServer
from tests.ui.auth_manager import FORBIDDEN
from tests.ui.browsing import PERSON, rows, sign_in

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

PAGE = "/imap-oauth/"
JSON = "/imap-oauth/mailboxes.json"
#: Cells of a row.
ACCOUNT, PROVIDER, STATE, NOTE, UNTIL, SINCE, RENEWED, ENDS = range(8)
HOSTILE = "<script>alert('x')</script>&\""


def state(browser: TestClient, conn_id: str) -> tuple[str, str]:
    """Return state and note of a connection."""
    answer = browser.get(PAGE)
    assert answer.status_code == 200
    cells = rows(answer.text)[conn_id]
    return cells[STATE], cells[NOTE]


def test_only_readable_mailboxes_are_listed(only_mailbox: Mailbox, browser: TestClient) -> None:
    """Connections of other types, and those that the user may not read, do not appear."""
    connections.add(f"{only_mailbox.conn_id}_other", conn_type="imap", login="plain@example.test")
    connections.add(f"{only_mailbox.conn_id}_{FORBIDDEN}", login="secret@example.test")
    sign_in(browser)
    answer = browser.get(PAGE)
    assert answer.status_code == 200
    assert set(rows(answer.text)) == {only_mailbox.conn_id}
    assert only_mailbox.login in answer.text
    assert "plain@example.test" not in answer.text
    assert "secret@example.test" not in answer.text


def test_every_state_is_told(
    only_mailbox: Mailbox, browser: TestClient, authorization_server: AuthorizationServer
) -> None:
    """A mailbox goes from unused to active, to dead, to authorized again; or is misconfigured."""
    sign_in(browser)
    conn_id = only_mailbox.conn_id
    assert state(browser, conn_id)[0] == "not used yet"
    hook = ImapOAuthHook(conn_id)
    with hook:
        assert state(browser, conn_id) == ("active", "")
    authorization_server.revoke_all(only_mailbox.login)
    with pytest.raises(Exception, match="invalid_grant"), hook:
        pass
    now, note = state(browser, conn_id)
    assert now == "needs authorization"
    assert "airflow imap-oauth login" in note
    only_mailbox.connect()
    assert state(browser, conn_id)[0] == "not used yet"
    connections.remove(conn_id)
    only_mailbox.connect(extra={"tls": "none"})
    now, note = state(browser, conn_id)
    assert now == "misconfigured"
    assert "'tls'" in note


def test_missing_refresh_token_needs_authorization(
    only_mailbox: Mailbox, browser: TestClient
) -> None:
    """A connection that nobody has authorized says so."""
    only_mailbox.connect(password=None)
    sign_in(browser)
    assert state(browser, only_mailbox.conn_id)[0] == "needs authorization"


def test_end_of_the_credential_is_told(only_mailbox: Mailbox, browser: TestClient) -> None:
    """A mailbox that still works, and whose client secret ends soon or ended, is expiring."""
    connections.change(only_mailbox.conn_id, extra={"credential_expires_on": "2026-01-31"})
    ImapOAuthHook(only_mailbox.conn_id).get_access_token()
    sign_in(browser)
    now, note = state(browser, only_mailbox.conn_id)
    assert now == "expiring"
    assert "client secret ended on 2026-01-31" in note
    assert rows(browser.get(PAGE).text)[only_mailbox.conn_id][ENDS] == "2026-01-31"


def test_times_and_names_are_shown(only_mailbox: Mailbox, browser: TestClient) -> None:
    """Mail provider, shared mailbox, and every instant with its distance stand in the row."""
    connections.change(only_mailbox.conn_id, extra={"mailbox": "shared@example.test"})
    ImapOAuthHook(only_mailbox.conn_id).get_access_token()
    sign_in(browser)
    row = rows(browser.get(PAGE).text)[only_mailbox.conn_id]
    assert (row[PROVIDER], row[STATE]) == ("Custom a person consents", "active")
    assert row[ACCOUNT] == f"{only_mailbox.login} for shared@example.test"
    for at in (row[UNTIL], row[SINCE], row[RENEWED]):
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d (in )?\d+ (s|min|h)( ago)?", at)
    assert row[UNTIL] > row[RENEWED]


def test_hostile_texts_are_escaped(only_mailbox: Mailbox, browser: TestClient) -> None:
    """Ids, addresses and keys that hold HTML are shown as text."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import update

    connections.add(only_mailbox.conn_id, login=HOSTILE, extra={HOSTILE: "x"})
    hostile_id = f"{HOSTILE}{only_mailbox.conn_id}"
    with create_session() as session:  # Airflow refuses such ids; its database may hold older ones
        session.execute(
            update(Connection)
            .where(Connection.conn_id == only_mailbox.conn_id)
            .values(conn_id=hostile_id)
        )
    sign_in(browser)
    html = browser.get(PAGE).text
    connections.remove(hostile_id)
    assert "<script" not in html
    assert escape(HOSTILE).replace("&quot;", "&#34;").replace("&#x27;", "&#39;") in html
    cells = rows(html)[hostile_id]
    assert cells[ACCOUNT] == HOSTILE
    assert HOSTILE in cells[NOTE]


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
    shown = browser.get(PAGE).text + browser.get(JSON).text
    assert only_mailbox.conn_id in shown
    for secret in {*authorization_server.secrets_issued(), token, "sealed:"}:
        assert secret not in shown
    assert not authorization_server.requests
    assert embedded_imap.connections == 0


@pytest.mark.parametrize("path", [PAGE, JSON, f"{PAGE}style.css"])
@pytest.mark.parametrize(("role", "status"), [(None, 401), ("VIEWER", 403), ("USER", 403)])
def test_others_are_refused(
    only_mailbox: Mailbox, browser: TestClient, path: str, role: str | None, status: int
) -> None:
    """Who may not look at connections gets neither page nor style."""
    if role:
        sign_in(browser, role)
    answer = browser.get(path)
    assert answer.status_code == status
    assert only_mailbox.conn_id not in answer.text
    assert answer.headers["x-frame-options"] == "DENY"


def test_broken_cookie_is_refused(only_mailbox: Mailbox, browser: TestClient) -> None:
    """A token that Airflow did not sign opens nothing."""
    sign_in(browser)
    browser.cookies.set("_token", f"{browser.cookies['_token']}x")
    answer = browser.get(PAGE)
    assert answer.status_code in (401, 403)
    assert only_mailbox.conn_id not in answer.text


def test_person_is_sent_to_sign_in(browser: TestClient) -> None:
    """A browser that is not signed in is sent to Airflow's sign-in, and back here."""
    answer = browser.get(PAGE, headers=PERSON)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/api/v2/auth/login?next=%2Fimap-oauth%2F"


@pytest.mark.parametrize("path", [PAGE, f"{PAGE}style.css", f"{PAGE}nothing"])
def test_security_headers(browser: TestClient, path: str) -> None:
    """Every answer forbids scripts, frames and caching."""
    sign_in(browser)
    headers = browser.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


def test_style_sheet_is_served(browser: TestClient) -> None:
    """The page's only other resource is its style sheet."""
    sign_in(browser)
    link = re.search(r'href="([^"]*style\.css)"', browser.get(PAGE).text)
    assert link is not None
    answer = browser.get(link[1])
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/css")
    assert "{" in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_page_changes_nothing(browser: TestClient, method: str) -> None:
    """There is nothing that a forged request could do."""
    sign_in(browser, "ADMIN")
    assert browser.request(method, PAGE).status_code == 405


def test_undecryptable_connection_hides_no_other(
    only_mailbox: Mailbox, browser: TestClient
) -> None:
    """One row that another key encrypted is told; the others are listed."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import update

    other = f"{only_mailbox.conn_id}_other"
    connections.add(other, login="other@example.test", password="refresh-token")
    with create_session() as session:
        session.execute(
            update(Connection).where(Connection.conn_id == other).values(password="gAAAAA-broken")
        )
    sign_in(browser)
    assert state(browser, only_mailbox.conn_id)[0] == "not used yet"
    now, note = state(browser, other)
    assert now == "misconfigured"
    assert "fernet_key" in note


def test_undecryptable_record_hides_no_other(
    only_mailbox: Mailbox, browser: TestClient, authorization_server: AuthorizationServer
) -> None:
    """Tokens in the store that another key encrypted are told; those of others are listed."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import update

    other = f"{only_mailbox.conn_id}_other"
    _, extra = connections.stored(only_mailbox.conn_id)
    password = authorization_server.mint_refresh_token("other@example.test")
    connections.add(other, login="other@example.test", password=password, extra=extra)
    for conn_id in (only_mailbox.conn_id, other):
        ImapOAuthHook(conn_id).get_access_token()
    with create_session() as session:
        broken = Variable.key == variable_key(other)
        session.execute(update(Variable).where(broken).values(_val="gAAAAA-broken"))
    sign_in(browser)
    assert state(browser, only_mailbox.conn_id)[0] == "active"
    now, note = state(browser, other)
    forget_tokens(other)
    assert now == "misconfigured"
    assert "fernet_key" in note


@pytest.mark.parametrize("store", ["variable", "file", "sql"])
def test_every_token_store_is_read(
    only_mailbox: Mailbox,
    browser: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
    store: str,
) -> None:
    """The page reads tokens where tasks keep them."""
    monkeypatch.setenv("AIRFLOW__IMAP_OAUTH__TOKEN_STORE", store)
    monkeypatch.setenv("AIRFLOW__IMAP_OAUTH__FILE_FOLDER", str(tmp_path / "tokens"))
    monkeypatch.setenv("AIRFLOW__IMAP_OAUTH__SQL_ALCHEMY_CONN", f"sqlite:///{tmp_path}/tokens.db")
    ImapOAuthHook(only_mailbox.conn_id).get_access_token()
    sign_in(browser)
    assert state(browser, only_mailbox.conn_id)[0] == "active"


def test_broken_option_is_told(
    only_mailbox: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong option is named on the page instead of an error page."""
    monkeypatch.setenv("AIRFLOW__IMAP_OAUTH__FILE_FOLDER_SHARED", "perhaps")
    sign_in(browser)
    answer = browser.get(PAGE)
    assert answer.status_code == 200
    assert "file_folder_shared" in answer.text
    assert only_mailbox.conn_id not in answer.text


def test_missing_key_is_told(
    only_mailbox: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record sealed with a key that this server lacks is told, with the key's setting."""
    monkeypatch.setenv("AIRFLOW__IMAP_OAUTH__TOKEN_KEYS", "B" * 42 + "A=")
    ImapOAuthHook(only_mailbox.conn_id).get_access_token()
    monkeypatch.setenv("AIRFLOW__IMAP_OAUTH__TOKEN_KEYS", "A" * 43 + "=")
    sign_in(browser)
    now, note = state(browser, only_mailbox.conn_id)
    assert now == "misconfigured"
    assert "token_keys" in note


def test_broken_store_is_told(
    only_mailbox: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """A token store that does not work costs no error page."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("AIRFLOW__IMAP_OAUTH__TOKEN_STORE", "file")
    monkeypatch.setenv("AIRFLOW__IMAP_OAUTH__FILE_FOLDER", str(blocked))
    sign_in(browser)
    assert state(browser, only_mailbox.conn_id)[1]


@pytest.mark.parametrize(
    ("base_url", "path"),
    [("", "/imap-oauth/"), ("https://airflow.test/team/a/", "/team/a/imap-oauth/")],
)
def test_links_respect_the_base_path(
    browser: TestClient, monkeypatch: pytest.MonkeyPatch, base_url: str, path: str
) -> None:
    """Behind a proxy, menu entry, style sheet and sign-in lie below its path."""
    from airflow_imap_oauth.plugins.imap_oauth import ImapOAuthPlugin

    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    (view,) = ImapOAuthPlugin().external_views
    assert view["href"] == path
    assert "url_route" not in view  # that would be a frame
    answer = browser.get(PAGE, headers=PERSON)
    base_path = path.removesuffix("imap-oauth/")
    assert answer.headers["location"].startswith(f"{base_path}api/v2/auth/login?next=")
    sign_in(browser)
    assert f'href="{path}style.css"' in browser.get(PAGE).text
