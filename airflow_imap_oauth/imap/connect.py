# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Connect with a token of a token source; a rejected one is replaced once."""

from __future__ import annotations

import logging
from typing import Protocol

from airflow_imap_oauth.exceptions import ImapAuthenticationError
from airflow_imap_oauth.imap.model import ImapSettings, MailSession
from airflow_imap_oauth.imap.refusals import fresh_token_may_help
from airflow_imap_oauth.imap.session import open_session

log = logging.getLogger(__name__)


class AccessTokenSource(Protocol):
    """Where access tokens come from; :class:`airflow_imap_oauth.tokens.manager.TokenManager`."""

    def get_access_token(self) -> str:
        """Return a token that should be good, renewed if need be."""
        ...

    def reject_access_token(self, access_token: str, /) -> None:
        """Drop this token, if it is still the current one."""
        ...


def connect(settings: ImapSettings, tokens: AccessTokenSource) -> MailSession:
    """
    Open a session; where the server refuses the token, drop it, get a fresh one, try once more.

    A server that is out of order, throttles, or will not let the account in at all is no reason
    to renew: renewing can cost a rotating refresh token, and would change nothing.

    :raises ImapAuthenticationError: If the fresh token is refused too, or none could help. A retry
        cannot help.
    :raises ImapOAuthError: What :func:`~airflow_imap_oauth.imap.session.open_session` and the
        token source raise.
    """
    access_token = ""

    def take() -> str:
        nonlocal access_token
        access_token = tokens.get_access_token()
        return access_token

    try:
        return open_session(settings, take)
    except ImapAuthenticationError as error:
        if not fresh_token_may_help(error):
            raise
        rejected = error
    log.info("Mail server '%s' refused the access token: renewing it once.", settings.host)
    tokens.reject_access_token(access_token)
    fresh = tokens.get_access_token()
    if fresh == access_token:
        raise rejected
    return open_session(settings, fresh)
