# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What the page *Mailboxes* shows, as data: settings and token records, no network."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Literal

from airflow.models.connection import Connection
from sqlalchemy import select

from airflow_imap_oauth.exceptions import ImapOAuthError
from airflow_imap_oauth.hooks.config import PackageOptions, read_options
from airflow_imap_oauth.hooks.connection import CONN_TYPE
from airflow_imap_oauth.hooks.mailbox import Mailbox, open_mailbox
from airflow_imap_oauth.oauth.expiry import expiry_warning
from airflow_imap_oauth.tokens.state import TokenState

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

State = Literal["active", "needs authorization", "misconfigured", "not used yet"]

_STATES: dict[str, State] = {
    "active": "active",
    "needs_authorization": "needs authorization",
    "missing": "needs authorization",
    "unused": "not used yet",
    "unreadable": "misconfigured",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxRow:
    """
    One mailbox.

    :param mail_provider: For people; empty where the connection does not say.
    :param account: Who consents, and the mailbox where that is another one.
    :param note: What is wrong, or the last error, and what to do; empty: nothing.
    """

    conn_id: str
    mail_provider: str
    account: str
    state: State
    access_token_expires_at: datetime | None = None
    last_refresh_at: datetime | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """
    All mailboxes that a user may see, by connection id.

    :param problem: What keeps the page from telling their states; empty: nothing.
    """

    rows: tuple[MailboxRow, ...]
    problem: str = ""


def list_mailboxes(session: Session, readable: Collection[str]) -> Listing:
    """
    Describe the connections of type ``imap_oauth``.

    :param readable: The ids of the connections that the user may read.
    """
    # Not whole rows: Airflow decrypts a connection as it is loaded, and one that does not decrypt
    # must not hide all others.
    found = session.execute(
        select(Connection.conn_id, Connection.login)
        .where(Connection.conn_type == CONN_TYPE)
        .order_by(Connection.conn_id)
    ).all()
    try:
        options = read_options()
    except ImapOAuthError as error:
        return Listing(rows=(), problem=str(error))
    rows = (
        _row(session, conn_id, login or "", options)
        for conn_id, login in found
        if conn_id in readable
    )
    return Listing(rows=tuple(rows))


def _row(session: Session, conn_id: str, login: str, options: PackageOptions) -> MailboxRow:
    try:
        query = select(Connection).where(Connection.conn_id == conn_id)
        mailbox = open_mailbox(session.scalars(query).one(), options)
        return _described(mailbox, mailbox.token_manager().state())
    except ImapOAuthError as error:
        return _misconfigured(conn_id, login, error.advice)
    except Exception as error:  # noqa: BLE001  # whatever Airflow raises; its text is not shown
        return _misconfigured(
            conn_id,
            login,
            f"The connection cannot be read ({type(error).__name__}). Check that this API server "
            "has the [core] fernet_key it was saved with.",
        )


def _described(mailbox: Mailbox, state: TokenState) -> MailboxRow:
    login, user = mailbox.settings.oauth.login, mailbox.settings.imap.user
    return MailboxRow(
        conn_id=mailbox.settings.conn_id,
        mail_provider=mailbox.settings.oauth.profile.label,
        account=login if user == login else f"{login} for {user}",
        state=_STATES[state.status],
        access_token_expires_at=state.access_token_expires_at,
        last_refresh_at=state.last_refresh_at,
        note=" ".join(filter(None, (_note(state), _expiry(mailbox)))),
    )


def _expiry(mailbox: Mailbox) -> str | None:
    return expiry_warning(mailbox.settings.oauth, datetime.now(timezone.utc).date())


def _note(state: TokenState) -> str:
    if state.status == "active" and state.last_error is None:
        return ""
    parts = [state.reason or ""]
    if state.last_error is not None:
        parts += [state.last_error.text, state.last_error.hint]
    return " ".join(dict.fromkeys(part for part in parts if part))


def _misconfigured(conn_id: str, login: str, note: str) -> MailboxRow:
    return MailboxRow(
        conn_id=conn_id, mail_provider="", account=login, state="misconfigured", note=note
    )
