# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The token response (RFC 6749 section 5.1) as data."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenResponse:
    """
    A validated token response.

    :param expires_in_seconds: Lifetime from the moment of the request; always positive.
    :param refresh_token: The new refresh token, or None where the old one stays in force.
    :param scopes: The granted scopes, or None where the response has no ``scope`` (then they
        are the requested ones, RFC 6749 section 5.1).
    """

    access_token: str = field(repr=False)
    expires_in_seconds: int
    refresh_token: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] | None = None
