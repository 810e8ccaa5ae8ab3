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
from airflow_imap_oauth.hooks.fields import MASK
from airflow_imap_oauth.hooks.mailbox import Mailbox, open_mailbox, open_session
from airflow_imap_oauth.hooks.masking import mask
from airflow_imap_oauth.imap.model import ImapSettings
from airflow_imap_oauth.oauth.proxies import checked_proxy_url
from airflow_imap_oauth.tokens.seeds import Seed, TokenSealer

if TYPE_CHECKING:
    from airflow_imap_oauth.imap.model import MailSession

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
    try:
        return open_session(mailbox)
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
        raise _in_vain(fault, error, conn_id, "cannot serve") from None
    Stats.incr("imap_oauth.fallback")
    logger.error(
        "%s Signing in by the fallback connection '%s' instead; mend the first one.", fault, conn_id
    )
    try:
        return sign_in_there()
    except ImapOAuthError as error:
        failure = error.located(conn_id=conn_id, step=_STEP)
    if failure.retry_helps:
        first = f"It was tried because '{fault.conn_id}' had failed: {fault.message}"
        failure.hint = f"{failure.hint} {first}".strip()
        logger.error("The fallback fails, too: %s", failure)
        raise failure
    raise _in_vain(fault, failure, conn_id, "was tried and failed, too")


def _in_vain(
    fault: ImapOAuthError, failure: ImapOAuthError, conn_id: str, outcome: str
) -> ImapOAuthError:
    """Say in the first fault, which counts, that the fallback was of no use."""
    failure.located(conn_id=conn_id, step=_STEP)
    logger.error("The fallback %s: %s", outcome, failure)
    fault.hint = f"{fault.hint} Its fallback '{conn_id}' {outcome}: {failure.message}".strip()
    return fault


def prepared(mailbox: Mailbox, connection: ConnectionLike) -> Callable[[], MailSession]:
    """
    Check a fallback connection without any network.

    :return: Signs in by it.
    :raises ConfigurationError: If it cannot serve as one for this mailbox. A retry cannot help.
    """
    try:
        if connection.conn_type == CONN_TYPE:
            return _by_token(mailbox, open_mailbox(connection, mailbox.options))
        if connection.conn_type == _PASSWORD_TYPE:
            mask(connection.password)
            return _by_password(
                _with_password(mailbox.settings.imap, connection), connection.password or ""
            )
    except ImapOAuthError:
        raise
    except (ArithmeticError, AttributeError, RecursionError, TypeError, ValueError) as error:
        # What secrets backends hand out has any type.
        raise ConfigurationError(
            f"The fallback connection is malformed ({type(error).__name__}).",
            hint="Enter it anew.",
        ) from None
    raise ConfigurationError(
        f"The fallback connection is of type '{connection.conn_type}'.",
        hint=f"It must be of type {CONN_TYPE}, or of Airflow's own type {_PASSWORD_TYPE}.",
    )


def _by_token(mailbox: Mailbox, other: Mailbox) -> Callable[[], MailSession]:
    imap = other.settings.imap
    _check_same(mailbox.settings.imap, host=imap.host, user=imap.user)
    if _credential(mailbox) == _credential(other):
        raise ConfigurationError(
            "The fallback connection signs in by the very same credential.",
            hint="Give it another registration, grant or refresh token, or leave it away.",
        )
    return lambda: open_session(other)


def _credential(mailbox: Mailbox) -> tuple[object, ...]:
    """Return what two connections must not share: one fault would be the fault of both."""
    oauth = mailbox.settings.oauth
    if oauth.grant == "client_credentials":
        oauth = replace(oauth, login="")  # it signs in as nobody
    sealer = TokenSealer(mailbox.sealer, mailbox.binding, conn_id=oauth.conn_id)
    seed = Seed.of(oauth, mailbox.settings.seed, sealer)
    if oauth.grant == "user_consent" and seed.refresh_token is not None:
        # Wherever it is sent: a server that rotates would revoke it for both.
        return (seed.refresh_token,)
    held = seed.refresh_token or mailbox.settings.seed or oauth.conn_id
    return (oauth.grant, oauth.client_id, oauth.endpoints, held)


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

    Nothing but host and mailbox, which are the same, is taken from the first connection: whoever
    may edit that one could else have the password of this one sent to a server of his own. The
    certificate is verified whatever ``ssl_context`` says.
    """
    if not connection.host or not connection.login or not connection.password:
        raise ConfigurationError(
            "The fallback connection lacks host, login or password.",
            hint="Enter them; the login is the address of the same mailbox.",
        )
    if MASK in connection.password:
        raise ConfigurationError(
            "The password of the fallback connection is only Airflow's mask.",
            hint="It was lost when the connection was saved: enter it again.",
        )
    _check_same(imap, host=connection.host, user=connection.login)
    extra = _extra(connection)
    implicit = bool(extra.get("use_ssl", True))
    return ImapSettings(
        conn_id=connection.conn_id,
        host=imap.host,
        port=_port(connection.port) or (993 if implicit else 143),
        user=imap.user,
        tls="implicit" if implicit else "starttls",
        ca_file=_ca_file(extra),
        proxy_url=_proxy_url(extra),
    )


def _port(port: int | None) -> int | None:
    if port is None or 0 <= port <= _MAX_PORT:  # the form sends 0 for an empty port
        return port
    raise ConfigurationError(
        "The port of the fallback connection is out of range.",
        hint=f"Enter a port from 1 to {_MAX_PORT}, mostly 993.",
    )


def _ca_file(extra: dict[str, object]) -> str | None:
    ca_file = extra.get("ca_file") or None
    if ca_file is None or (isinstance(ca_file, str) and ca_file.startswith("/")):
        return ca_file
    raise ConfigurationError(
        "Key 'ca_file' in extra of the fallback connection is not an absolute path.",
        hint="Enter the path of a PEM file that exists on every host, or remove it.",
    )


def _proxy_url(extra: dict[str, object]) -> str | None:
    proxy_url = extra.get("proxy_url") or None
    if proxy_url is None:
        return None
    if not isinstance(proxy_url, str) or MASK in proxy_url:
        raise ConfigurationError(
            "Key 'proxy_url' in extra of the fallback connection is not the URL of a proxy.",
            hint="Enter it again, or remove it.",
        )
    mask(proxy_url)
    checked_proxy_url(proxy_url)
    return proxy_url


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
    if (host.strip().strip("[]").lower(), user.strip()) != (imap.host.lower(), imap.user):
        raise ConfigurationError(
            "The fallback connection is to another host or mailbox.",
            hint=f"It must open {imap.user} at {imap.host}.",
        )
