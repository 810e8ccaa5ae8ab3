# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A connection made in the real form, in a real browser, and its state on the page."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.authorization.dialects import IMAP_SCOPE
from tests.system.browser import AirflowUi, browser_page

if TYPE_CHECKING:
    from tests.servers.airflow_stack import AirflowStack
    from tests.servers.authorization_server import AuthorizationServer
    from tests.servers.mail_server import MailServer
    from tests.system.conftest import Mailboxes

pytestmark = pytest.mark.chromium


@pytest.fixture
def ui(airflow: AirflowStack) -> Iterator[AirflowUi]:
    """Give a browser in which an administrator has signed in."""
    with browser_page(airflow.base_url) as opened:
        yield opened


@pytest.fixture
def filled_in(
    ui: AirflowUi, system_mail: MailServer, authorization_server: AuthorizationServer
) -> str:
    """Give the id of a connection that was typed into the form, as a newcomer would."""
    conn_id = f"form_{secrets.token_hex(4)}"
    dialog = ui.begin_connection(conn_id)
    ui.type_in(
        dialog,
        {
            "host": system_mail.host,
            "login": f"{conn_id}@example.com",
            "port": str(system_mail.port),
        },
    )
    ui.open_section(dialog, "1. Mailbox")
    ui.choose(dialog, "mail_provider", "Custom")
    ui.open_section(dialog, "2. Sign-in")
    ui.type_in(
        dialog,
        {
            "client_id": authorization_server.client_id,
            "client_secret": authorization_server.client_secret,
        },
    )
    ui.open_section(dialog, "4. Endpoints and limits")
    ui.type_in(
        dialog,
        {
            "issuer": authorization_server.issuer,
            "scopes": IMAP_SCOPE,
            "ca_file": str(authorization_server.ca_file),
        },
    )
    ui.save(dialog)
    return conn_id


def test_a_connection_made_in_the_form_fetches_mail(
    ui: AirflowUi,
    filled_in: str,
    mailboxes: Mailboxes,
    fetch: Callable[[str], Any],
    airflow: AirflowStack,
) -> None:
    """Form, sign-in, Test button and a run of a DAG work together."""
    mailboxes.mail.deliver(mailboxes.login(filled_in), b"Subject: Hello\r\n\r\nHi\r\n")
    assert "authorize" in ui.test_connection(filled_in).lower()

    mailboxes.sign_in(filled_in)

    assert f"Signed in to {mailboxes.mail.host}" in ui.test_connection(filled_in)
    run = fetch(filled_in)
    assert run.state == "success"
    assert airflow.xcom(run, "fetch")["messages"] == 1


def test_saving_an_open_form_keeps_the_sealed_tokens(
    ui: AirflowUi, filled_in: str, mailboxes: Mailboxes, fetch: Callable[[str], Any]
) -> None:
    """A form that was opened before the sign-in and saved after it does not undo it."""
    row = ui.page.get_by_role("row").filter(has=ui.page.get_by_text(filled_in, exact=True))
    row.get_by_role("button", name="Edit Connection").click()
    dialog = ui.page.get_by_role("dialog")
    dialog.locator("[name=description]").fill("Invoices")
    mailboxes.sign_in(filled_in)
    ui.save(dialog)

    assert fetch(filled_in).state == "success"


def test_the_page_lists_mailboxes_with_their_state(ui: AirflowUi, mailboxes: Mailboxes) -> None:
    """An administrator sees who has signed in and who has not."""
    waiting, signed_in = mailboxes.add(), mailboxes.add()
    mailboxes.sign_in(signed_in)

    page = ui.open_mailboxes()

    assert "needs authorization" in page.get_by_role("row", name=waiting).inner_text()
    assert "active" in page.get_by_role("row", name=signed_in).inner_text()


def test_a_viewer_sees_no_more_than_airflow_shows(
    airflow: AirflowStack, mailboxes: Mailboxes
) -> None:
    """Who may not read connections in Airflow does not find them on the page."""
    conn_id = mailboxes.add()
    with browser_page(airflow.base_url, user="viewer") as ui:
        answer = ui.page.goto(f"{airflow.base_url}/imap-oauth/")
        assert answer is not None
        assert conn_id not in ui.page.content()
        assert answer.status == 403
