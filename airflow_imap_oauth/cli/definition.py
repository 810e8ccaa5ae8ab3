# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The commands of ``airflow imap-oauth``, as Airflow's own command line wants them described.

Airflow imports this module on every call of ``airflow``: it stays light, and the commands
themselves are loaded when they run.
"""

from __future__ import annotations

from airflow.cli.cli_config import (
    ARG_VERBOSE,
    ActionCommand,
    Arg,
    CLICommand,
    GroupCommand,
    lazy_load_command,
)

_CONN_ID = Arg(  # type: ignore[no-untyped-call]
    ("conn_id",), help="The id of an imap_oauth connection."
)
_NO_BROWSER = Arg(  # type: ignore[no-untyped-call]
    ("--no-browser",),
    action="store_true",
    help="Open no browser and listen on no port: print the address to open anywhere, and read "
    "the address that the browser shows after the sign-in.",
)
_DEVICE = Arg(  # type: ignore[no-untyped-call]
    ("--device",),
    action="store_true",
    help="Print a short code to enter in a browser on any device, and wait for it; for mail "
    "providers that offer it.",
)
_OTHER_ACCOUNT = Arg(  # type: ignore[no-untyped-call]
    ("--other-account",),
    action="store_true",
    help="Accept another account than the one that authorized this connection before.",
)
_REDIRECT_PORT = Arg(  # type: ignore[no-untyped-call]
    ("--redirect-port",),
    type=int,
    default=0,
    metavar="PORT",
    help="The port of the redirect URI on this machine, where the registration at the mail "
    "provider names one. 0, the default, takes any free port.",
)


def get_cli_commands() -> list[CLICommand]:
    """Return the group ``imap-oauth``."""
    return [
        GroupCommand(
            name="imap-oauth",
            help="Mailboxes that demand OAuth 2.0",
            subcommands=(
                ActionCommand(
                    name="login",
                    help="Sign in to a mailbox and consent",
                    description="Sign in to the mailbox of a connection in the browser, and keep "
                    "the refresh token, sealed, as the connection's password. Exit codes: 0 done; "
                    "1 it failed; 2 connection, options or sealing keys are wrong.",
                    func=lazy_load_command("airflow_imap_oauth.cli.login.login"),
                    args=(
                        *(_CONN_ID, _NO_BROWSER, _DEVICE, _REDIRECT_PORT, _OTHER_ACCOUNT),
                        ARG_VERBOSE,
                    ),
                ),
                ActionCommand(
                    name="revoke",
                    help="Take access to a mailbox back",
                    description="Revoke the refresh token of a connection at the mail provider, "
                    "where that is possible, and delete it from Airflow in any case. Exit codes: 0 "
                    "done; 1 the mail provider may still accept it; 2 connection, options or "
                    "sealing keys are wrong.",
                    func=lazy_load_command("airflow_imap_oauth.cli.revoke.revoke"),
                    args=(_CONN_ID, ARG_VERBOSE),
                ),
            ),
        )
    ]
