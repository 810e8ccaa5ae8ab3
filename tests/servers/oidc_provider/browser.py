# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A user at the browser: follows redirects, keeps cookies, and fills in every form that comes."""

from __future__ import annotations

from collections.abc import Iterable
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx

from tests.servers.certificates import CertificateAuthority

_LONGEST_WALK = 20


class PageRefusedError(Exception):
    """The server showed a page that leads nowhere."""


class _Form(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.action: str | None = None
        self.hidden: dict[str, str] = {}
        self.fields: set[str] = set()
        self.asked: set[str] = set()
        self.choices: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and self.action is None:
            self.action = given.get("action", "")
        if tag not in {"input", "button"} or "name" not in given:
            return
        self.fields.add(given["name"])
        if given.get("type") == "hidden":
            self.hidden[given["name"]] = given.get("value", "")
        elif given.get("type") == "checkbox":
            self.choices.append(given["value"])
        elif given.get("type") == "text":
            self.asked.add(given["name"])


class Browser:
    """
    One user with a browser that has no cookies yet.

    :param base_url: Of the server; what leads away from it is not followed.
    :param login: Who signs in.
    :param allow: Whether they consent.
    :param scopes: What they consent to; None: to all.
    """

    def __init__(
        self,
        base_url: str,
        ca: CertificateAuthority,
        login: str,
        *,
        allow: bool = True,
        scopes: Iterable[str] | None = None,
    ) -> None:
        self._base_url = base_url
        self._login = login
        self._allow = allow
        self._scopes = None if scopes is None else set(scopes)
        self._client = httpx.Client(verify=ca.client_context(), trust_env=False, timeout=10)

    def __enter__(self) -> Browser:
        """Return the browser itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._client.close()

    def sent_back_from(self, url: str) -> str:
        """
        Return where a walk that begins at a URL leads away from the server.

        :raises PageRefusedError: If it ends on a page of the server's own.
        """
        answer = self._walk(url)
        if not answer.has_redirect_location:
            raise PageRefusedError(answer.text)
        return answer.headers["Location"]

    def last_page_from(self, url: str) -> str:
        """Return the page on which a walk that begins at a URL ends."""
        answer = self._walk(url)
        if answer.has_redirect_location:
            raise PageRefusedError(answer.headers["Location"])
        return answer.text

    def _walk(self, url: str) -> httpx.Response:
        answer = self._client.get(url)
        for _ in range(_LONGEST_WALK):
            if answer.has_redirect_location:
                target = urljoin(str(answer.url), answer.headers["Location"])
                if not target.startswith(f"{self._base_url}/"):
                    return answer
                answer = self._client.get(target)
                continue
            form = _Form(answer.text)
            # After a refusal it asks for the code of another device.
            if form.action is None or form.asked - {"login"}:
                return answer
            answer = self._client.post(
                urljoin(str(answer.url), form.action), data=self._filled_in(form)
            )
        raise PageRefusedError(f"There was no end of pages and redirects after {url}.")

    def _filled_in(self, form: _Form) -> dict[str, str | list[str]]:
        data: dict[str, str | list[str]] = dict(form.hidden)
        if "login" in form.asked:
            data |= {"login": self._login, "decision": "allow"}
        elif "decision" in form.fields:
            wanted = form.choices if self._scopes is None else self._scopes
            data["scope"] = [name for name in form.choices if name in wanted]
            data["decision"] = "allow" if self._allow else "deny"
        return data
