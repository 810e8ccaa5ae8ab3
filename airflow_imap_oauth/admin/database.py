# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
What is wrong with Airflow's database or its Fernet key, in words.

The exceptions of SQLAlchemy quote statements and their parameters, and those of Airflow say nothing
of where a key is configured. So neither is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow import settings
from airflow.models.connection import Connection
from airflow.models.crypto import get_fernet
from airflow.models.log import Log
from airflow.models.variable import Variable
from airflow.sdk.exceptions import AirflowException
from cryptography.fernet import InvalidToken
from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError

from airflow_imap_oauth.exceptions import ConfigurationError, ImapOAuthError

_KEY_HINT = (
    "Run the command with the configuration of Airflow's other components: the same [core]"
    " fernet_key, or AIRFLOW__CORE__FERNET_KEY."
)
_TABLES = (Connection, Variable, Log)


@contextmanager
def faults_in_words() -> Iterator[None]:
    """
    Turn the faults of reading and writing connections into errors of this package.

    :raises ConfigurationError: If the Fernet key is missing, malformed or another one, if
        ``extra`` is no JSON object, or if the database was not migrated.
    :raises ImapOAuthError: If the database does not work otherwise. A retry may help.
    """
    try:
        yield
    except SQLAlchemyError as error:
        raise _database_fault(error) from None
    except InvalidToken:
        raise ConfigurationError(
            "It was encrypted with another Fernet key than the one configured here.", hint=_KEY_HINT
        ) from None
    except ImapOAuthError:
        raise
    except (AirflowException, ValueError):
        raise _undecipherable() from None


def _undecipherable() -> ConfigurationError:
    """Tell a malformed key, a missing one, and what no key is to blame for."""
    try:
        has_key = get_fernet().is_encrypted
    except AirflowException:
        return ConfigurationError(
            "The Fernet key that is configured here is malformed.",
            hint=f"It is 32 bytes as URL-safe base64. {_KEY_HINT}",
        )
    if not has_key:
        return ConfigurationError(
            "It is encrypted, and no Fernet key is configured here.", hint=_KEY_HINT
        )
    return ConfigurationError(
        "Its extra is not a JSON object.", hint="Open it in the form and save it anew."
    )


def _database_fault(error: SQLAlchemyError) -> ImapOAuthError:
    name = type(error).__name__
    try:
        migrated = _is_migrated()
    except SQLAlchemyError:
        return ImapOAuthError(
            f"Airflow's database cannot be reached ({name}).",
            hint="Check that it runs, and [database] sql_alchemy_conn; 'airflow db check' tries it"
            " again.",
        )
    if migrated:
        return ImapOAuthError(
            f"Airflow's database failed ({name}).",
            hint="Run the command again; if it fails again, see the log of the database.",
        )
    return ConfigurationError(
        "Airflow's database was not set up for this version of Airflow.",
        hint="Run 'airflow db migrate'; or, if Airflow works elsewhere, run this command with its"
        " AIRFLOW_HOME and [database] sql_alchemy_conn.",
    )


def _is_migrated() -> bool:
    """Tell whether the tables that commands use have the columns that this Airflow expects."""
    found = inspect(settings.engine)
    return all(
        found.has_table(table.__tablename__)
        and {column["name"] for column in found.get_columns(table.__tablename__)}
        >= set(table.__table__.columns.keys())
        for table in _TABLES
    )
