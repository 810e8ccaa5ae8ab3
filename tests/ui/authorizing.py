# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What a person does to authorize a connection in the browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from tests.hooks import connections
from tests.hooks.mailboxes import forget_tokens
from tests.servers.authorization.dialects import IMAP_SCOPE
from tests.ui.browsing import PERSON, form_of, path, sign_in

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from tests.hooks.mailboxes import Mailbox

BASE_URL = "http://localhost:8080"
WITH_IDENTITY = f"{IMAP_SCOPE} openid email offline_access"
UNKNOWN = "no such sign-in under way"


@pytest.fixture
def own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pages know their address."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", BASE_URL)


@pytest.fixture
def box(only_mailbox: Mailbox) -> Iterator[Mailbox]:
    """Give a mailbox that nobody has authorized."""
    only_mailbox.connect(password=None)
    yield only_mailbox
    forget_tokens(only_mailbox.conn_id)


def forms(html: str) -> list[tuple[str, dict[str, str]]]:
    """Return address and hidden fields of each form."""
    found = re.findall(r'<form method="post".*?</form>', html, re.DOTALL)
    return [form_of(form) for form in found]


def begin(browser: TestClient, conn_id: str, *, way: str = "", **fields: str) -> Any:
    """Open the page and choose a way to sign in; return the answer."""
    opened = browser.get(path("/authorize", connection_id=conn_id), headers=PERSON)
    assert opened.status_code == 200, opened.text
    action, hidden = next(
        (action, hidden)
        for action, hidden in forms(opened.text)
        if hidden.get("way", "device" if "/device" in action else "") == way
    )
    return browser.post(action, data={**hidden, **fields}, headers=PERSON)


def leaving(answer: Any) -> str:
    """Return where a page sends the browser."""
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]*)"', answer.text)
    assert found is not None, answer.text
    return unescape(found[1])


def pasting(answer: Any) -> str:
    """Return where a page lets somebody sign in whose browser will not come back by itself."""
    found = re.search(r'<a href="([^"]*)" target="_blank"', answer.text)
    assert found is not None, answer.text
    return unescape(found[1])


def consented(box: Mailbox, answer: Any, login: str | None = None) -> str:
    """Consent as a person would; return the address of ours at which the browser arrives."""
    arrived = box.authorization.consent(leaving(answer), login or box.login)
    assert arrived.startswith(f"{BASE_URL}/imap-oauth/callback?")
    return arrived.removeprefix(BASE_URL)


def authorized(browser: TestClient, box: Mailbox, **fields: str) -> Any:
    """Sign in from beginning to end; return the page in the end."""
    return browser.get(consented(box, begin(browser, box.conn_id, **fields)), headers=PERSON)


def another_browser(browser: TestClient, name: str, role: str = "OP") -> None:
    """Go on in another browser, of that user."""
    browser.cookies.clear()
    sign_in(browser, role, name)


def is_untouched(box: Mailbox) -> bool:
    """Tell whether nothing was saved."""
    password, extra = connections.stored(box.conn_id)
    return not password and not str(extra.get("client_secret")).startswith("sealed:")
