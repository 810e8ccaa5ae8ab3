# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Addresses of the pages. They come from ``[api] base_url`` alone, never from a request."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from airflow.configuration import conf

PREFIX = "/imap-oauth"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def base_url() -> str:
    """Return ``[api] base_url`` without a slash at its end, or an empty text."""
    return (conf.get("api", "base_url", fallback="") or "").strip().rstrip("/")


def base_path() -> str:
    """Return the path below which Airflow is reached; empty: at the root."""
    return urlsplit(base_url()).path.rstrip("/")


def page_path(page: str = "/", **query: str) -> str:
    """Return the path of a page, for links and redirects."""
    path = f"{base_path()}{PREFIX}{page}"
    return f"{path}?{urlencode(query)}" if query else path


def callback_url() -> str:
    """Return the redirect URI of the pages, as it has to be registered."""
    return f"{base_url()}{PREFIX}/callback"


def callback_problem() -> str:
    """Say why no mail provider can send a browser back to that; empty: it can."""
    if not base_url():
        return "[api] base_url is not set."
    parts = urlsplit(base_url())
    if parts.scheme == "https" and parts.hostname:
        return ""
    if parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return ""
    return "[api] base_url is not https, and not a loopback address."
