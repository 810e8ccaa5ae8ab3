# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Takes the pictures of the README anew: ``python -m demo.pictures``. It needs Chromium.

What is shown is Airflow's own web interface, in front of the demo's servers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from demo.stage import CONN_ID, DAG_ID, ROOT, stage
from tests.system.browser import AirflowUi, browser_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

PICTURES = ROOT / "docs" / "pictures"


def main() -> None:
    """Take every picture."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with stage() as running, running.airflow as airflow:
        running.sign_in()
        airflow.run_dag(DAG_ID)
        with browser_page(airflow.base_url) as ui:
            take_form(ui)
            mailboxes = ui.open_mailboxes()
            take_page(mailboxes, "mailboxes.png", height=620)
            take_authorization(mailboxes)
            ui.page.goto(f"{airflow.base_url}/dags/{DAG_ID}")
            ui.page.get_by_text("fetch_mail").first.wait_for()
            take_page(ui.page, "dag.png", height=640)


def take_form(ui: AirflowUi) -> None:
    """Fill in the form for a Microsoft 365 mailbox, and take its sections."""
    ui.page.set_viewport_size({"width": 1280, "height": 1700})
    dialog = ui.begin_connection("company_mailbox")
    ui.type_in(dialog, {"login": "reports@example.com"})
    ui.open_section(dialog, "1. Mailbox")
    ui.choose(dialog, "mail_provider", "Microsoft 365 and Outlook.com")
    dialog.screenshot(path=PICTURES / "form-mailbox.png")
    ui.open_section(dialog, "2. Sign-in")
    ui.type_in(dialog, {"client_id": "00000000-0000-0000-0000-000000000000"})
    dialog.screenshot(path=PICTURES / "form-sign-in.png")
    ui.page.keyboard.press("Escape")


def take_authorization(page: Page) -> None:
    """Authorize the demo's mailbox in the browser, check it, and take what both pages say."""
    page.get_by_role("link", name=CONN_ID, exact=True).click()
    page.get_by_role("link", name="Authorize", exact=True).click()
    page.get_by_role("button", name="Sign in at").click()
    page.get_by_role("button", name="Allow", exact=True).click()
    page.get_by_text("is authorized").first.wait_for()
    take_page(page, "authorized.png", height=520)
    page.get_by_role("link", name="Check the connection").click()
    page.get_by_role("button", name="Check").click()
    page.get_by_text("All is well").wait_for()
    take_page(page, "check.png", height=900)


def take_page(page: Page, name: str, *, height: int) -> None:
    """Take what fits into a window of this height."""
    page.set_viewport_size({"width": 1280, "height": height})
    page.wait_for_load_state("networkidle")
    page.screenshot(path=Path(PICTURES, name))


if __name__ == "__main__":
    main()
