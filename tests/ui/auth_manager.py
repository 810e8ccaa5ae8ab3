# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""An auth manager whose users may not see every connection."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

#: Part of the ids of connections that nobody may see.
FORBIDDEN = "forbidden"
#: Part of the ids of connections that nobody may change; tests set it.
READ_ONLY = "read-only"


class PickyAuthManager(SimpleAuthManager):
    """Airflow's own simple one, and rules about single connections."""

    def is_authorized_connection(self, *, details: Any = None, **arguments: Any) -> bool:
        """Apply the rules besides the roles."""
        conn_id = (details and details.conn_id) or ""
        if FORBIDDEN in conn_id or (READ_ONLY in conn_id and arguments.get("method") != "GET"):
            return False
        return super().is_authorized_connection(details=details, **arguments)
