# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What clients asked for, recorded and counted."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from tests.servers.authorization.messages import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRequest:
    """
    One request as it came, whatever became of it.

    :param endpoint: For example ``token``; None for a path that leads nowhere.
    :param mail_provider: For example ``generic``; None likewise.
    :param parameters: Of query and form; of a repeated one the last.
    :param headers: By name in lower case.
    """

    method: str
    path: str
    endpoint: str | None
    mail_provider: str | None
    parameters: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @property
    def grant_type(self) -> str:
        """The grant of a token request, or an empty string."""
        return self.parameters.get("grant_type", "")


class Traffic:
    """Every request since the last :meth:`clear`. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: list[RecordedRequest] = []

    def record(self, request: Request, endpoint: str | None, mail_provider: str | None) -> None:
        """Record a request."""
        texts = (request.query, request.body.decode("ascii", "replace"))
        parameters = [pair for text in texts for pair in parse_qsl(text, keep_blank_values=True)]
        recorded = RecordedRequest(
            method=request.method,
            path=request.path,
            endpoint=endpoint,
            mail_provider=mail_provider,
            parameters=dict(parameters),
            headers={name.lower(): value for name, value in request.headers.items()},
        )
        with self._lock:
            self._requests.append(recorded)

    def clear(self) -> None:
        """Forget every request."""
        with self._lock:
            self._requests.clear()

    def all(self) -> tuple[RecordedRequest, ...]:
        """Return every request in the order of arrival."""
        with self._lock:
            return tuple(self._requests)

    def at(self, endpoint: str) -> tuple[RecordedRequest, ...]:
        """Return the requests at one endpoint, of whichever mail provider."""
        return tuple(one for one in self.all() if one.endpoint == endpoint)

    def by_path(self) -> Counter[str]:
        """Count requests by path."""
        return Counter(one.path for one in self.all())

    def by_grant(self) -> Counter[str]:
        """Count token requests by grant."""
        return Counter(one.grant_type for one in self.at("token"))
