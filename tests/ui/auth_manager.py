# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""An auth manager whose users may not see every connection."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

#: Part of the ids of connections that nobody may see.
FORBIDDEN = "forbidden"


class PickyAuthManager(SimpleAuthManager):
    """Airflow's own simple one, and a rule about single connections."""

    def is_authorized_connection(self, *, details: Any = None, **arguments: Any) -> bool:
        """Apply the rule besides the roles."""
        conn_id = (details and details.conn_id) or ""
        return FORBIDDEN not in conn_id and super().is_authorized_connection(
            details=details, **arguments
        )
