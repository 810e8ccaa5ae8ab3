# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The pages in a real browser: for everybody, light and dark, with the keyboard alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.system.browser import AirflowUi, browser_page

if TYPE_CHECKING:
    from tests.servers.airflow_stack import AirflowStack
    from tests.system.conftest import Mailboxes

pytestmark = pytest.mark.chromium

PAGES = ("/", "/mailbox", "/authorize", "/check", "/revoke", "/forget", "/guide")


@pytest.fixture
def ui(airflow: AirflowStack) -> Iterator[AirflowUi]:
    """Give a browser in which an administrator has signed in."""
    with browser_page(airflow.base_url) as opened:
        yield opened


def open_page(ui: AirflowUi, airflow: AirflowStack, path: str, conn_id: str) -> None:
    """Open one of our pages, about a connection."""
    query = urlencode({"connection_id": conn_id})
    answer = ui.page.goto(f"{airflow.base_url}/imap-oauth{path}?{query}")
    assert answer is not None
    assert answer.ok, path


def authorize(ui: AirflowUi, airflow: AirflowStack, conn_id: str, *, allow: bool = True) -> None:
    """Press Authorize, sign in at the mail provider, consent or do not, and come back."""
    open_page(ui, airflow, "/mailbox", conn_id)
    page = ui.page
    page.get_by_role("link", name="Authorize", exact=True).click()
    page.get_by_role("button", name="Sign in at").click()
    page.get_by_role("button", name="Allow" if allow else "Deny", exact=True).click()
    page.wait_for_url(f"{airflow.base_url}/imap-oauth/callback**")


def check(ui: AirflowUi, airflow: AirflowStack, conn_id: str) -> str:
    """Press Check, and return what the page says."""
    open_page(ui, airflow, "/check", conn_id)
    ui.page.get_by_role("button", name="Check").click()
    ui.page.get_by_role("table").wait_for()
    return ui.page.get_by_role("main").inner_text()


def state(ui: AirflowUi, airflow: AirflowStack, conn_id: str) -> str:
    """Return what the page of all mailboxes says of one."""
    open_page(ui, airflow, "/", conn_id)
    return ui.page.get_by_role("row").filter(has_text=conn_id).inner_text()


def faults(ui: AirflowUi) -> list[tuple[str, str]]:
    """Return what axe calls serious or worse on the open page."""
    # Our pages forbid scripts; the browser's own tools may run one all the same.
    found: Any = Axe().run(ui.page).response["violations"]
    return [
        (fault["id"], node["html"])
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_keeps_anybody_out(
    ui: AirflowUi,
    airflow: AirflowStack,
    mailboxes: Mailboxes,
    scheme: Literal["light", "dark"],
) -> None:
    """No page has a serious fault for whoever sees little, or uses no mouse."""
    conn_id = mailboxes.add()
    mailboxes.sign_in(conn_id)
    ui.page.emulate_media(color_scheme=scheme)
    found = {}
    for path in PAGES:
        open_page(ui, airflow, path, conn_id)
        found[path] = faults(ui)
    assert {path: problems for path, problems in found.items() if problems} == {}


def test_a_mailbox_from_its_authorization_to_its_loss_and_back(
    ui: AirflowUi,
    airflow: AirflowStack,
    mailboxes: Mailboxes,
    fetch: Callable[[str], Any],
) -> None:
    """Authorized in the browser it serves tasks; revoked it says so; authorized anew it serves."""
    conn_id = mailboxes.add()
    login = mailboxes.login(conn_id)
    mailboxes.mail.deliver(login, b"Subject: One\r\n\r\nx\r\n")
    assert "needs authorization" in state(ui, airflow, conn_id)

    authorize(ui, airflow, conn_id)
    assert f"{conn_id} is authorized" in ui.page.content()
    assert "active" in state(ui, airflow, conn_id)
    assert "All is well" in check(ui, airflow, conn_id)
    assert fetch(conn_id).state == "success"

    mailboxes.server.revoke_all(login)
    told = check(ui, airflow, conn_id)
    assert "Failed: " in told
    assert f"airflow imap-oauth login {conn_id}" in told
    assert "needs authorization" in state(ui, airflow, conn_id)

    authorize(ui, airflow, conn_id)
    assert "active" in state(ui, airflow, conn_id)
    mailboxes.mail.deliver(login, b"Subject: Two\r\n\r\nx\r\n")
    assert fetch(conn_id).state == "success"


def test_who_does_not_consent_changes_nothing(
    ui: AirflowUi, airflow: AirflowStack, mailboxes: Mailboxes
) -> None:
    """A refusal at the mail provider comes back as a page that says what to do."""
    conn_id = mailboxes.add()
    authorize(ui, airflow, conn_id, allow=False)
    assert "did not consent" in ui.page.content()
    assert "needs authorization" in state(ui, airflow, conn_id)


def test_a_code_is_entered_on_another_device(
    ui: AirflowUi, airflow: AirflowStack, mailboxes: Mailboxes
) -> None:
    """The page shows a code, and sees by itself that somebody has entered it."""
    conn_id = mailboxes.add()
    open_page(ui, airflow, "/authorize", conn_id)
    ui.page.get_by_role("button", name="Get a code").click()
    code = ui.page.locator(".code").inner_text()
    mailboxes.server.decide_device(code, mailboxes.login(conn_id))
    ui.page.get_by_text(f"{conn_id} is authorized").wait_for(timeout=60_000)
    assert "active" in state(ui, airflow, conn_id)


def test_access_is_taken_back_in_the_browser(
    ui: AirflowUi, airflow: AirflowStack, mailboxes: Mailboxes
) -> None:
    """After Revoke the connection has to be authorized anew."""
    conn_id = mailboxes.add()
    mailboxes.sign_in(conn_id)
    open_page(ui, airflow, "/revoke", conn_id)
    ui.page.get_by_role("button", name="Revoke now").click()
    ui.page.get_by_text("no longer accepts the refresh token").wait_for()
    assert "needs authorization" in state(ui, airflow, conn_id)


def test_two_api_servers_share_a_sign_in(
    ui: AirflowUi, airflow: AirflowStack, mailboxes: Mailboxes
) -> None:
    """Begun at one API server, a sign-in is completed at the other."""
    conn_id = mailboxes.add()
    with airflow.another_api_server() as address:
        query = urlencode({"connection_id": conn_id})
        # The browser's cookies are those of the host, whatever the port.
        ui.page.goto(f"{address}/imap-oauth/authorize?{query}")
        ui.page.get_by_role("button", name="Sign in at").click()
        ui.page.get_by_role("button", name="Allow", exact=True).click()
        ui.page.wait_for_url(f"{airflow.base_url}/imap-oauth/callback**")
    assert f"{conn_id} is authorized" in ui.page.content()
    assert "active" in state(ui, airflow, conn_id)
