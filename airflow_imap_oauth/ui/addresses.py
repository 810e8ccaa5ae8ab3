# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Addresses of the pages. They come from ``[api] base_url`` alone, never from a request."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from airflow.configuration import conf

PREFIX = "/imap-oauth"


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
