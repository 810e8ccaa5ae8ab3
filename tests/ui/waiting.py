# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A page that waits until somebody has entered a code on another device."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING, Any

from airflow_imap_oauth.admin import pending
from airflow_imap_oauth.oauth.clock import utc_now
from tests.ui.authorizing import begin
from tests.ui.browsing import PERSON

if TYPE_CHECKING:
    import pytest
    from fastapi.testclient import TestClient

    from tests.hooks.mailboxes import Mailbox


class Waiting:
    """A page that waits for a code to be entered, and the time that goes by meanwhile."""

    def __init__(self, browser: TestClient, box: Mailbox, patch: pytest.MonkeyPatch) -> None:
        self.browser = browser
        self.box = box
        self._patch = patch
        self._later = timedelta(0)

    def begin(self, **fields: str) -> None:
        """Ask for a code."""
        self.show(begin(self.browser, self.box.conn_id, way="device", **fields))

    def show(self, page: Any) -> None:
        """Read what the page says."""
        code = re.search(r"<strong>([A-Z0-9-]{4,})</strong>", page.text)
        again = re.search(r'http-equiv="refresh" content="(\d+); url=([^"]*)"', page.text)
        assert code is not None, page.text
        assert again is not None
        self.code, self.seconds, self.address = code[1], int(again[1]), unescape(again[2])

    def pass_by(self, seconds: float) -> None:
        """Let time go by, here and at the server."""
        self._later += timedelta(seconds=seconds)
        later = self._later
        self._patch.setattr("airflow_imap_oauth.ui.pages.device.utc_now", lambda: utc_now() + later)
        self._patch.setattr(pending, "utc_now", lambda: utc_now() + later)
        self.box.authorization.advance_clock(seconds)

    def look(self) -> Any:
        """Open the page again, at once."""
        return self.browser.get(self.address, headers=PERSON)

    def look_in_time(self) -> Any:
        """Wait as long as the page says, and open it again."""
        self.pass_by(self.seconds)
        return self.look()

    def decide(self, login: str | None = None, *, allow: bool = True) -> None:
        """Enter the code, and allow or deny."""
        self.box.authorization.decide_device(self.code, login or self.box.login, allow=allow)

    @property
    def polls(self) -> int:
        """How often the server was asked."""
        return self.box.authorization.token_requests
