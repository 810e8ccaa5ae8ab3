# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""``airflow imap-oauth revoke``: take access back, there and here."""

from __future__ import annotations

import json
import sys
from typing import Any

from airflow.utils.cli import suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

from airflow_imap_oauth.cli.connections import NewSecrets, load, save
from airflow_imap_oauth.cli.exit_codes import EXIT_FAILED, exit_codes, fail, told
from airflow_imap_oauth.exceptions import ConfigurationError, ImapOAuthError
from airflow_imap_oauth.hooks.mailbox import open_mailbox
from airflow_imap_oauth.tokens.refreshing import ServerRevocation

_EVENT = "imap_oauth.revoked"


@suppress_logs_and_warning
@providers_configuration_loaded
def revoke(args: Any) -> None:
    """Run the command."""
    with exit_codes(args.conn_id):
        _revoke(args.conn_id)


def _revoke(conn_id: str) -> None:
    mailbox = open_mailbox(load(conn_id))
    oauth = mailbox.settings.oauth
    failure = mailbox.token_manager().forget(ServerRevocation(oauth))
    save(
        conn_id,
        _without_tokens,
        event=_EVENT,
        details={"mail_provider": oauth.profile.name, "login": oauth.login},
    )
    print(f"The tokens of connection '{conn_id}' are gone from Airflow.")
    if oauth.grant != "user_consent":
        print(
            "Its application needs no refresh token: to take its access away, delete its secret, "
            "certificate or key at the mail provider, and in the connection."
        )
    elif failure is None:
        print("The mail provider no longer accepts them.")
    elif isinstance(failure, ConfigurationError):
        print(f"What is left to do: {told(failure, conn_id)}", file=sys.stderr)
    else:
        _not_revoked(failure, conn_id, oauth.profile.no_revocation_hint)


def _not_revoked(failure: ImapOAuthError, conn_id: str, instead: str) -> None:
    failure.hint = f"The mail provider may still accept the refresh token. {instead}"
    fail(failure, conn_id, EXIT_FAILED)


def _without_tokens(row: Any) -> NewSecrets:
    held = json.loads(row.extra or "{}")
    return NewSecrets(
        password="", extra={"refresh_token": None} if held.get("refresh_token") else {}
    )
