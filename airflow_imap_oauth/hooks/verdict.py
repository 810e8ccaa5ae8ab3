# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
What testing a connection finds out, in one sentence.

Airflow's Test button runs in the API server, on a copy of the connection under a random id. A
refresh token that the mail provider rotates must not be spent there: its successor could not be
saved for the connection that it belongs to. So the sign-in is tried with the living access token of
the true connection; where there is none, all is tried but the sign-in.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_imap_oauth.connection_form import connection_type
from airflow_imap_oauth.exceptions import ImapOAuthError, ReauthorizationRequiredError
from airflow_imap_oauth.hooks.connection import CONN_TYPE
from airflow_imap_oauth.hooks.mailbox import Mailbox, open_mailbox, open_session
from airflow_imap_oauth.oauth.expiry import expiry_warning
from airflow_imap_oauth.tokens.manager import utc_now
from airflow_imap_oauth.tokens.refreshing import ServerRefresh

if TYPE_CHECKING:
    from airflow_imap_oauth.hooks.connection import ConnectionLike
    from airflow_imap_oauth.tokens.state import TokenState

logger = logging.getLogger(__name__)

#: Airflow's page shows no more.
MAX_CHARACTERS = 150

_GOOD = ("active", "unused")
_ENOUGH = timedelta(minutes=2)


def verdict(conn_id: str, read: Callable[[str], ConnectionLike]) -> tuple[bool, str]:
    """
    Check a connection as far as can be without losing a refresh token.

    :param read: Returns a connection by its id, or raises.
    :return: Whether all is well, and a sentence of at most :data:`MAX_CHARACTERS` characters.
    """
    try:
        return True, _shortened(_check(read(conn_id), read))
    except ImapOAuthError as error:
        return False, _shortened(_with_labels(error.advice))
    except Exception as error:  # noqa: BLE001  # shown to people: it must not be a library's text
        logger.warning("Testing the connection failed: %s", type(error).__name__)
        return False, f"The connection cannot be read ({type(error).__name__})."


def _check(connection: ConnectionLike, read: Callable[[str], ConnectionLike]) -> str:
    mailbox = open_mailbox(connection)
    _check_fallback(mailbox, read)
    if mailbox.settings.oauth.grant != "user_consent":
        open_session(mailbox, _OwnTokens(mailbox)).close()
        return _signed_in(mailbox)
    own = _with_its_own_id(mailbox)
    state = (own or mailbox).token_manager().state()
    if own is not None and _may_sign_in(own, state):
        open_session(own, own.token_manager(renew_early=False)).close()
        return _signed_in(mailbox)
    if state.status not in _GOOD:
        raise ReauthorizationRequiredError(state.reason or "Somebody must authorize.")
    return _all_but_signing_in(mailbox)


def _all_but_signing_in(mailbox: Mailbox) -> str:
    # Imported here: who opens the list of connections does not need an IMAP client.
    from airflow_imap_oauth.imap.session import probe  # noqa: PLC0415

    _reach_authorization_server(mailbox)
    mechanism = probe(mailbox.settings.imap)
    complete = "settings and fallback" if mailbox.settings.fallback_conn_id else "settings"
    return (
        f"Both servers answer ({mechanism}), {complete} are complete; sign-in was not tried: it "
        "would use up the refresh token."
    )


def _check_fallback(mailbox: Mailbox, read: Callable[[str], ConnectionLike]) -> None:
    from airflow_imap_oauth.hooks.fallback import prepared  # noqa: PLC0415  # few have one

    conn_id = mailbox.settings.fallback_conn_id
    if conn_id is None:
        return
    try:
        prepared(mailbox, read(conn_id))
    except ImapOAuthError as error:
        error.message = f"Fallback '{conn_id}': {error.message}"
        raise


def _signed_in(mailbox: Mailbox) -> str:
    imap = mailbox.settings.imap
    warning = expiry_warning(mailbox.settings.oauth, utc_now().date())
    return f"Signed in to {imap.host} as {imap.user}." + (f" But: {warning}" if warning else "")


class _OwnTokens:
    """Access tokens of the client's own grant: any number may be asked for, none is kept."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._request = ServerRefresh(mailbox.settings.oauth)

    def get_access_token(self) -> str:
        """Ask the authorization server."""
        return self._request("").access_token

    def reject_access_token(self, token: str) -> None:
        """Do nothing: the next one is another one."""


def _may_sign_in(mailbox: Mailbox, state: TokenState) -> bool:
    """Tell whether signing in costs no refresh token."""
    if not mailbox.settings.oauth.profile.rotates_refresh_token:
        return True
    expires_at = state.access_token_expires_at
    return state.status == "active" and expires_at is not None and expires_at - utc_now() > _ENOUGH


def _reach_authorization_server(mailbox: Mailbox) -> None:
    from airflow_imap_oauth.oauth import discovery  # noqa: PLC0415  # loads an HTTP client
    from airflow_imap_oauth.oauth.http import Transport  # noqa: PLC0415

    with Transport(mailbox.settings.oauth.transport) as transport:
        discovery.complete(
            mailbox.settings.oauth, transport, "token_url", wanted=("authorize_url",)
        )


def _with_its_own_id(mailbox: Mailbox) -> Mailbox | None:
    """
    Undo Airflow's random id: the record of the tokens stands under the true one.

    :return: None where the true one is not known.
    """
    if os.environ.get("_AIRFLOW_PROCESS_CONTEXT") != "server":
        return mailbox
    conn_id = _stored_id(mailbox)
    if conn_id is None:
        return None
    settings = mailbox.settings
    oauth = replace(settings.oauth, conn_id=conn_id)
    return replace(mailbox, settings=replace(settings, conn_id=conn_id, oauth=oauth))


def _stored_id(mailbox: Mailbox) -> str | None:
    """Return the id of the only stored connection with the same account, secrets and server."""
    from airflow.models.connection import Connection  # noqa: PLC0415  # the API server has it
    from airflow.utils.session import create_session  # noqa: PLC0415
    from sqlalchemy import select  # noqa: PLC0415

    wanted = mailbox.settings
    found: list[str] = []
    with create_session() as session:
        rows: Any = session.scalars(
            select(Connection).where(
                Connection.conn_type == CONN_TYPE, Connection.login == wanted.oauth.login
            )
        )
        for row in rows:
            try:
                stored = open_mailbox(row, mailbox.options)
            except ImapOAuthError:
                continue
            if (stored.binding, stored.settings.seed) == (mailbox.binding, wanted.seed):
                found.append(row.conn_id)
    return found[0] if len(found) == 1 else None


def _with_labels(text: str) -> str:
    """Call the keys of ``extra`` by what the form calls them, where there is one."""
    fields = connection_type()["conn-fields"]

    def label(found: re.Match[str]) -> str:
        key = found[1]
        return f"'{fields[key]['label']}' ({key})" if key in fields else found[0]

    return re.sub(r"[Kk]ey '(\w+)' of extra", label, text)


def _shortened(text: str) -> str:
    """Cut a text at the end of a sentence if one fits, else between two words."""
    if len(text) <= MAX_CHARACTERS:
        return text
    head = text[:MAX_CHARACTERS]
    sentence = head.rfind(". ")
    if sentence > MAX_CHARACTERS // 2:
        return head[: sentence + 1]
    word = head[:-1].rfind(" ")
    return head[: word if word > 0 else MAX_CHARACTERS - 1].rstrip(" ,;:") + "…"
