# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The token response (RFC 6749 section 5.1) as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from airflow_imap_oauth.exceptions import OAuthError
from airflow_imap_oauth.oauth.accounts import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenResponse:
    """
    A validated token response.

    :param expires_in_seconds: Lifetime from the moment of the request; always positive.
    :param refresh_token: The new refresh token, or None where the old one stays in force.
    :param scopes: The granted scopes, or None where the response has no ``scope`` (then they
        are the requested ones, RFC 6749 section 5.1).
    :param id_token: As it came, not yet checked, or None.
    :param answered_at: When it was sent, by the server's own clock; None where it does not say.
    :param account: Whose tokens they are, by the checked id_token; None where there was none.
    :param fault: Why the access token must not be used, or None. It is set only where a new
        refresh token came along with an answer that is refused (a needed scope is missing, say):
        that refresh token must be saved all the same, because the old one may be dead; then
        raise the fault. ``access_token`` is empty then.
    """

    access_token: str = field(repr=False)
    expires_in_seconds: int
    refresh_token: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] | None = None
    id_token: str | None = field(default=None, repr=False)
    answered_at: datetime | None = field(default=None, compare=False)
    account: Account | None = None
    fault: OAuthError | None = field(default=None, compare=False)
