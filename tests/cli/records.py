# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Token records of tests: read, and made older than they are."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from airflow_imap_oauth.hooks.variable_store import VariableTokenStore


def record(conn_id: str) -> dict[str, Any]:
    """Return the record of a connection's tokens."""
    text = VariableTokenStore(lease_delay_seconds=0).load(conn_id)
    assert text is not None
    found: dict[str, Any] = json.loads(text)
    return found


def age(conn_id: str, by: timedelta) -> None:
    """Let the last renewal be as much longer ago."""
    aged = record(conn_id)
    for name in ("access_token_expires_at", "last_refresh_at"):
        aged[name] = (datetime.fromisoformat(aged[name]) - by).isoformat()
    VariableTokenStore(lease_delay_seconds=0).save(conn_id, json.dumps(aged))
