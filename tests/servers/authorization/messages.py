# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""HTTP requests and answers as the authorization server sees them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.message import Message

from authlib.oauth2.rfc6749 import OAuth2Payload, OAuth2Request

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    One HTTP request.

    :param query: The raw query string, without its question mark.
    :param body: Undecoded.
    """

    method: str
    path: str
    query: str
    url: str
    headers: Message
    body: bytes = field(default=b"", repr=False)


@dataclass(slots=True, kw_only=True)
class Answer:
    """One HTTP answer."""

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def location(self) -> str | None:
        """The header Location."""
        return self.headers.get("Location")


def json_answer(
    body: Mapping[str, object], status: int = 200, headers: Iterable[tuple[str, str]] = ()
) -> Answer:
    """Return an answer in JSON that must not be stored (RFC 6749 section 5.1)."""
    always = {"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache"}
    return Answer(
        status=status, body=json.dumps(body).encode(), headers={**always, **dict(headers)}
    )


def not_allowed(method: str) -> Answer:
    """Return the answer to a request by another method."""
    error = {"error": "invalid_request", "error_description": f"Only {method} is accepted here."}
    return json_answer(error, 405, [("Allow", method)])


def html_answer(page: str, status: int = 200) -> Answer:
    """Return a page."""
    headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}
    return Answer(status=status, body=page.encode(), headers=headers)


class _Payload(OAuth2Payload):
    def __init__(self, pairs: Pairs) -> None:
        self._data = dict(pairs)
        self._datalist: dict[str, list[str]] = {}
        for name, value in pairs:
            self._datalist.setdefault(name, []).append(value)

    @property
    def data(self) -> dict[str, str]:
        return self._data

    @property
    def datalist(self) -> dict[str, list[str]]:
        return self._datalist


class OAuthRequest(OAuth2Request):
    """A request whose parameters are decoded and checked, for Authlib."""

    def __init__(self, request: Request, pairs: Pairs) -> None:
        super().__init__(request.method, request.url, headers=request.headers)
        self.payload = _Payload(pairs)

    @property
    def args(self) -> dict[str, str]:
        """Parameters of the authorization endpoint."""
        return self.payload.data

    @property
    def form(self) -> dict[str, str]:
        """Parameters of the other endpoints."""
        return self.payload.data
