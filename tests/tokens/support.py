# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Settings, a clock, stores that fail, and a strict grant, for tests of renewal."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from airflow_imap_oauth.exceptions import (
    ImapOAuthError,
    ReauthorizationRequiredError,
    TokenStoreError,
)
from airflow_imap_oauth.oauth.profiles import MailProviderProfile
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.settings import Endpoints, OAuthSettings
from airflow_imap_oauth.tokens.binding import binding
from airflow_imap_oauth.tokens.manager import TokenManager
from airflow_imap_oauth.tokens.record import TokenRecord
from airflow_imap_oauth.tokens.sealing import Sealer, SealingKey

START_AT = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
LIFETIME_SECONDS = 3600

PROFILE = MailProviderProfile(
    name="custom", label="Custom", engine="rfc6749", scopes=("imap",), rotates_refresh_token=True
)
FIXED_PROFILE = replace(PROFILE, rotates_refresh_token=False)
ENDPOINTS = Endpoints(
    authorize_url="https://login.example.com/authorize",
    token_url="https://login.example.com/token",
)


def settings(**changes: Any) -> OAuthSettings:
    """Return the settings of a connection ``mail``."""
    values: dict[str, Any] = {
        "conn_id": "mail",
        "profile": PROFILE,
        "client_id": "app",
        "endpoints": ENDPOINTS,
        "scopes": ("imap",),
        "login": "user@example.com",
        **changes,
    }
    return OAuthSettings(**values)


def sealer_of(*seeds: int) -> Sealer:
    """Return a sealer with one key per number."""
    return Sealer(
        [SealingKey(key_id=f"{seed:012x}", material=bytes([seed]) * 32) for seed in seeds]
    )


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.instant = START_AT

    def __call__(self) -> datetime:
        """Return the instant."""
        return self.instant

    def move(self, seconds: float) -> None:
        """Move on."""
        self.instant += timedelta(seconds=seconds)


class MemoryStore:
    """A store in memory that counts, and fails when told so."""

    name = "memory"

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.loads = 0
        self.saves = 0
        self.fail_load: Exception | None = None
        self.fail_save: Exception | None = None
        self.on_load: Callable[[], None] = lambda: None

    def load(self, conn_id: str) -> str | None:
        """Return the text."""
        self.loads += 1
        self.on_load()
        if self.fail_load is not None:
            raise self.fail_load
        return self.texts.get(conn_id)

    def save(self, conn_id: str, text: str) -> None:
        """Store the text."""
        self.saves += 1
        if self.fail_save is not None:
            raise self.fail_save
        self.texts[conn_id] = text

    def delete(self, conn_id: str) -> None:
        """Remove the text."""
        self.texts.pop(conn_id, None)

    @property
    def record(self) -> TokenRecord:
        """The record of connection ``mail``."""
        return TokenRecord.from_json(self.texts["mail"])


class Grant:
    """
    A grant at a strict server: each refresh token works once, and a spent one ends them all.

    ``living`` is the one that works; with ``rotates`` unset it goes on working.
    """

    def __init__(self) -> None:
        self.living: str | None = "seed-1"
        self.rotates = True
        self.spent: list[str] = []
        self.error: ImapOAuthError | None = None
        self.fault: Any = None
        self.scopes: tuple[str, ...] | None = None
        self.lifetime_seconds = LIFETIME_SECONDS
        self.before_answer: Callable[[], None] = lambda: None
        self._lock = threading.Lock()

    def __call__(self, refresh_token: str) -> TokenResponse:
        """Spend a refresh token."""
        with self._lock:
            self.spent.append(refresh_token)
            self.before_answer()
            if self.error is not None:
                raise self.error
            if refresh_token != self.living:
                self.living = None
                raise ReauthorizationRequiredError("invalid_grant", error="invalid_grant")
            if self.rotates:
                self.living = f"refresh-{secrets.token_hex(8)}"
            return TokenResponse(
                access_token="" if self.fault else f"access-{secrets.token_hex(8)}",
                expires_in_seconds=self.lifetime_seconds,
                refresh_token=self.living if self.rotates else None,
                scopes=self.scopes,
                fault=self.fault,
            )

    @property
    def requests(self) -> int:
        """How often it was asked."""
        return len(self.spent)


class Rig:
    """One connection with its store, clock and grant; makes managers, as each task does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store: Any = MemoryStore()
        self.clock = Clock()
        self.grant = Grant()
        self.sealer = sealer_of(1)
        self.settings = settings()
        self.imap_host = "imap.example.com"

    def manager(self, seed: str | None = "seed-1", **changes: Any) -> TokenManager:
        """Return a new manager."""
        used = changes.pop("settings", self.settings)
        values: dict[str, Any] = {
            "settings": used,
            "binding": binding(used, changes.pop("imap_host", self.imap_host)),
            "store": self.store,
            "sealer": self.sealer,
            "seed": seed,
            "lock_folder": self.folder / "locks",
            "now": self.clock,
            "jitter": lambda: 0.0,
            "refresh": self.grant,
            "save_retry_delays_seconds": (0.0, 0.0),
            **changes,
        }
        return TokenManager(**values)

    def break_store_after_answer(self, error: Exception | None = None) -> None:
        """Let the store fail between the server's next answer and saving it."""

        def answered() -> None:
            self.store.fail_save = error or broken_store_error()
            self.grant.before_answer = lambda: None

        self.grant.before_answer = answered

    def expire(self) -> None:
        """Let the access token's time pass."""
        self.clock.move(LIFETIME_SECONDS)


def broken_store_error() -> TokenStoreError:
    """Return what a store raises that does not work."""
    return TokenStoreError("The store is full.")
