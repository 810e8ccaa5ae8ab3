# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Read and write connections in Airflow's database.

Nothing is overwritten that somebody else has changed meanwhile: a row is written only if its
ciphertexts are still those that were read. Airflow's encryption never gives the same ciphertext
twice, so they serve as version numbers; row locks would not, because SQLite has none.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow.configuration import ensure_secrets_loaded
from airflow.models.connection import Connection
from airflow.models.crypto import get_fernet
from airflow.models.log import Log
from airflow.secrets.metastore import MetastoreBackend
from airflow.utils.session import create_session
from sqlalchemy import select, update

from airflow_imap_oauth.admin.database import faults_in_words
from airflow_imap_oauth.exceptions import AuthorizationFlowError, ConfigurationError

_MAX_ATTEMPTS = 5
_STEP = "saving the connection"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSecrets:
    """
    What is written into a connection.

    :param password: The sealed refresh token; empty: none; None leaves what is there.
    :param extra: New values by key, sealed; None takes the key away.
    """

    password: str | None = field(default=None, repr=False)
    extra: Mapping[str, str | None] = field(default_factory=dict, repr=False)


def load(conn_id: str) -> Connection:
    """
    Return a connection that is kept in the database, detached.

    :raises ConfigurationError: If there is none, if environment variables or a secrets backend
        define one of that id, which would hide whatever is written, or if it cannot be decrypted.
    """
    _refuse_elsewhere(conn_id)
    return _stored(conn_id)


def look_up(conn_id: str) -> Any:
    """
    Return a connection wherever Airflow finds it for a task, to be read only.

    :raises ConfigurationError: If there is none, or if it cannot be read. A retry cannot help.
    :raises ImapOAuthError: If the database does not work. A retry may help.
    """
    found = elsewhere(conn_id)
    return _stored(conn_id) if found is None else found[1]


def _stored(conn_id: str) -> Connection:
    with faults_in_words():
        # Before anybody signs in: with a malformed key nothing could be saved.
        get_fernet()
        with create_session() as session:
            connection = _find(session, conn_id)
            _ = connection.password, connection.extra  # decrypts them
            session.expunge(connection)
    return connection


def _refuse_elsewhere(conn_id: str) -> None:
    found = elsewhere(conn_id)
    if found is not None:
        name, _ = found
        raise ConfigurationError(
            f"It is defined by {name}, which Airflow cannot write.",
            hint="Keep it in Airflow's database to authorize it here, or put a refresh token "
            "into its password where it is defined.",
        )


def elsewhere(conn_id: str) -> tuple[str, Any] | None:
    """
    Find what hides a connection of the database: environment variables, or a secrets backend.

    :return: Who defines it, and the connection; None where nobody does.
    :raises ConfigurationError: If that cannot be told.
    """
    for backend in ensure_secrets_loaded():
        if isinstance(backend, MetastoreBackend):
            continue
        name = type(backend).__name__
        try:
            found = backend.get_connection(conn_id)
        except Exception as error:  # noqa: BLE001  # of any library, and its text may quote secrets
            raise ConfigurationError(
                f"{name} cannot tell whether it defines this connection ({type(error).__name__}).",
                hint="Check what it holds under this id, and [secrets] backend_kwargs.",
            ) from None
        if found:
            return name, found
    return None


def save(
    conn_id: str,
    decide: Callable[[Connection], NewSecrets],
    *,
    event: str,
    details: dict[str, str],
    owner: str | None = None,
) -> None:
    """
    Write secrets into a connection, together with an audit row.

    :param decide: Is given the row as it is now and returns what to write into it, or raises if
        the row no longer allows it. It is asked again if somebody else wrote the row meanwhile.
    :param event: Of the audit row.
    :param details: For people, without secrets.
    :param owner: Who does it, for the audit row; None: the user of this process.
    :raises AuthorizationFlowError: If the row keeps changing. Start again.
    """
    audit = json.dumps({"connection": conn_id, **details})
    for _ in range(_MAX_ATTEMPTS):
        with faults_in_words(), create_session() as session:
            row = _find(session, conn_id)
            new = decide(row)
            if _written(session, row, new):
                session.add(Log(event=event, owner=owner or _user(), extra=audit))
                return
    raise AuthorizationFlowError(
        "Others kept changing the connection, so nothing was saved.", conn_id=conn_id, step=_STEP
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container, the user may have an id only
        return f"uid {os.getuid()}"


def _find(session: Any, conn_id: str) -> Connection:
    connection = session.scalar(select(Connection).where(Connection.conn_id == conn_id))
    if connection is None:
        raise ConfigurationError(
            "There is no such connection.",
            hint="Add it in Airflow under Admin, Connections, or correct the id.",
            conn_id=conn_id,
        )
    found: Connection = connection
    return found


def _written(session: Any, row: Connection, new: NewSecrets) -> bool:
    cipher = Connection(conn_id=row.conn_id, conn_type=row.conn_type)
    values: dict[Any, Any] = {}
    if new.password is not None:
        cipher.set_password(new.password)
        values[Connection._password] = cipher._password  # noqa: SLF001  # the ciphertext
        values[Connection.is_encrypted] = bool(cipher.is_encrypted)
    if new.extra:
        changed = {**json.loads(row.extra or "{}"), **new.extra}
        extra = {name: value for name, value in changed.items() if value is not None}
        cipher.set_extra(json.dumps(extra))
        values[Connection._extra] = cipher._extra  # noqa: SLF001  # as above
        values[Connection.is_extra_encrypted] = cipher.is_extra_encrypted
    if not values:
        return True
    columns = (
        Connection._password,  # noqa: SLF001  # as above
        Connection._extra,  # noqa: SLF001  # as above
        Connection.conn_type,
        Connection.host,
        Connection.port,
        Connection.login,
    )
    unchanged = (column.is_not_distinct_from(getattr(row, column.key)) for column in columns)
    result = session.execute(
        update(Connection)
        .where(Connection.id == row.id, *unchanged)
        .values(values)
        .execution_options(synchronize_session=False)
    )
    return bool(result.rowcount == 1)
