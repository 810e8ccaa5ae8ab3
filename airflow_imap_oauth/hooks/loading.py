# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Why Airflow does not hand out a connection.

It passes over whatever its secrets backends fail with, and then says that there is none. So the
place where it would be is looked at again; nothing that is found there is shown.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException

from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    ConnectionUnavailableError,
    ImapOAuthError,
)

_ADD = "Add it in Airflow under Admin, Connections, or correct the id."
_KEY_HINT = "Give this process the same [core] fernet_key as Airflow's other components."


def why_unreadable(conn_id: str, error: Exception) -> ImapOAuthError:
    """
    Return the error that says why a connection cannot be had.

    :param error: What Airflow raised instead of handing it out.
    """
    if isinstance(error, PermissionError):
        return ConfigurationError(
            "This task may not read the connection.", hint="Ask an administrator of Airflow."
        )
    if not isinstance(error, AirflowNotFoundException):
        return ConnectionUnavailableError(
            f"Airflow cannot hand out the connection ({type(error).__name__})."
        )
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    if os.environ.get(variable):
        return ConfigurationError(
            f"The environment variable {variable} does not hold a connection that can be read.",
            hint="It has to be a URI, or a JSON object whose host, login and password are texts.",
        )
    runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
    if hasattr(runner, "SUPERVISOR_COMMS"):
        return _why_no_answer(conn_id)
    if os.environ.get("_AIRFLOW_PROCESS_CONTEXT") == "server":
        return _why_not_in_database(conn_id)
    return ConfigurationError(
        "There is no such connection that this process could read.",
        hint="Outside of Airflow's components only connections of environment variables are read.",
    )


def _why_no_answer(conn_id: str) -> ImapOAuthError:
    from airflow.sdk.execution_time import task_runner  # noqa: PLC0415  # task and triggerer only
    from airflow.sdk.execution_time.comms import (  # noqa: PLC0415  # as above
        ErrorResponse,
        GetConnection,
    )

    try:
        answer: Any = task_runner.SUPERVISOR_COMMS.send(GetConnection(conn_id=conn_id))
        kind = answer.error.name if isinstance(answer, ErrorResponse) else "but has it now"
    except Exception as error:  # noqa: BLE001  # of HTTP and IPC, from many libraries
        kind = type(error).__name__
    if kind == "CONNECTION_NOT_FOUND":
        return ConfigurationError(
            "Airflow's API server knows no such connection, or cannot decrypt it.",
            # It says the same of both.
            hint=f"{_ADD} If it is there, the API server needs the [core] fernet_key that it was "
            "encrypted with.",
        )
    return ConnectionUnavailableError(
        f"Airflow's API server did not hand out the connection ({kind})."
    )


def _why_not_in_database(conn_id: str) -> ImapOAuthError:
    from airflow.models.connection import Connection  # noqa: PLC0415  # needs the database
    from airflow.utils.session import create_session  # noqa: PLC0415  # as above
    from cryptography.fernet import InvalidToken  # noqa: PLC0415  # as above
    from sqlalchemy import select  # noqa: PLC0415  # as above
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415  # as above

    # The ciphertexts, and not an object: Airflow decrypts while it loads one.
    cipher = ("_password", "is_encrypted", "_extra", "is_extra_encrypted")
    columns = [getattr(Connection, name) for name in cipher]
    try:
        with create_session() as session:
            found = session.execute(select(*columns).where(Connection.conn_id == conn_id)).first()
        if found is None:
            return ConfigurationError("There is no such connection.", hint=_ADD)
        row = Connection(conn_id=conn_id)
        for name, value in zip(cipher, found, strict=True):
            setattr(row, name, value)
        _ = row.password, row.extra  # decrypts them
    except SQLAlchemyError as error:
        return _database_fault(type(error).__name__)
    except InvalidToken:
        return ConfigurationError(
            "It was encrypted with another Fernet key than the one configured here.", hint=_KEY_HINT
        )
    except (AirflowException, ValueError):
        return _undecipherable()
    return ConnectionUnavailableError("Airflow did not find the connection, although it is there.")


def _undecipherable() -> ConfigurationError:
    """Tell a malformed key, a missing one, and what no key is to blame for."""
    from airflow.models.crypto import get_fernet  # noqa: PLC0415  # needs the database

    try:
        has_key = get_fernet().is_encrypted
    except AirflowException:
        return ConfigurationError(
            "The Fernet key that is configured here is malformed.", hint=_KEY_HINT
        )
    if not has_key:
        return ConfigurationError(
            "It is encrypted, and no Fernet key is configured here.", hint=_KEY_HINT
        )
    return ConfigurationError(
        "Its extra is not a JSON object.", hint="Open it in the form and save it anew."
    )


def _database_fault(name: str) -> ImapOAuthError:
    from airflow import settings  # noqa: PLC0415  # needs the database
    from airflow.models.connection import Connection  # noqa: PLC0415  # as above
    from sqlalchemy import inspect  # noqa: PLC0415  # as above
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415  # as above

    table: Any = Connection.__table__
    try:
        tables = inspect(settings.engine)
        found = {column["name"] for column in tables.get_columns(table.name)}
    except SQLAlchemyError as error:
        if type(error).__name__ != "NoSuchTableError":
            return ConnectionUnavailableError(
                f"Airflow's database cannot be reached ({type(error).__name__})."
            )
        found = set()
    if found >= set(table.columns.keys()):
        return ConnectionUnavailableError(f"Airflow's database failed ({name}).")
    return ConfigurationError(
        "Airflow's database was not set up for this version of Airflow.",
        hint="Run 'airflow db migrate', or correct [database] sql_alchemy_conn here.",
    )
