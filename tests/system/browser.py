# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A person at Airflow's web interface, in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.servers.airflow_stack import USERS

CONNECTION_TYPE = "IMAP (OAuth 2.0)"
_STANDARD_FIELDS = ("host", "login", "port", "password")


@contextmanager
def browser_page(base_url: str, *, user: str = "admin") -> Iterator[AirflowUi]:
    """Open a browser in which a user has signed in to Airflow."""
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not work for root; all that it opens is our own.
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        try:
            page = browser.new_page(
                viewport={"width": 1280, "height": 900},
                # The authorization server's certificate is one of the tests.
                ignore_https_errors=True,
            )
            page.set_default_timeout(30_000)
            ui = AirflowUi(page, base_url)
            ui.sign_in(user)
            yield ui
        finally:
            browser.close()


class AirflowUi:
    """What a person does in Airflow's web interface."""

    def __init__(self, page: Page, base_url: str) -> None:
        self.page = page
        self._base_url = base_url.rstrip("/")

    def sign_in(self, user: str) -> None:
        """Sign in to Airflow."""
        self.page.goto(f"{self._base_url}/auth/login")
        self.page.locator("input[name=username]").fill(user)
        self.page.locator("input[name=password]").fill(USERS[user])
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.wait_for_url(f"{self._base_url}/")

    def begin_connection(self, conn_id: str) -> Locator:
        """Open the form, choose the connection type, and return the dialog."""
        self.page.goto(f"{self._base_url}/connections")
        self.page.get_by_role("button", name="Add Connection").click()
        dialog = self.page.get_by_role("dialog")
        dialog.locator("input[name=connection_id]").fill(conn_id)
        dialog.get_by_role("combobox").first.fill(CONNECTION_TYPE)
        self.page.get_by_role("option", name=CONNECTION_TYPE, exact=True).click()
        return dialog

    def open_section(self, dialog: Locator, name: str) -> None:
        """Open one section of the form, which closes the others."""
        button = dialog.get_by_role("button", name=name, exact=True)
        button.click()
        expect(button).to_have_attribute("aria-expanded", "true")

    def choose(self, dialog: Locator, field: str, shown: str) -> None:
        """Choose one of a field's values by the text that is shown for it."""
        box = dialog.locator(f"[name=element_{field}]").locator("xpath=..").get_by_role("combobox")
        box.click()
        self.page.get_by_role("option", name=shown, exact=True).click()

    def type_in(self, dialog: Locator, fields: Mapping[str, str]) -> None:
        """Fill text fields of the section that is open."""
        for name, text in fields.items():
            prefix = "input[name=" if name in _STANDARD_FIELDS else "[name=element_"
            dialog.locator(f"{prefix}{name}]").fill(text)

    def save(self, dialog: Locator) -> None:
        """Save the form."""
        with self.page.expect_response(
            lambda answer: "/api/v2/connections" in answer.url and answer.request.method != "GET"
        ) as saved:
            dialog.get_by_role("button", name="Save", exact=True).click()
        assert saved.value.ok, saved.value.status
        expect(self.page.get_by_role("dialog")).to_have_count(0)

    def test_connection(self, conn_id: str) -> str:
        """Press the Test button of a connection and return what is shown."""
        self.page.goto(f"{self._base_url}/connections")
        row = self.page.get_by_role("row").filter(has=self.page.get_by_text(conn_id, exact=True))
        row.get_by_role("button", name="Test Connection").click()
        toast = self.page.locator("[data-scope=toast][data-part=root]").first
        toast.wait_for()
        return toast.inner_text()

    def open_mailboxes(self) -> Page:
        """Follow the menu entry to the page of this package, which opens in a tab of its own."""
        self.page.goto(f"{self._base_url}/")
        self.page.get_by_role("button", name="Admin", exact=True).click()
        with self.page.context.expect_page() as opened:
            self.page.get_by_role("menuitem", name="IMAP mailboxes").click()
        opened.value.wait_for_load_state()
        return opened.value
