# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""``airflow imap-oauth rotate-keys``: seal anew with the first key, so that another can go."""

from __future__ import annotations

import sys
from typing import Any

from airflow.utils.cli import suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

from airflow_imap_oauth.admin.key_rotation import Rotation, first_key_id, mailbox_ids, rotate
from airflow_imap_oauth.cli.exit_codes import (
    EXIT_CONFIGURATION,
    EXIT_FAILED,
    exit_codes,
    told,
)
from airflow_imap_oauth.exceptions import ConfigurationError, ImapOAuthError, SealingError
from airflow_imap_oauth.hooks.config import read_options

_INTERRUPTED = "Stopped; run it again for the rest."


@suppress_logs_and_warning
@providers_configuration_loaded
def rotate_keys(args: Any) -> None:
    """Run the command."""
    with exit_codes("", interrupted=_INTERRUPTED):
        _rotate_keys(tuple(dict.fromkeys(args.conn_ids)), dry_run=args.dry_run)


def _rotate_keys(conn_ids: tuple[str, ...], *, dry_run: bool) -> None:
    key_id = first_key_id(read_options())
    conn_ids = conn_ids or mailbox_ids()
    codes = [_rotated(conn_id, dry_run=dry_run) for conn_id in conn_ids]
    if any(codes):
        failed = len([code for code in codes if code])
        print(f"{failed} of {len(codes)} connections are not done: keep the keys.", file=sys.stderr)
        raise SystemExit(max(codes))
    if not conn_ids:
        print("Airflow's database holds no connection of type IMAP (OAuth 2.0).")
    elif not dry_run:
        print(
            f"What is sealed for them is sealed with key {key_id}. Another key can go once no other"
            " connection needs it, also outside of Airflow's database, and no other host."
        )


def _rotated(conn_id: str, *, dry_run: bool) -> int:
    """Do one connection, whatever becomes of the others; return what it makes of the exit code."""
    try:
        print(_line(conn_id, rotate(conn_id, dry_run=dry_run), dry_run=dry_run), flush=True)
    except (ConfigurationError, SealingError) as error:
        print(told(error, conn_id), file=sys.stderr)
        return EXIT_CONFIGURATION
    except ImapOAuthError as error:
        print(told(error, conn_id), file=sys.stderr)
        return EXIT_FAILED
    return 0


def _line(conn_id: str, rotation: Rotation, *, dry_run: bool) -> str:
    line = f"{conn_id}: nothing to seal anew"
    if rotation.resealed:
        verb = "would be sealed anew" if dry_run else "sealed anew"
        line = f"{conn_id}: {verb}: {', '.join(rotation.resealed)}"
    if rotation.plain:
        line += (
            f"; plain: {', '.join(rotation.plain)}; to seal it: airflow imap-oauth login {conn_id}"
        )
    return line
