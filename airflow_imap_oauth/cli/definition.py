# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The commands of ``airflow imap-oauth``, as Airflow's own command line wants them described.

Airflow imports this module on every call of ``airflow``: it stays light, and the commands
themselves are loaded when they run.
"""

from __future__ import annotations

from airflow.cli.cli_config import (
    ARG_OUTPUT,
    ARG_VERBOSE,
    ActionCommand,
    Arg,
    CLICommand,
    GroupCommand,
    lazy_load_command,
)

from airflow_imap_oauth.cli.exit_codes import (
    CHECK_CODES,
    LIST_CODES,
    LOGIN_CODES,
    REFRESH_CODES,
    REVOKE_CODES,
    ROTATE_CODES,
    STATUS_CODES,
)

_CONN_ID = Arg(  # type: ignore[no-untyped-call]
    ("conn_id",),
    help="The id of a connection of type IMAP (OAuth 2.0) that Airflow's database holds.",
)
_NO_BROWSER = Arg(  # type: ignore[no-untyped-call]
    ("--no-browser",),
    action="store_true",
    help="For a machine without a browser: print an address to open anywhere, then read from the "
    "terminal the address at which that browser ends. Opens no browser, listens on no port.",
)
_DEVICE = Arg(  # type: ignore[no-untyped-call]
    ("--device",),
    action="store_true",
    help="Print a short code to enter in a browser on any device, and wait until that was done. "
    "Microsoft, Yandex and custom servers may offer it. Not together with --no-browser or "
    "--redirect-port.",
)
_OTHER_ACCOUNT = Arg(  # type: ignore[no-untyped-call]
    ("--other-account",),
    action="store_true",
    help="Accept that another account signs in than the one that authorized this connection "
    "before. Without it, that is refused.",
)
_REDIRECT_PORT = Arg(  # type: ignore[no-untyped-call]
    ("--redirect-port",),
    type=int,
    default=0,
    metavar="PORT",
    help="The port in the redirect URI, where the registration at the mail provider names a fixed "
    "one. The command listens there, but for --no-browser. 0, the default, takes any free port.",
)
_CONN_IDS = Arg(  # type: ignore[no-untyped-call]
    ("conn_ids",),
    nargs="*",
    metavar="CONN_ID",
    help="Only these connections. Without any: all connections of type IMAP (OAuth 2.0) that "
    "Airflow's database holds.",
)
_DRY_RUN = Arg(  # type: ignore[no-untyped-call]
    ("--dry-run",),
    action="store_true",
    help="Change nothing, and print what would be sealed anew.",
)
_ANY_CONN_ID = Arg(  # type: ignore[no-untyped-call]
    ("conn_id",),
    help="The id of a connection of type IMAP (OAuth 2.0), wherever it is defined.",
)
_STATUS_CONN_IDS = Arg(  # type: ignore[no-untyped-call]
    ("conn_ids",),
    nargs="*",
    metavar="CONN_ID",
    help="Only these connections, wherever they are defined. Without any: all connections of type "
    "IMAP (OAuth 2.0) that Airflow's database holds.",
)
_FORCE = Arg(  # type: ignore[no-untyped-call]
    ("--force",),
    action="store_true",
    help="Renew an access token that is good for long, too.",
)

#: What looks at mailboxes and keeps them going; no person signs in.
_OPERATION = (
    ActionCommand(
        name="status",
        help="Show the state of mailboxes",
        description="Show state, tokens and last error of mailboxes: what the connections say, and "
        "what the last renewals left in the token store. No authorization server and no mail "
        f"server is asked. {STATUS_CODES}",
        func=lazy_load_command("airflow_imap_oauth.cli.status.status"),
        args=(_STATUS_CONN_IDS, ARG_OUTPUT, ARG_VERBOSE),
    ),
    ActionCommand(
        name="check",
        help="Check a connection step by step",
        description="Check a connection from its settings to its mail folder INBOX, as a task "
        "would use it: a due access token is renewed, and kept. Mail is not touched. "
        f"{CHECK_CODES}",
        func=lazy_load_command("airflow_imap_oauth.cli.check.check"),
        args=(_ANY_CONN_ID, ARG_OUTPUT, ARG_VERBOSE),
    ),
    ActionCommand(
        name="refresh",
        help="Renew the access token of a connection",
        description="Renew the access token of a connection now if that is due, and say until when "
        f"it is good. {REFRESH_CODES}",
        func=lazy_load_command("airflow_imap_oauth.cli.refresh.refresh"),
        args=(_ANY_CONN_ID, _FORCE, ARG_VERBOSE),
    ),
    ActionCommand(
        name="list-mail-providers",
        help="List the mail providers that a connection can name",
        description="List the mail providers: those of this package, and those that others add. "
        "What depends on the authorization server, as with custom, is left empty (null in JSON). "
        f"{LIST_CODES}",
        func=lazy_load_command("airflow_imap_oauth.cli.list_mail_providers.list_mail_providers"),
        args=(ARG_OUTPUT, ARG_VERBOSE),
    ),
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
                    "the refresh token, sealed, in the connection: as its password, which the form "
                    "calls 'Refresh token'. Where an application or a service account signs in by "
                    "itself nobody is asked: its secret is tried once, and sealed. All options but "
                    f"--verbose are refused then. {LOGIN_CODES}",
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
                    "where that is possible, and delete it from Airflow whatever the mail provider "
                    f"answers. {REVOKE_CODES}",
                    func=lazy_load_command("airflow_imap_oauth.cli.revoke.revoke"),
                    args=(_CONN_ID, ARG_VERBOSE),
                ),
                ActionCommand(
                    name="rotate-keys",
                    help="Seal secrets anew, so that an old key can be removed",
                    description="Seal with the first of the option token_keys, or of Airflow's "
                    "Fernet keys, what another of them has sealed: secrets in connections, and "
                    "tokens in the token store. Plain secrets stay plain, but are named. "
                    "Connections that environment variables or a secrets backend define are not in "
                    "Airflow's database: give their ids, and their tokens in the store are sealed "
                    f"anew; what they hold themselves only you can change. {ROTATE_CODES}",
                    func=lazy_load_command("airflow_imap_oauth.cli.rotate_keys.rotate_keys"),
                    args=(_CONN_IDS, _DRY_RUN, ARG_VERBOSE),
                ),
                *_OPERATION,
            ),
        )
    ]
