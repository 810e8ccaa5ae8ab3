# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Who may see and do what: Airflow's own permissions on connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_connection
from airflow.configuration import conf
from airflow.models.connection import Connection
from fastapi import Depends, HTTPException, Query

#: Of whoever may look at connections at all.
may_read_connections = Depends(requires_access_connection("GET"))

#: In the query and not in the path: ids of connections may hold "/", "#" and "..".
ConnectionId = Annotated[str, Query(min_length=1, max_length=250)]


def _may(method: Literal["GET", "PUT"], user: Any, connection_id: str) -> bool:
    details = ConnectionDetails(conn_id=connection_id)
    if conf.getboolean("core", "multi_team", fallback=False):
        details.team_name = Connection.get_team_name(connection_id)
    return bool(
        get_auth_manager().is_authorized_connection(method=method, details=details, user=user)
    )


def _permitted(method: Literal["GET", "PUT"]) -> Callable[..., str]:
    # Airflow's own dependency would do, but with teams it wants JSON in the body of a change.
    def check(user: GetUserDep, connection_id: ConnectionId) -> str:
        if not _may(method, user, connection_id):
            raise HTTPException(403, "You may not do that with this connection.")
        return connection_id

    return check


#: The id of a connection that the user may see, from the query.
ReadableConnection = Annotated[str, Depends(_permitted("GET"))]

#: The id of a connection that the user may change, from the query.
EditableConnection = Annotated[str, Depends(_permitted("PUT"))]


def may_edit(user: Any, connection_id: str) -> bool:
    """Tell whether to offer what changes a connection; it is checked again when it is done."""
    return _may("PUT", user, connection_id)
