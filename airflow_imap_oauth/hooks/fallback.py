# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The plan for when OAuth fails: sign in by another connection to the same mailbox.

It is for faults of authentication alone. A server that is out of order is out of order for both
connections, and a retry helps; and whoever cannot be told from the right account must not get in by
the back door, so host and mailbox have to be the same.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow.sdk.observability.stats import Stats

from airflow_imap_oauth.exceptions import (
    ClientRejectedError,
    ConfigurationError,
    ImapAuthenticationError,
    ImapOAuthError,
    PolicyError,
    ReauthorizationRequiredError,
    TokenResponseError,
)
from airflow_imap_oauth.hooks.connection import CONN_TYPE, ConnectionLike
from airflow_imap_oauth.hooks.mailbox import Mailbox, MaskedTokens, open_mailbox
from airflow_imap_oauth.hooks.masking import mask

if TYPE_CHECKING:
    from airflow_imap_oauth.imap.model import ImapSettings, MailSession

logger = logging.getLogger(__name__)

#: What a fallback is tried for.
AUTHENTICATION_FAULTS = (
    ClientRejectedError,
    ImapAuthenticationError,
    PolicyError,
    ReauthorizationRequiredError,
    TokenResponseError,
)

_PASSWORD_TYPE = "imap"  # noqa: S105  # Airflow's own connection type
_STEP = "fallback"


def sign_in(mailbox: Mailbox, read: Callable[[str], ConnectionLike]) -> MailSession:
    """
    Sign in to a mailbox; where it cannot be authenticated, by its fallback connection.

    Each time that happens, it is logged as an error and counted (``imap_oauth.fallback``).

    :param read: Returns a connection by its id.
    :raises ImapOAuthError: Of the mailbox itself; of the fallback where that one's is transient,
        so that a retry may help.
    """
    from airflow_imap_oauth.imap.connect import connect  # noqa: PLC0415  # loads IMAPClient

    imap = mailbox.settings.imap
    try:
        return connect(imap, MaskedTokens(mailbox.token_manager(), imap))
    except AUTHENTICATION_FAULTS as error:
        if mailbox.settings.fallback_conn_id is None:
            raise
        fault = error
    return _by_fallback(mailbox, mailbox.settings.fallback_conn_id, fault, read)


def _by_fallback(
    mailbox: Mailbox, conn_id: str, fault: ImapOAuthError, read: Callable[[str], ConnectionLike]
) -> MailSession:
    fault.located(conn_id=mailbox.settings.conn_id)
    Stats.incr("imap_oauth.fallback")
    logger.error(
        "%s Signing in by the fallback connection '%s' instead; mend the first one.", fault, conn_id
    )
    try:
        return _open(mailbox, read(conn_id))
    except ImapOAuthError as error:
        error.located(conn_id=conn_id, step=_STEP)
        logger.error("The fallback fails, too: %s", error)  # noqa: TRY400  # it says all
        if error.retry_helps:
            raise
    raise fault


def _open(mailbox: Mailbox, connection: ConnectionLike) -> MailSession:
    from airflow_imap_oauth.imap.connect import connect  # noqa: PLC0415  # loads IMAPClient
    from airflow_imap_oauth.imap.password import (  # noqa: PLC0415  # as above
        open_session_with_password,
    )

    if connection.conn_type == CONN_TYPE:
        other = open_mailbox(connection, mailbox.options)
        imap = other.settings.imap
        _check_same(mailbox.settings.imap, host=imap.host, user=imap.user)
        return connect(imap, MaskedTokens(other.token_manager(), imap))
    if connection.conn_type == _PASSWORD_TYPE:
        mask(connection.password)
        imap = _with_password(mailbox.settings.imap, connection)
        return open_session_with_password(imap, connection.password or "")
    raise ConfigurationError(
        f"The fallback connection is of type '{connection.conn_type}'.",
        hint=f"It must be of type {CONN_TYPE}, or of Airflow's own type {_PASSWORD_TYPE}.",
    )


def _with_password(imap: ImapSettings, connection: ConnectionLike) -> ImapSettings:
    """Read a connection of Airflow's own type; without ``use_ssl`` it is STARTTLS, never less."""
    if not connection.host or not connection.login or not connection.password:
        raise ConfigurationError(
            "The fallback connection lacks host, login or password.",
            hint="Enter them; the login is the address of the same mailbox.",
        )
    _check_same(imap, host=connection.host, user=connection.login)
    try:
        extra = json.loads(connection.extra or "{}")
    except ValueError:
        extra = {}
    implicit = not isinstance(extra, dict) or extra.get("use_ssl", True) is not False
    return replace(
        imap,
        conn_id=connection.conn_id,
        port=connection.port or (993 if implicit else 143),
        tls="implicit" if implicit else "starttls",
    )


def _check_same(imap: ImapSettings, *, host: str, user: str) -> None:
    if (host.strip().lower(), user.strip()) != (imap.host.lower(), imap.user):
        raise ConfigurationError(
            "The fallback connection is to another host or mailbox.",
            hint=f"It must open {imap.user} at {imap.host}.",
        )
