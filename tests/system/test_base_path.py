# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""An Airflow that is reached below a path, as behind a reverse proxy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers.airflow_stack import AirflowStack
from tests.system.browser import browser_page
from tests.system.conftest import Mailboxes

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer
    from tests.servers.mail_server import MailServer

pytestmark = pytest.mark.chromium


@pytest.fixture
def airflow_below_a_path(tmp_path: Path) -> Iterator[AirflowStack]:
    """Give an Airflow of its own whose every address begins with /team/a."""
    dags = tmp_path / "dags"
    dags.mkdir()
    stack = AirflowStack(tmp_path / "home", dags_folder=dags, base_path="/team/a")
    stack.migrate()
    try:
        stack.start(["api-server"])
        yield stack
    finally:
        stack.stop()


def test_a_mailbox_is_authorized_and_checked(
    airflow_below_a_path: AirflowStack,
    authorization_server: AuthorizationServer,
    system_mail: MailServer,
) -> None:
    """Every link, form, cookie and redirect of the pages stays below that path."""
    airflow = airflow_below_a_path
    mailboxes = Mailboxes(airflow=airflow, server=authorization_server, mail=system_mail)
    conn_id = mailboxes.add()
    mailboxes.mail.create_folder(mailboxes.login(conn_id), "INBOX")
    with browser_page(airflow.base_url) as ui:
        page = ui.page
        page.goto(f"{airflow.base_url}/imap-oauth/")
        page.get_by_role("link", name=conn_id, exact=True).click()
        page.get_by_role("link", name="Authorize", exact=True).click()
        page.get_by_role("button", name="Sign in at").click()
        page.get_by_role("button", name="Allow", exact=True).click()
        page.wait_for_url(f"{airflow.base_url}/imap-oauth/callback**")
        page.get_by_role("link", name="Check the connection").click()
        page.get_by_role("button", name="Check").click()
        page.get_by_text("All is well").wait_for()
