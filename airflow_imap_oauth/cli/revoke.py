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
from airflow_imap_oauth.oauth.mail_provider import MailProviderProfile
from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.tokens.refreshing import ServerRevocation

_EVENT = "imap_oauth.revoked"
_INTERRUPTED = "Stopped; run it again to be sure that no token is left."


class _Revocation:
    """Asks the authorization server, and remembers whether there was anything to ask for."""

    def __init__(self, settings: OAuthSettings) -> None:
        self._revoke = ServerRevocation(settings)
        self.asked = False

    def __call__(self, refresh_token: str) -> None:
        self.asked = True
        self._revoke(refresh_token)


@suppress_logs_and_warning
@providers_configuration_loaded
def revoke(args: Any) -> None:
    """Run the command."""
    with exit_codes(args.conn_id, interrupted=_INTERRUPTED):
        _revoke(args.conn_id)


def _revoke(conn_id: str) -> None:
    mailbox = open_mailbox(load(conn_id))
    oauth = mailbox.settings.oauth
    revocation = _Revocation(oauth)
    failure = mailbox.token_manager().forget(revocation)
    save(
        conn_id,
        _without_tokens,
        event=_EVENT,
        details={"mail_provider": oauth.profile.name, "login": oauth.login},
    )
    if oauth.grant != "user_consent":
        _say_that_access_stays(conn_id)
    elif failure is None and not revocation.asked:
        print(f"There was no token to revoke. The connection '{conn_id}' keeps none.")
    else:
        print(f"The tokens of connection '{conn_id}' are gone from Airflow.")
        _say_how_it_ended(failure, conn_id, oauth.profile)


def _say_that_access_stays(conn_id: str) -> None:
    print(f"The tokens of connection '{conn_id}' are gone from Airflow.")
    print(
        "Its application needs no refresh token: to take its access away, delete its secret, "
        "certificate or key at the mail provider, and in the connection ('Client secret', 'Private "
        "key' or 'Service account key' in the form)."
    )


def _say_how_it_ended(
    failure: ImapOAuthError | None, conn_id: str, profile: MailProviderProfile
) -> None:
    if failure is None:
        print("The mail provider no longer accepts them.")
    elif isinstance(failure, ConfigurationError) and failure.hint == profile.no_revocation_hint:
        # Only where the mail provider offers none: with other settings amiss it was not asked.
        print(f"What is left to do: {told(failure, conn_id)}", file=sys.stderr)
    else:
        failure.hint = (
            f"The mail provider may still accept the refresh token. {profile.no_revocation_hint}"
        )
        fail(failure, conn_id, EXIT_FAILED)


def _without_tokens(row: Any) -> NewSecrets:
    held = json.loads(row.extra or "{}")
    return NewSecrets(
        password="", extra={"refresh_token": None} if held.get("refresh_token") else {}
    )
