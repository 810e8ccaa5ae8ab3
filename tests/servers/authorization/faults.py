# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Faults on demand: which request fails next, and how."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal, get_args

FaultKind = Literal[
    "json_error",
    "error_200",
    "html",
    "status",
    "truncated_json",
    "slow",
    "drip",
    "reset",
    "huge_body",
    "redirect",
    "body",
]
KINDS: tuple[str, ...] = get_args(FaultKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """
    One way to fail.

    :param kind: ``json_error``: an error of RFC 6749 section 5.2. ``error_200``: the same under
        status 200. ``html``: a page of a proxy. ``status``: a status without a body.
        ``truncated_json``: the connection ends amid the right answer, whose request took effect.
        ``slow``: the right answer, late. ``drip``: the right answer, byte by byte. ``reset``: the
        connection is reset. ``huge_body``: an endless JSON document. ``redirect``: to another
        host. ``body``: exactly ``body``.
    :param status: HTTP status of the answer; None: what is usual for the kind.
    :param error: Error code of ``json_error`` and ``error_200``.
    :param members: Further members of that JSON, for example ``suberror``.
    :param retry_after: The header Retry-After, or None.
    :param seconds: Delay of ``slow``, or of each byte of ``drip``.
    :param size_bytes: Length of ``huge_body``.
    :param location: Where ``redirect`` points.
    :param body: Text of ``body``.
    :param processed: Whether the request takes effect although another answer, or none, is sent: a
        refresh token is then rotated and the new one never arrives.
    """

    kind: FaultKind
    status: int | None = None
    error: str = "temporarily_unavailable"
    error_description: str | None = None
    members: tuple[tuple[str, object], ...] = ()
    retry_after: str | None = None
    seconds: float = 1.0
    size_bytes: int = 64 * 1024 * 1024
    location: str = "https://other.example.test/token"
    body: str = ""
    content_type: str = "application/json"
    processed: bool = False

    def __post_init__(self) -> None:
        """Refuse a kind that does not exist."""
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of fault {self.kind!r}, known: {', '.join(KINDS)}")

    @property
    def keeps_answer(self) -> bool:
        """Whether (a part of) the right answer is sent, so that the request is processed."""
        return self.kind in ("slow", "drip", "truncated_json")


class FaultPlan:
    """Which of the next requests fail, by endpoint name or path. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: dict[str, list[Fault]] = {}

    def add(self, target: str, fault: Fault, times: int) -> None:
        """Let the next ``times`` requests to an endpoint (or to one path) fail."""
        with self._lock:
            self._planned.setdefault(target, []).extend([fault] * times)

    def take(self, *targets: str) -> Fault | None:
        """Return the fault of this request, which is one of all these targets, or None."""
        with self._lock:
            for target in targets:
                if self._planned.get(target):
                    return self._planned[target].pop(0)
        return None

    def clear(self) -> None:
        """Let nothing fail any more."""
        with self._lock:
            self._planned.clear()
