# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""``airflow imap-oauth revoke``: take access back, there and here."""

from __future__ import annotations

import sys
from typing import Any

from airflow.utils.cli import suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

from airflow_imap_oauth.admin.connections import load
from airflow_imap_oauth.admin.revocation import revoke as revoke_tokens
from airflow_imap_oauth.cli.exit_codes import EXIT_FAILED, exit_codes, fail, told
from airflow_imap_oauth.hooks.mailbox import open_mailbox

_ACCESS_STAYS = (
    "Its application needs no refresh token: to take its access away, delete its secret, "
    "certificate or key at the mail provider, and in the connection ('Client secret', 'Private "
    "key' or 'Service account key' in the form)."
)
_INTERRUPTED = "Stopped; run it again to be sure that no token is left."


@suppress_logs_and_warning
@providers_configuration_loaded
def revoke(args: Any) -> None:
    """Run the command."""
    with exit_codes(args.conn_id, interrupted=_INTERRUPTED):
        _revoke(args.conn_id)


def _revoke(conn_id: str) -> None:
    done = revoke_tokens(open_mailbox(load(conn_id)))
    if done.ending == "none":
        print(f"There was no token to revoke. The connection '{conn_id}' keeps none.")
        return
    print(f"The tokens of connection '{conn_id}' are gone from Airflow.")
    if done.ending == "own":
        print(_ACCESS_STAYS)
    elif done.failure is None:
        print("The mail provider no longer accepts them.")
    elif done.ending == "not_offered":
        print(f"What is left to do: {told(done.failure, conn_id)}", file=sys.stderr)
    else:
        fail(done.failure, conn_id, EXIT_FAILED)
