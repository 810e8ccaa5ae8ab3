# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What a person does with the pages: sign in, read tables, send the form that a page has shown."""

from __future__ import annotations

import re
import secrets
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

PAGES = "/imap-oauth"
#: What a browser says that it would like to get.
PERSON = {"accept": "text/html"}

_FORM = re.compile(r'<form method="post" action="([^"]*)".*?</form>', re.DOTALL)
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)"')


def sign_in(browser: TestClient, role: str = "OP", name: str | None = None) -> str:
    """
    Sign a user of a role in, as Airflow's own pages do: by cookie.

    :param name: None: somebody new, who has done nothing too often yet.
    :return: The name.
    """
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    user = SimpleAuthManagerUser(username=name or f"user-{secrets.token_hex(4)}", role=role)
    browser.cookies.set("_token", get_auth_manager().generate_jwt(user))
    return str(user.username)


def path(page: str, **query: str) -> str:
    """Return the address of a page."""
    return f"{PAGES}{page}?{urlencode(query)}" if query else f"{PAGES}{page}"


def form_of(html: str) -> tuple[str, dict[str, str]]:
    """Return address and hidden fields of the only form of a page that changes something."""
    (form,) = _FORM.finditer(html)
    fields = {unescape(name): unescape(value) for name, value in _HIDDEN.findall(form[0])}
    return unescape(form[1]), fields


def press(browser: TestClient, page: str, conn_id: str, **headers: str) -> Any:
    """Open a page about a connection and press the button of its form."""
    opened = browser.get(path(page, connection_id=conn_id), headers=PERSON)
    assert opened.status_code == 200, opened.text
    action, fields = form_of(opened.text)
    return browser.post(action, data=fields, headers={**PERSON, **headers})


def text_of(html: str) -> str:
    """Return what a person reads on a page, in one line."""
    return " ".join(unescape(re.sub("<[^>]*>", " ", html)).split())


def rows(html: str) -> dict[str, list[str]]:
    """Return the cells of the table, tags removed, by the first one."""
    found = {}
    for row in re.findall(r"<tr>\s*<th scope=\"row\">.*?</tr>", html, re.DOTALL):
        cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        first, *others = [text_of(cell) for cell in cells]
        found[first] = others
    return found
