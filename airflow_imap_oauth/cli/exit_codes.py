# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
How a command ends: one line on standard error, and a code that a script can tell apart.

0 means that the command has done all that it can do. For ``revoke`` that includes a mail provider
which offers no revocation: no repetition would change that, the local copies are gone, and standard
error says what a person does there.

1 means that somebody else said no, or did not answer: the mail provider, the person, a database.
The message says whether to try again. After ``revoke`` the mail provider may still accept the
token.

2 means that something must be put right in this Airflow first: the connection, an option of the
command, a key, the set-up of the database. Nothing was changed, except that ``rotate-keys`` goes on
with the other connections.

``status`` has done its work although something is wrong with a mailbox: then it ends with 1,
whatever that is, and with 2 only if it could not look.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_imap_oauth.cli.labels import legend
from airflow_imap_oauth.exceptions import ConfigurationError, ImapOAuthError, SealingError

EXIT_FAILED = 1
EXIT_CONFIGURATION = 2

_EXIT_2 = (
    "2: something here must be put right first (the connection, an option of this command, the "
    "Fernet key or token_keys, the set-up of Airflow's database); nothing was changed."
)
#: For the help of each command.
LOGIN_CODES = (
    "Exit codes. 0: done. 1: the sign-in was refused or not finished, or a server or database did "
    f"not work; nothing was saved, and the message says whether to try again. {_EXIT_2}"
)
REVOKE_CODES = (
    "Exit codes. 0: no token is left in Airflow, and the mail provider has revoked it, there was "
    "none, or this mail provider offers no revocation; then a line on standard error says what to "
    "do there. 1: the mail provider may still accept the token, because it refused or did not "
    f"answer, or a database did not work; the message says what to do. {_EXIT_2}"
)
ROTATE_CODES = (
    "Exit codes. 0: all that is sealed is sealed with the first key. 1: a database or the token "
    "store did not work for some connection; run the command again. 2: something must be put right "
    "first (a connection, a key); standard error names it. All other connections are done in any "
    "case."
)
STATUS_CODES = (
    "Exit codes. 0: no mailbox needs anybody yet. 1: one needs authorization or is misconfigured, "
    "or a database did not work. 2: one could not be looked at, because there is no connection of "
    "that id or it cannot be read here; or an option, a key or the set-up of Airflow's database is "
    "wrong. All mailboxes that can be looked at are shown in any case."
)
CHECK_CODES = (
    "Exit codes. 0: no step failed. 1: a step failed at a server, or a database did not work. 2: "
    "something must be put right here first: the connection, an option, a key, the set-up of "
    "Airflow's database."
)
REFRESH_CODES = (
    "Exit codes. 0: the access token is good. 1: the mail provider refused, or a server or a "
    "database did not work; the message says whether to try again. 2: something must be put right "
    "here first (the connection, an option, a key, the set-up of Airflow's database)."
)
LIST_CODES = "Exit codes. 0: done. 2: the package that adds a mail provider is broken."


@contextmanager
def exit_codes(conn_id: str, *, interrupted: str) -> Iterator[None]:
    """
    Turn errors into exit codes, without a traceback.

    :param conn_id: The connection that the command is about.
    :param interrupted: What to say to whoever presses Ctrl-C.
    """
    try:
        yield
    except (ConfigurationError, SealingError) as error:
        fail(error, conn_id, EXIT_CONFIGURATION)
    except ImapOAuthError as error:
        fail(error, conn_id, EXIT_FAILED)
    except KeyboardInterrupt:
        print(f"\n{interrupted}", file=sys.stderr)
        raise SystemExit(EXIT_FAILED) from None


def fail(error: ImapOAuthError, conn_id: str, code: int) -> None:
    """Say what failed and end with a code."""
    print(told(error, conn_id), file=sys.stderr)
    raise SystemExit(code) from None


def warn(text: str | None) -> None:
    """Say on standard error what does not end the command; None: nothing."""
    if text:
        print(f"Warning: {with_labels(text)}", file=sys.stderr)


def told(error: ImapOAuthError, conn_id: str) -> str:
    """Return an error as a person at a terminal reads it."""
    return with_labels(str(error.located(conn_id=conn_id)).replace("CONN_ID", conn_id))


def with_labels(text: str) -> str:
    """Add what the form calls the keys that a text names."""
    return f"{text} {legend(text)}".rstrip()
