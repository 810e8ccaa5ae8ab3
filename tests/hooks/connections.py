# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Connections for tests: in the environment, and in Airflow's database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.servers.authorization.dialects import IMAP_SCOPE

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer


def custom(server: AuthorizationServer, **changes: Any) -> dict[str, Any]:
    """Return the extra of a connection to the confidential client of the test server."""
    return {
        "mail_provider": "custom",
        "client_id": server.client_id,
        "client_secret": server.client_secret,
        "issuer": server.issuer,
        "scopes": IMAP_SCOPE,
        "ca_file": str(server.ca_file),
        **changes,
    }


def environment(conn_id: str, **fields: Any) -> tuple[str, str]:
    """Return name and value of the environment variable that defines a connection."""
    values = {"conn_type": "imap_oauth", **fields}
    return f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(values)


def add(conn_id: str, *, extra: dict[str, Any] | None = None, **fields: Any) -> None:
    """Add a connection to Airflow's database, in place of one that may be there."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    remove(conn_id)
    values = {"conn_type": "imap_oauth", "host": "localhost", **fields}
    with create_session() as session:
        session.add(Connection(conn_id=conn_id, extra=json.dumps(extra or {}), **values))


def remove(conn_id: str) -> None:
    """Remove a connection, if it is there."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(Connection).where(Connection.conn_id == conn_id))


def change(conn_id: str, *, extra: dict[str, Any] | None = None, **fields: Any) -> None:
    """Change a connection in the database, as somebody in the form would."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        row = session.scalars(select(Connection).where(Connection.conn_id == conn_id)).one()
        for name, value in fields.items():
            setattr(row, name, value)
        if extra is not None:
            row.set_extra(json.dumps({**json.loads(row.extra or "{}"), **extra}))


def stored(conn_id: str) -> tuple[str | None, dict[str, Any]]:
    """Return password and extra of a connection as they stand in the database, decrypted."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        row = session.scalars(select(Connection).where(Connection.conn_id == conn_id)).one()
        return row.password, json.loads(row.extra or "{}")


def everything_in_the_database() -> str:
    """Return all that Airflow's database holds, with its own encryption taken off."""
    from airflow.models.connection import Connection
    from airflow.models.log import Log
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        parts: list[str | None] = []
        for row in session.scalars(select(Connection)):
            parts += [row.password, row.extra]
        parts += [row.get_val() for row in session.scalars(select(Variable))]
        parts += [row.extra for row in session.scalars(select(Log))]
    return "\n".join(part for part in parts if part)
