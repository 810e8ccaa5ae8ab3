# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""``airflow imap-oauth refresh``: a fresh access token now, where every task finds it."""

from __future__ import annotations

from typing import Any

from airflow.utils.cli import suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

from airflow_imap_oauth.admin.connections import look_up
from airflow_imap_oauth.cli.exit_codes import EXIT_FAILED, exit_codes, fail, warn
from airflow_imap_oauth.cli.output import instant
from airflow_imap_oauth.exceptions import OAuthError
from airflow_imap_oauth.hooks.mailbox import Mailbox, open_mailbox
from airflow_imap_oauth.oauth.expiry import expiry_warning
from airflow_imap_oauth.tokens.manager import utc_now
from airflow_imap_oauth.tokens.state import TokenState

_INTERRUPTED = "Stopped; if tokens were renewed by then, they are saved."


@suppress_logs_and_warning
@providers_configuration_loaded
def refresh(args: Any) -> None:
    """Run the command."""
    with exit_codes(args.conn_id, interrupted=_INTERRUPTED):
        _refresh(args.conn_id, force=args.force)


def _refresh(conn_id: str, *, force: bool) -> None:
    mailbox = open_mailbox(look_up(conn_id))
    before = mailbox.token_manager().state()
    if force:
        _renew_in_any_case(mailbox, before)
    else:
        mailbox.token_manager().get_access_token()
    after = mailbox.token_manager().state()
    _tell(conn_id, before, after)
    warn(expiry_warning(mailbox.settings.oauth, utc_now().date()))


def _renew_in_any_case(mailbox: Mailbox, before: TokenState) -> None:
    # Not early: whether that fails would not be told, because the living token serves on.
    manager = mailbox.token_manager(renew_early=False)
    token = manager.get_access_token()
    if not _is_renewed(before, manager.state()):
        manager.reject_access_token(token)
        manager.get_access_token()


def _tell(conn_id: str, before: TokenState, after: TokenState) -> None:
    expires_at = after.access_token_expires_at
    until = instant(expires_at) if expires_at else "its first use"
    failure = after.last_error
    if _is_renewed(before, after):
        print(f"Renewed: the access token of connection '{conn_id}' is good until {until}.")
    elif failure is not None and failure != before.last_error:
        error = OAuthError(
            f"The renewal failed; the access token is good until {until}. {failure.text}",
            hint=failure.hint,
            step="token renewal",
        )
        fail(error, conn_id, EXIT_FAILED)
    else:
        print(
            f"Not due: the access token of connection '{conn_id}' is good until {until}. To renew "
            "it all the same, use --force."
        )


def _is_renewed(before: TokenState, after: TokenState) -> bool:
    return after.last_refresh_at is not None and after.last_refresh_at != before.last_refresh_at
