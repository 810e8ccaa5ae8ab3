# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Every page and every form: who may, forged requests, awkward ids, and errors for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_imap_oauth.ui.protection import BROWSER_COOKIE, TOKEN_FIELD
from tests.hooks import connections
from tests.ui.auth_manager import FORBIDDEN
from tests.ui.browsing import PAGES, PERSON, form_of, path, sign_in, text_of

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from tests.hooks.mailboxes import Mailbox

#: Pages about one connection, with who may open them.
READABLE = ("/mailbox",)
EDITABLE = ("/check", "/revoke", "/forget")
#: Pages about none.
GENERAL = ("/", "/mailboxes.json", "/guide", "/guide?mail_provider=google", "/style.css")
POSTS = EDITABLE


def open_form(browser: TestClient, page: str, conn_id: str) -> tuple[str, dict[str, str]]:
    """Open a page and return address and hidden fields of its form."""
    opened = browser.get(path(page, connection_id=conn_id), headers=PERSON)
    assert opened.status_code == 200
    return form_of(opened.text)


def is_untouched(mailbox: Mailbox) -> bool:
    """Tell whether a connection still holds its refresh token, and nobody has asked for one."""
    password, _ = connections.stored(mailbox.conn_id)
    return bool(password) and not mailbox.authorization.requests


# --- who may --------------------------------------------------------------------------------------


def test_every_route_is_tested_here() -> None:
    """A route that is added to these pages is added to these tests."""
    from airflow_imap_oauth.ui.pages import check, guide, mailbox, mailboxes, revocation

    # Those of an authorization are tested with it: tests/ui/test_authorize.py.
    pages = (mailboxes, mailbox, check, revocation, guide)
    routes: list[Any] = [route for page in pages for route in page.router.routes]
    general = {page.partition("?")[0] for page in GENERAL}
    known = {*READABLE, *EDITABLE, *general}
    assert {route.path for route in routes} <= known
    assert {route.path for route in routes if "POST" in route.methods} == set(POSTS)


@pytest.mark.parametrize("page", [*READABLE, *EDITABLE, *GENERAL])
@pytest.mark.parametrize(("role", "status"), [("VIEWER", 403), ("USER", 403), (None, 401)])
def test_who_may_not_look_at_connections_sees_nothing(
    only_mailbox: Mailbox, browser: TestClient, page: str, role: str | None, status: int
) -> None:
    """Users without that right are refused, as Airflow refuses them."""
    if role:
        sign_in(browser, role)
    query = {"connection_id": only_mailbox.conn_id} if page in (*READABLE, *EDITABLE) else {}
    answer = browser.get(path(page, **query))
    assert answer.status_code == status
    assert only_mailbox.login not in answer.text


@pytest.mark.parametrize("page", [*READABLE, *EDITABLE, "/", "/guide"])
def test_nobody_is_sent_to_sign_in(only_mailbox: Mailbox, browser: TestClient, page: str) -> None:
    """A person who is not signed in comes back to the same page afterwards."""
    answer = browser.get(path(page, connection_id=only_mailbox.conn_id), headers=PERSON)
    assert answer.status_code == 303
    location = answer.headers["location"]
    assert location.startswith("/api/v2/auth/login?next=%2Fimap-oauth%2F")
    assert f"connection_id%3D{only_mailbox.conn_id}" in location


@pytest.mark.parametrize("page", [*READABLE, *EDITABLE])
def test_connection_that_the_user_may_not_see(
    only_mailbox: Mailbox, browser: TestClient, page: str
) -> None:
    """The right to look at connections is not enough: the one in question counts."""
    conn_id = f"{only_mailbox.conn_id}_{FORBIDDEN}"
    connections.add(conn_id, login="secret@example.test")
    sign_in(browser)
    answer = browser.get(path(page, connection_id=conn_id), headers=PERSON)
    assert answer.status_code == 403
    assert "secret@example.test" not in answer.text


@pytest.mark.parametrize("page", EDITABLE)
def test_who_may_only_look_may_not_act(
    only_mailbox: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    """Neither the form nor its button is for a user who may not change the connection."""
    sign_in(browser)
    only_mailbox.authorization.reset_counters()
    action, fields = open_form(browser, page, only_mailbox.conn_id)
    monkeypatch.setattr("tests.ui.auth_manager.READ_ONLY", only_mailbox.conn_id)
    opened = browser.get(path(page, connection_id=only_mailbox.conn_id), headers=PERSON)
    assert opened.status_code == 403
    assert browser.post(action, data=fields, headers=PERSON).status_code == 403
    assert is_untouched(only_mailbox)


@pytest.mark.parametrize("page", POSTS)
@pytest.mark.parametrize(("role", "status"), [("VIEWER", 403), (None, 401)])
def test_form_of_somebody_else_is_of_no_use(
    only_mailbox: Mailbox, browser: TestClient, page: str, role: str | None, status: int
) -> None:
    """The form of an operator does not serve a viewer in the same browser, nor nobody."""
    sign_in(browser)
    only_mailbox.authorization.reset_counters()
    action, fields = open_form(browser, page, only_mailbox.conn_id)
    if role:
        sign_in(browser, role)
    else:
        browser.cookies.delete("_token")
    assert browser.post(action, data=fields).status_code == status
    assert is_untouched(only_mailbox)


# --- forged forms ---------------------------------------------------------------------------------


@pytest.mark.parametrize("page", POSTS)
@pytest.mark.parametrize("token", [None, "", "x", "sealed:v1:000000000000:AAAA"])
def test_form_without_a_good_token_is_refused(
    only_mailbox: Mailbox, browser: TestClient, page: str, token: str | None
) -> None:
    """What another site can guess is not enough."""
    sign_in(browser)
    only_mailbox.authorization.reset_counters()
    action, fields = open_form(browser, page, only_mailbox.conn_id)
    forged = {} if token is None else {TOKEN_FIELD: token}
    answer = browser.post(action, data=forged, headers=PERSON)
    assert answer.status_code == 403
    assert fields.keys() == {TOKEN_FIELD}
    assert is_untouched(only_mailbox)


@pytest.mark.parametrize("page", POSTS)
@pytest.mark.parametrize("stolen", ["user", "browser", "action", "connection"])
def test_token_of_another_form_is_refused(
    only_mailbox: Mailbox, browser: TestClient, page: str, stolen: str
) -> None:
    """A token is good for one user, one browser, one action and one connection."""
    sign_in(browser)
    only_mailbox.authorization.reset_counters()
    other = f"{only_mailbox.conn_id}_other"
    if stolen == "connection":
        password, extra = connections.stored(only_mailbox.conn_id)
        connections.add(other, login="x@x.test", password=password, extra=extra)
        _, fields = open_form(browser, page, other)
    elif stolen == "action":
        another = EDITABLE[EDITABLE.index(page) - 1]
        _, fields = open_form(browser, another, only_mailbox.conn_id)
    else:
        _, fields = open_form(browser, page, only_mailbox.conn_id)
    if stolen == "user":
        sign_in(browser)
    if stolen == "browser":
        browser.cookies.delete(BROWSER_COOKIE)
        browser.cookies.set(BROWSER_COOKIE, "x" * 43, path="/imap-oauth")
    target = path(page, connection_id=only_mailbox.conn_id)
    assert browser.post(target, data=fields, headers=PERSON).status_code == 403
    assert is_untouched(only_mailbox)


@pytest.mark.parametrize("page", POSTS)
@pytest.mark.parametrize(
    "header",
    [
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=str,
)
def test_request_of_another_site_is_refused(
    only_mailbox: Mailbox, browser: TestClient, page: str, header: dict[str, str]
) -> None:
    """Whatever it has got hold of, another site cannot send a form."""
    sign_in(browser)
    only_mailbox.authorization.reset_counters()
    action, fields = open_form(browser, page, only_mailbox.conn_id)
    answer = browser.post(action, data=fields, headers={**PERSON, **header})
    assert answer.status_code == 403
    assert is_untouched(only_mailbox)


def test_own_site_behind_a_proxy_is_accepted(
    only_mailbox: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The site is the one that [api] base_url names, and forms lie below its path."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.test/team/a")
    sign_in(browser)
    opened = browser.get(path("/check", connection_id=only_mailbox.conn_id), headers=PERSON)
    cookie = opened.headers["set-cookie"]
    assert "Path=/team/a/imap-oauth" in cookie
    assert "Secure" in cookie
    assert "HttpOnly" in cookie
    action, fields = form_of(opened.text)
    assert action == f"/team/a{path('/check', connection_id=only_mailbox.conn_id)}"
    made = cookie.partition("=")[2].partition(";")[0]
    browser.cookies.set(BROWSER_COOKIE, made)  # what the proxy would pass on
    answer = browser.post(
        path("/check", connection_id=only_mailbox.conn_id),
        data=fields,
        headers={**PERSON, "origin": "https://airflow.test"},
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(("body", "status"), [(b"x" * 70_000, 413), ("ä=1".encode(), 400)])
def test_body_that_no_form_sends_is_refused(
    only_mailbox: Mailbox, browser: TestClient, body: bytes, status: int
) -> None:
    """A huge body is not read to its end, and a malformed one is no fault of the server."""
    sign_in(browser)
    answer = browser.post(
        path("/check", connection_id=only_mailbox.conn_id), content=body, headers=PERSON
    )
    assert answer.status_code == status
    assert is_untouched(only_mailbox)


@pytest.mark.parametrize("page", [*READABLE, "/", "/mailboxes.json", "/guide"])
def test_pages_that_only_show_take_no_form(
    only_mailbox: Mailbox, browser: TestClient, page: str
) -> None:
    """There is nothing that a forged request could do there."""
    sign_in(browser, "ADMIN")
    answer = browser.post(path(page, connection_id=only_mailbox.conn_id))
    assert answer.status_code == 405


# --- ids ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [*READABLE, *EDITABLE])
@pytest.mark.parametrize(
    "conn_id", ["..", ".", "a/b", "a#b", "%2e%2e", "a&b=c", "a\r\nb", "<b>", "\0", "ä", "x" * 250]
)
def test_awkward_ids_are_not_found(browser: TestClient, page: str, conn_id: str) -> None:
    """Ids that mean something to a path, a URL or a page lead to a page that says so."""
    sign_in(browser)
    answer = browser.get(path(page, connection_id=conn_id), headers=PERSON)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "no connection of this id" in answer.text
    assert "<b>" not in answer.text


@pytest.mark.parametrize("conn_id", ["team/mail", "..", "mail#1", "a b", "100%"])
def test_awkward_ids_are_found(only_mailbox: Mailbox, browser: TestClient, conn_id: str) -> None:
    """A connection with such an id can be opened from the list, and checked."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import update

    def renamed(before: str, after: str) -> None:
        with create_session() as session:  # Airflow refuses some; its database may hold older ones
            query = update(Connection).where(Connection.conn_id == before)
            session.execute(query.values(conn_id=after))

    renamed(only_mailbox.conn_id, conn_id)
    try:
        sign_in(browser)
        link = path("/mailbox", connection_id=conn_id)
        assert f'href="{link}"' in browser.get(f"{PAGES}/").text
        assert browser.get(link, headers=PERSON).status_code == 200
        action, fields = open_form(browser, "/forget", conn_id)
        assert browser.post(action, data=fields, headers=PERSON).status_code == 200
    finally:
        renamed(conn_id, only_mailbox.conn_id)


@pytest.mark.parametrize("page", [*READABLE, *EDITABLE])
@pytest.mark.parametrize("query", ["", "?connection_id=", f"?connection_id={'x' * 251}"])
def test_missing_and_overlong_ids_are_told(browser: TestClient, page: str, query: str) -> None:
    """An address that is none is answered with a page, not with a traceback or JSON."""
    sign_in(browser)
    answer = browser.get(f"{PAGES}{page}{query}", headers=PERSON)
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("text/html")
    assert "connection_id" in answer.text
    assert "Traceback" not in answer.text


# --- errors for people and for programs -----------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "role", "status", "heading"),
    [
        ("/nothing", "OP", 404, "Not found"),
        ("/", "VIEWER", 403, "Not allowed"),
        ("/mailbox", "OP", 422, "That was not understood"),
        ("/?state=dead", "OP", 422, "That was not understood"),
    ],
)
def test_people_get_pages(
    browser: TestClient, page: str, role: str, status: int, heading: str
) -> None:
    """Errors are pages with a heading, a message, and the way back."""
    sign_in(browser, role)
    answer = browser.get(f"{PAGES}{page}", headers=PERSON)
    assert answer.status_code == status
    assert f"<h1>{heading}</h1>" in answer.text
    assert 'role="alert"' in answer.text
    assert f'href="{PAGES}/"' in answer.text


@pytest.mark.parametrize("page", ["/nothing", "/mailbox", "/check?connection_id=missing"])
def test_programs_get_json(browser: TestClient, page: str) -> None:
    """Whoever does not ask for HTML gets FastAPI's errors."""
    sign_in(browser)
    answer = browser.get(f"{PAGES}{page}", headers={"accept": "application/json"})
    assert answer.headers["content-type"] == "application/json"
    assert "detail" in answer.json()


def test_missing_keys_are_told(
    only_mailbox: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a key no form can be made: the page says what to configure."""
    monkeypatch.setenv("AIRFLOW__IMAP_OAUTH__TOKEN_KEYS", "no key")
    sign_in(browser)
    answer = browser.get(path("/check", connection_id=only_mailbox.conn_id), headers=PERSON)
    assert answer.status_code == 400
    assert "token_keys" in text_of(answer.text)


def test_broken_database_is_told_in_words(
    only_mailbox: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the driver of a database says, with its statements and parameters, is not shown."""
    from sqlalchemy.exc import OperationalError

    def fail(*_: object) -> None:
        raise OperationalError("SELECT canary", {}, Exception("canary"))

    monkeypatch.setattr("airflow_imap_oauth.admin.mailbox.stored", fail)
    sign_in(browser)
    answer = browser.get(path("/mailbox", connection_id=only_mailbox.conn_id), headers=PERSON)
    assert answer.status_code == 503
    assert "Airflow" in answer.text
    assert "canary" not in answer.text
