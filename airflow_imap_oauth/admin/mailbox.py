# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""One mailbox in full, wherever its connection is defined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow.utils.session import create_session

from airflow_imap_oauth.admin.connections import elsewhere, load
from airflow_imap_oauth.admin.database import faults_in_words
from airflow_imap_oauth.admin.mailboxes import MailboxRow, describe, stored
from airflow_imap_oauth.exceptions import ImapOAuthError
from airflow_imap_oauth.hooks.config import read_options
from airflow_imap_oauth.hooks.connection import CONN_TYPE, ConnectionLike
from airflow_imap_oauth.hooks.keys import plain_secrets
from airflow_imap_oauth.hooks.mailbox import Mailbox, open_mailbox
from airflow_imap_oauth.hooks.masking import masking_off
from airflow_imap_oauth.tokens.sealing import is_sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """
    A connection of this type.

    :param connection: What is encrypted in it may not decrypt here.
    :param defined_by: What hides Airflow's database, by its class; empty: nothing does.
    """

    connection: Any
    defined_by: str

    def for_use(self) -> ConnectionLike:
        """
        Return the connection, decrypted.

        :raises ConfigurationError: If it does not decrypt here. A retry cannot help.
        """
        if self.defined_by:
            elsewhere_defined: ConnectionLike = self.connection
            return elsewhere_defined
        conn_id = self.connection.conn_id
        try:
            return load(conn_id)
        except ImapOAuthError as error:
            raise error.located(conn_id=conn_id) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxDetails:
    """
    One mailbox. Where its settings are wrong, little more than the row is known.

    :param settings: For people: what, and its value; no secrets.
    :param wanted_scopes: What its tokens need.
    :param granted_scopes: What they have; empty: not known.
    :param account: Whose tokens they are, by claim.
    :param plain: Which secrets stand in the connection as somebody typed them.
    :param end_hint: Why the mail provider's refresh tokens end; empty: there are none.
    """

    row: MailboxRow
    defined_by: str
    settings: tuple[tuple[str, str], ...] = ()
    wanted_scopes: tuple[str, ...] = ()
    granted_scopes: tuple[str, ...] = ()
    account: Mapping[str, str] = field(default_factory=dict)
    plain: tuple[str, ...] = ()
    end_hint: str = ""


def find(conn_id: str) -> Found | None:
    """
    Look a connection up as Airflow does: environment and secrets backends, then the database.

    :return: None where there is none, or one of another type.
    :raises ConfigurationError: If a secrets backend cannot tell.
    :raises ImapOAuthError: If the database does not work. A retry may help.
    """
    hidden = elsewhere(conn_id)
    if hidden is not None:
        name, connection = hidden
        is_mailbox = connection.conn_type == CONN_TYPE
        return Found(connection=connection, defined_by=name) if is_mailbox else None
    with faults_in_words(), create_session() as session:
        rows = stored(session, conn_id)
    return Found(connection=rows[0], defined_by="") if rows else None


def details(found: Found) -> MailboxDetails:
    """
    Describe a mailbox. No server is asked.

    :raises ConfigurationError: If an option is wrong. A retry cannot help.
    """
    options = read_options()
    with masking_off():
        row = describe(found.connection, options)
        try:
            return _known(found, row, open_mailbox(found.connection, options))
        except Exception:  # noqa: BLE001  # the row says what is wrong
            return MailboxDetails(row=row, defined_by=found.defined_by)


def _known(found: Found, row: MailboxRow, mailbox: Mailbox) -> MailboxDetails:
    oauth = mailbox.settings.oauth
    consents = oauth.grant == "user_consent"
    state = mailbox.token_manager().state()
    return MailboxDetails(
        row=row,
        defined_by=found.defined_by,
        settings=tuple((what, value) for what, value in _settings(mailbox) if value),
        wanted_scopes=oauth.scopes,
        granted_scopes=state.scopes,
        account=state.account or {},
        plain=_plain(found.connection, mailbox),
        end_hint=oauth.profile.dead_refresh_token_hint if consents else "",
    )


def _settings(mailbox: Mailbox) -> list[tuple[str, str]]:
    oauth, imap = mailbox.settings.oauth, mailbox.settings.imap
    return [
        ("Mail server", f"{imap.host}:{imap.port}, TLS {imap.tls}"),
        ("Sign-in mechanism", imap.sasl_mechanism or "the best that the server offers"),
        ("Client ID", oauth.client_id),
        ("Client authentication", oauth.client_auth_method),
        ("Tenant", oauth.tenant_id or ""),
        ("Issuer", oauth.endpoints.issuer or ""),
        ("Token endpoint", oauth.endpoints.token_url or ""),
        ("Proxy", "yes" if imap.proxy_url else ""),
        ("Fallback connection", mailbox.settings.fallback_conn_id or ""),
        ("Token store", mailbox.options.token_store),
    ]


def _plain(connection: Any, mailbox: Mailbox) -> tuple[str, ...]:
    seed = mailbox.settings.seed
    has_seed = mailbox.settings.oauth.grant == "user_consent" and seed and not is_sealed(seed)
    secrets = plain_secrets(connection.extra)
    return ("refresh token", *secrets) if has_seed else secrets
