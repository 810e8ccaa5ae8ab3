# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""``airflow imap-oauth status``: how mailboxes are, without asking any server."""

from __future__ import annotations

import sys
from typing import Any

from airflow.utils.cli import suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded
from airflow.utils.session import create_session

from airflow_imap_oauth.admin.connections import elsewhere, look_up
from airflow_imap_oauth.admin.database import faults_in_words
from airflow_imap_oauth.admin.mailboxes import MailboxRow, describe, stored
from airflow_imap_oauth.cli.exit_codes import (
    EXIT_CONFIGURATION,
    EXIT_FAILED,
    exit_codes,
    told,
    with_labels,
)
from airflow_imap_oauth.cli.output import Row, is_for_programs, show
from airflow_imap_oauth.exceptions import ConfigurationError, ImapOAuthError
from airflow_imap_oauth.hooks.config import PackageOptions, read_options
from airflow_imap_oauth.hooks.keys import sealer
from airflow_imap_oauth.hooks.masking import masking_off
from airflow_imap_oauth.hooks.stores import token_store

_INTERRUPTED = "Stopped."
_ATTENTION = ("needs_authorization", "misconfigured")


@suppress_logs_and_warning
@providers_configuration_loaded
def status(args: Any) -> None:
    """Run the command."""
    with exit_codes("", interrupted=_INTERRUPTED), masking_off():
        _status(tuple(args.conn_ids), args.output)


def _status(conn_ids: tuple[str, ...], output: str) -> None:
    options = _checked_options()
    wanted = dict.fromkeys(conn_ids) if conn_ids else _all_stored()
    seen = [_looked_at(conn_id, row, options) for conn_id, row in wanted.items()]
    shown = _row if is_for_programs(output) else _short_row
    show([shown(mailbox) for mailbox, _ in seen], output)
    code = max((code for _, code in seen), default=0)
    if code:
        raise SystemExit(code)


def _checked_options() -> PackageOptions:
    """Read the options; what is wrong with them is no fault of each mailbox."""
    options = read_options()
    sealer(options)
    token_store(options)
    return options


def _all_stored() -> dict[str, Any]:
    """Return the connections of the database by id, still encrypted."""
    with faults_in_words(), create_session() as session:
        return {connection.conn_id: connection for connection in stored(session)}


def _looked_at(conn_id: str, row: Any, options: PackageOptions) -> tuple[MailboxRow, int]:
    """Describe one connection, whatever is wrong with it; return what it makes of the exit code."""
    try:
        connection = look_up(conn_id) if row is None else _decrypted(row)
        mailbox = describe(connection, options)
    except ImapOAuthError as error:
        print(told(error, conn_id), file=sys.stderr)
        is_configuration = isinstance(error, ConfigurationError)
        return _unread(conn_id, error), EXIT_CONFIGURATION if is_configuration else EXIT_FAILED
    return mailbox, EXIT_FAILED if mailbox.state in _ATTENTION else 0


def _decrypted(row: Any) -> Any:
    """Return a connection that was read already, or what hides it from tasks."""
    hidden = elsewhere(row.conn_id)
    if hidden is not None:
        return hidden[1]
    with faults_in_words():
        _ = row.password, row.extra
    return row


def _unread(conn_id: str, error: ImapOAuthError) -> MailboxRow:
    return MailboxRow(conn_id=conn_id, login="", user="", state="misconfigured", note=error.advice)


def _row(mailbox: MailboxRow) -> Row:
    failure = mailbox.last_error
    return {
        "conn_id": mailbox.conn_id,
        "mail_provider": mailbox.mail_provider or None,
        "account": mailbox.login or None,
        "mailbox": mailbox.user or None,
        "grant": mailbox.grant or None,
        "state": mailbox.state,
        "since_at": mailbox.since_at,
        "access_token_expires_at": mailbox.access_token_expires_at,
        "last_refresh_at": mailbox.last_refresh_at,
        "last_error": failure.text if failure else None,
        "last_error_hint": failure.hint.replace("CONN_ID", mailbox.conn_id) if failure else None,
        "last_error_at": failure.at if failure else None,
        "credential_expires_on": mailbox.credential_expires_on,
        "note": with_labels(mailbox.note) or None,
    }


def _short_row(mailbox: MailboxRow) -> Row:
    """Leave out what a line of a terminal has no room for; the note tells the error."""
    return {
        "conn_id": mailbox.conn_id,
        "mail_provider": mailbox.mail_provider,
        "account": mailbox.account,
        "grant": mailbox.grant,
        "state": mailbox.state_label,
        "access_token_until": mailbox.access_token_expires_at,
        "last_refresh": mailbox.last_refresh_at,
        "credential_until": mailbox.credential_expires_on,
        "note": with_labels(mailbox.note),
    }
