# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A user at the browser: opens the consent page, decides, and is sent back to the client."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import httpx


class PageRefusedError(Exception):
    """The server showed a page that refuses the request, instead of asking for consent."""


class _Form(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.hidden: dict[str, str] = {}
        self.error = ""
        self._in_error = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = given.get("action", "")
        elif tag == "input" and given.get("type") == "hidden":
            self.hidden[given["name"]] = given.get("value", "")
        self._in_error = given.get("id") == "error"

    def handle_data(self, data: str) -> None:
        if self._in_error:
            self.error += data
            self._in_error = False


def consent(
    authorize_url: str,
    login: str,
    ca_file: Path,
    *,
    allow: bool = True,
    scopes: Iterable[str] | None = None,
) -> str:
    """
    Consent (or refuse to) on the page behind an authorization URL.

    :param scopes: Consent to no others than these; None: to all.
    :return: Where the browser is sent back to, with ``code`` or ``error`` in its query.
    :raises PageRefusedError: the server did not trust the request enough to redirect.
    """
    context = ssl.create_default_context(cafile=str(ca_file))
    with httpx.Client(verify=context, trust_env=False, timeout=10) as client:
        page = client.get(authorize_url)
        if page.has_redirect_location:
            return page.headers["Location"]
        form = _read(page)
        if form.action is None:
            raise PageRefusedError(form.error or str(page.status_code))
        data = {**form.hidden, "decision": "allow" if allow else "deny"}
        if allow:
            data["login"] = login
            if scopes is not None:
                data["scope"] = " ".join(scopes)
        sent = client.post(urljoin(authorize_url, form.action), data=data)
        if not sent.has_redirect_location:
            raise PageRefusedError(_read(sent).error or str(sent.status_code))
        return sent.headers["Location"]


def _read(page: httpx.Response) -> _Form:
    form = _Form()
    form.feed(page.text)
    return form
