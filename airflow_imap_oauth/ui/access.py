# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Who may see and do what: Airflow's own permissions on connections."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_connection
from fastapi import Depends, Query, Request

#: Of whoever may look at connections at all.
may_read_connections = Depends(requires_access_connection("GET"))

#: In the query and not in the path: ids of connections may hold "/", "#" and "..".
ConnectionId = Annotated[str, Query(min_length=1, max_length=250)]


def _permitted(method: Any) -> Callable[..., Any]:
    allowed = requires_access_connection(method)

    async def check(request: Request, user: GetUserDep, connection_id: ConnectionId) -> str:
        # Airflow's check looks there, and finds the team of the connection by it.
        request.scope.setdefault("path_params", {})["connection_id"] = connection_id
        done: Any = allowed(request, user)
        if isawaitable(done):
            await done
        return connection_id

    return check


#: The id of a connection that the user may see, from the query.
ReadableConnection = Annotated[str, Depends(_permitted("GET"))]

#: The id of a connection that the user may change, from the query.
EditableConnection = Annotated[str, Depends(_permitted("PUT"))]


def may_edit(user: Any, connection_id: str) -> bool:
    """Tell whether to offer what changes a connection; it is checked again when it is done."""
    return bool(
        get_auth_manager().is_authorized_connection(
            method="PUT", details=ConnectionDetails(conn_id=connection_id), user=user
        )
    )
