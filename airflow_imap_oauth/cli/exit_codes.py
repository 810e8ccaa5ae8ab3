# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""How a command ends: one line on standard error, and a code that a script can tell apart."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_imap_oauth.exceptions import ConfigurationError, ImapOAuthError, SealingError

EXIT_FAILED = 1
EXIT_CONFIGURATION = 2


@contextmanager
def exit_codes(conn_id: str) -> Iterator[None]:
    """
    Turn errors into exit codes, without a traceback.

    :param conn_id: The connection that the command is about.
    """
    try:
        yield
    except (ConfigurationError, SealingError) as error:
        fail(error, conn_id, EXIT_CONFIGURATION)
    except ImapOAuthError as error:
        fail(error, conn_id, EXIT_FAILED)
    except KeyboardInterrupt:
        print("\nStopped; nothing was saved.", file=sys.stderr)
        raise SystemExit(EXIT_FAILED) from None


def fail(error: ImapOAuthError, conn_id: str, code: int) -> None:
    """Say what failed and end with a code."""
    print(told(error, conn_id), file=sys.stderr)
    raise SystemExit(code) from None


def told(error: ImapOAuthError, conn_id: str) -> str:
    """Return an error as a person at a terminal reads it."""
    return str(error.located(conn_id=conn_id)).replace("CONN_ID", conn_id)
