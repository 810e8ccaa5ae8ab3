# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Metadata documents of authorization servers (RFC 8414, OpenID Connect Discovery), cached."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Any

from airflow_imap_oauth.exceptions import TransientOAuthError
from airflow_imap_oauth.oauth.http import HttpAnswer, Transport
from airflow_imap_oauth.oauth.validation import decoded_json

STEP = "discovery"


class MetadataCache:
    """
    Answers a process got for metadata URLs, each kept for a while.

    The key holds the trust settings besides the URL: what was fetched with one ``ca_file`` is
    not served to a connection that trusts another one.

    :param lifetime_seconds: Endpoints move so seldom that an hour is short.
    :param now: A monotonic clock.
    """

    _MAX_ENTRIES = 64

    def __init__(
        self, *, lifetime_seconds: float = 3600.0, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._lifetime_seconds = lifetime_seconds
        self._now = now
        self._lock = Lock()
        self._entries: dict[tuple[str, str | None, bool], tuple[float, HttpAnswer]] = {}

    def get(self, url: str, transport: Transport, *, fresh: bool = False) -> HttpAnswer:
        """
        Return the answer for a URL, from memory if it is fresh.

        Only successes that hold a JSON object are kept.

        :param fresh: Ask the server although an answer is kept.

        :raises TransientOAuthError: As the transport does, or if a success is not JSON.
        :raises OAuthError: As the transport does.
        """
        trust = transport.settings
        key = (url, trust.ca_file, trust.allow_loopback_http)
        with self._lock:
            kept = self._entries.get(key)
        if kept is not None and not fresh and self._now() < kept[0]:
            return kept[1]
        answer = transport.request("GET", url, step=STEP)
        if answer.status_code < 300:  # noqa: PLR2004  # the class of successes
            if decoded_json(answer.text) is None:
                raise TransientOAuthError(
                    "The metadata of the authorization server is not JSON.",
                    hint="A proxy may have answered instead; if it persists, check the issuer.",
                    status_code=answer.status_code,
                    step=STEP,
                )
            self._keep(key, answer)
        return answer

    def _keep(self, key: tuple[str, str | None, bool], answer: HttpAnswer) -> None:
        with self._lock:
            self._entries.pop(key, None)
            while len(self._entries) >= self._MAX_ENTRIES:
                del self._entries[next(iter(self._entries))]
            self._entries[key] = (self._now() + self._lifetime_seconds, answer)


#: The cache of this process.
METADATA = MetadataCache()


def metadata_of(answer: HttpAnswer) -> dict[str, Any]:
    """Return the JSON object of a successful answer of the cache."""
    return decoded_json(answer.text) or {}
