# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What the page *Mailboxes* shows, as data: settings and token records, no network."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

from airflow.models.connection import Connection
from sqlalchemy import select

from airflow_imap_oauth.exceptions import ImapOAuthError
from airflow_imap_oauth.hooks.config import PackageOptions, read_options
from airflow_imap_oauth.hooks.connection import CONN_TYPE
from airflow_imap_oauth.hooks.mailbox import Mailbox, open_mailbox
from airflow_imap_oauth.hooks.masking import masking_off
from airflow_imap_oauth.hooks.stores import token_store
from airflow_imap_oauth.oauth.expiry import expiry_warning
from airflow_imap_oauth.tokens.manager import utc_now
from airflow_imap_oauth.tokens.preloaded import PreloadedStore
from airflow_imap_oauth.tokens.record import LastError
from airflow_imap_oauth.tokens.state import TokenState
from airflow_imap_oauth.tokens.store import TokenStore

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

#: ``expiring``: it works, but its client's secret, certificate or key ends within 30 days, or has
#: ended.
State = Literal["active", "expiring", "needs_authorization", "misconfigured", "unused"]

#: What each state is called for people.
STATES: dict[State, str] = {
    "active": "active",
    "expiring": "expiring",
    "needs_authorization": "needs authorization",
    "misconfigured": "misconfigured",
    "unused": "not used yet",
}

#: What each grant is called for people.
GRANTS = {
    "user_consent": "a person consents",
    "client_credentials": "the application by itself",
    "service_account": "a service account",
}

_STATES: dict[str, State] = {
    "active": "active",
    "needs_authorization": "needs_authorization",
    "missing": "needs_authorization",
    "unused": "unused",
    "unreadable": "misconfigured",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxRow:
    """
    One mailbox. Instants are in UTC; None: there is none, or it is not known.

    :param mail_provider: The value of ``mail_provider`` in the connection; empty: not known.
    :param label: The mail provider for people.
    :param login: Who consents, or for whom a service account acts.
    :param user: Whose mailbox it is.
    :param grant: How access is granted; empty: not known.
    :param since_at: Since when its authorization holds, or somebody has to authorize.
    :param note: What is wrong, and what to do; empty: nothing.
    """

    conn_id: str
    mail_provider: str = ""
    label: str = ""
    login: str
    user: str
    grant: str = ""
    state: State
    since_at: datetime | None = None
    access_token_expires_at: datetime | None = None
    last_refresh_at: datetime | None = None
    credential_expires_on: date | None = None
    last_error: LastError | None = None
    note: str = ""

    @property
    def account(self) -> str:
        """Who consents, and the mailbox where that is another one."""
        return self.login if self.user == self.login else f"{self.login} for {self.user}"

    @property
    def state_label(self) -> str:
        """What the state is called for people."""
        return STATES[self.state]

    @property
    def grant_label(self) -> str:
        """What the grant is called for people."""
        return GRANTS.get(self.grant, "")

    @property
    def refresh_token_since_at(self) -> datetime | None:
        """Since when the present authorization holds; renewals may have changed the token since."""
        is_held = self.grant == "user_consent" and self.state in ("active", "expiring")
        return self.since_at if is_held else None

    def is_found_by(self, text: str) -> bool:
        """Tell whether a text is part of the id, the account, or the mail provider's name."""
        wanted = text.strip().casefold()
        places = (self.conn_id, self.account, self.label, self.mail_provider)
        return any(wanted in place.casefold() for place in places)


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
    try:
        options = read_options()
        connections = [found for found in stored(session) if found.conn_id in readable]
        store = PreloadedStore(token_store(options), [found.conn_id for found in connections])
    except ImapOAuthError as error:
        return Listing(rows=(), problem=str(error))
    with masking_off():
        return Listing(rows=tuple(_row(found, options, store) for found in connections))


def stored(session: Session, conn_id: str | None = None) -> list[Connection]:
    """
    Return the connections of this type in the database, with their secrets encrypted as they are.

    Airflow decrypts a connection as it is loaded: one that does not decrypt would hide all others,
    and each secret would be masked. So columns are loaded and not objects.
    """
    plain = ("conn_id", "conn_type", "host", "login", "schema", "port")
    ciphers = ("_password", "_extra", "is_encrypted", "is_extra_encrypted")
    names = (*plain, *ciphers)
    query = (
        select(*(getattr(Connection, name) for name in names))
        .where(Connection.conn_type == CONN_TYPE)
        .order_by(Connection.conn_id)
    )
    if conn_id is not None:
        query = query.where(Connection.conn_id == conn_id)
    connections = []
    for values in session.execute(query):
        connection = Connection()
        for name, value in zip(names, values, strict=True):
            setattr(connection, name, value)
        connections.append(connection)
    return connections


def describe(connection: Any, options: PackageOptions) -> MailboxRow:
    """
    Describe one mailbox.

    :param connection: As Airflow has found it, wherever it is defined.
    """
    return _row(connection, options, None)


def _row(connection: Any, options: PackageOptions, store: TokenStore | None) -> MailboxRow:
    try:
        mailbox = open_mailbox(connection, options)
        return _described(mailbox, mailbox.token_manager(store=store).state())
    except ImapOAuthError as error:
        return _misconfigured(connection, error.advice)
    except Exception as error:  # noqa: BLE001  # whatever Airflow raises; its text is not shown
        return _misconfigured(
            connection,
            f"The connection cannot be read ({type(error).__name__}). Check that this API server "
            "has the [core] fernet_key it was saved with.",
        )


def _described(mailbox: Mailbox, state: TokenState) -> MailboxRow:
    oauth = mailbox.settings.oauth
    expiry = expiry_warning(oauth, utc_now().date())
    shown = _STATES[state.status]
    notes = (_note(state), expiry)
    return MailboxRow(
        conn_id=mailbox.settings.conn_id,
        mail_provider=oauth.profile.name,
        label=oauth.profile.label,
        login=oauth.login,
        user=mailbox.settings.imap.user,
        grant=oauth.grant,
        state="expiring" if shown == "active" and expiry else shown,
        since_at=state.since_at,
        access_token_expires_at=state.access_token_expires_at,
        last_refresh_at=state.last_refresh_at,
        credential_expires_on=oauth.credential_expires_on,
        last_error=state.last_error,
        note=" ".join(filter(None, notes)).replace("CONN_ID", mailbox.settings.conn_id),
    )


def _note(state: TokenState) -> str:
    if state.status == "active" and state.last_error is None:
        return ""
    parts = [state.reason or "", state.hint]
    if state.last_error is not None:
        parts += [state.last_error.text, state.last_error.hint]
    return " ".join(dict.fromkeys(part for part in parts if part))


def _misconfigured(connection: Any, note: str) -> MailboxRow:
    login = connection.login or ""
    return MailboxRow(
        conn_id=connection.conn_id, login=login, user=login, state="misconfigured", note=note
    )
