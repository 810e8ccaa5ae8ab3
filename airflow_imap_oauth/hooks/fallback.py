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
_MAX_PORT = 65535


def sign_in(mailbox: Mailbox, read: Callable[[str], ConnectionLike]) -> MailSession:
    """
    Sign in to a mailbox; where it cannot be authenticated, by its fallback connection.

    Each time that happens, it is logged as an error and counted (``imap_oauth.fallback``). A
    fallback that could not serve anyway is not tried, and the error says so.

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
    try:
        sign_in_there = prepared(mailbox, read(conn_id))
    except ImapOAuthError as error:
        raise _in_vain(fault, error, conn_id) from None
    Stats.incr("imap_oauth.fallback")
    logger.error(
        "%s Signing in by the fallback connection '%s' instead; mend the first one.", fault, conn_id
    )
    try:
        return sign_in_there()
    except ImapOAuthError as error:
        failure = error.located(conn_id=conn_id, step=_STEP)
    if failure.retry_helps:
        logger.error("The fallback fails, too: %s", failure)
        raise failure
    raise _in_vain(fault, failure, conn_id)


def _in_vain(fault: ImapOAuthError, failure: ImapOAuthError, conn_id: str) -> ImapOAuthError:
    """Say in the first fault, which counts, that the fallback was of no use."""
    failure.located(conn_id=conn_id, step=_STEP)
    logger.error("The fallback fails, too: %s", failure)
    fault.hint = f"{fault.hint} Its fallback '{conn_id}' did not help: {failure.message}".strip()
    return fault


def prepared(mailbox: Mailbox, connection: ConnectionLike) -> Callable[[], MailSession]:
    """
    Check a fallback connection without any network.

    :return: Signs in by it.
    :raises ConfigurationError: If it cannot serve as one for this mailbox. A retry cannot help.
    """
    if connection.conn_type == CONN_TYPE:
        return _by_token(mailbox, open_mailbox(connection, mailbox.options))
    if connection.conn_type == _PASSWORD_TYPE:
        mask(connection.password)
        return _by_password(
            _with_password(mailbox.settings.imap, connection), connection.password or ""
        )
    raise ConfigurationError(
        f"The fallback connection is of type '{connection.conn_type}'.",
        hint=f"It must be of type {CONN_TYPE}, or of Airflow's own type {_PASSWORD_TYPE}.",
    )


def _by_token(mailbox: Mailbox, other: Mailbox) -> Callable[[], MailSession]:
    imap = other.settings.imap
    _check_same(mailbox.settings.imap, host=imap.host, user=imap.user)
    own = mailbox.settings
    as_there = replace(own.oauth, conn_id=other.settings.conn_id)
    if (as_there, own.seed) == (other.settings.oauth, other.settings.seed):
        raise ConfigurationError(
            "The fallback connection signs in by the very same credential.",
            hint="Give it another registration, grant or refresh token, or leave it away.",
        )

    def sign_in_there() -> MailSession:
        from airflow_imap_oauth.imap.connect import connect  # noqa: PLC0415  # loads IMAPClient

        return connect(imap, MaskedTokens(other.token_manager(), imap))

    return sign_in_there


def _by_password(imap: ImapSettings, password: str) -> Callable[[], MailSession]:
    def sign_in_there() -> MailSession:
        from airflow_imap_oauth.imap.password import (  # noqa: PLC0415  # loads IMAPClient
            open_session_with_password,
        )

        return open_session_with_password(imap, password)

    return sign_in_there


def _with_password(imap: ImapSettings, connection: ConnectionLike) -> ImapSettings:
    """
    Read a connection of Airflow's own type; without ``use_ssl`` it is STARTTLS, never less.

    Whom to trust is the matter of that connection alone: else whoever may edit the first one could
    have the password of the second sent to a server of his own.
    """
    if not connection.host or not connection.login or not connection.password:
        raise ConfigurationError(
            "The fallback connection lacks host, login or password.",
            hint="Enter them; the login is the address of the same mailbox.",
        )
    _check_same(imap, host=connection.host, user=connection.login)
    if connection.port is not None and not 0 <= connection.port <= _MAX_PORT:
        raise ConfigurationError(
            "The port of the fallback connection is out of range.",
            hint=f"Enter a port from 1 to {_MAX_PORT}, mostly 993.",
        )
    extra = _extra(connection)
    ca_file = extra.get("ca_file") or None
    if ca_file is not None and not (isinstance(ca_file, str) and ca_file.startswith("/")):
        raise ConfigurationError(
            "Key 'ca_file' in extra of the fallback connection is not an absolute path.",
            hint="Enter the path of a PEM file that exists on every host, or remove it.",
        )
    implicit = extra.get("use_ssl", True) is not False
    return replace(
        imap,
        conn_id=connection.conn_id,
        port=connection.port or (993 if implicit else 143),
        tls="implicit" if implicit else "starttls",
        ca_file=ca_file,
    )


def _extra(connection: ConnectionLike) -> dict[str, object]:
    try:
        extra = json.loads(connection.extra or "{}")
    except (ValueError, RecursionError):
        extra = None
    if isinstance(extra, dict):
        return extra
    raise ConfigurationError(
        "The extra of the fallback connection is not a JSON object.",
        hint="Mend or empty it.",
    )


def _check_same(imap: ImapSettings, *, host: str, user: str) -> None:
    if (host.strip().lower(), user.strip()) != (imap.host.lower(), imap.user):
        raise ConfigurationError(
            "The fallback connection is to another host or mailbox.",
            hint=f"It must open {imap.user} at {imap.host}.",
        )
