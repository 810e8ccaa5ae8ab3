# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
What one call for a token costs while there is a living one: reads of the store that keeps it.

In a process of its own, with Airflow's database, the store ``variable`` and a secrets backend:
counted are the queries of the table of Variables, and how often the backend is asked for one of
ours. There is no peer: upstream's hook is handed a token, and knows nothing of its end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from airflow.secrets import BaseSecretsBackend

from benchmarks.child import answer
from benchmarks.results import Row
from benchmarks.rig import airflow_environment, run_child
from tests.hooks import connections
from tests.oauth import clients
from tests.servers.authorization_server import AuthorizationServer
from tests.servers.certificates import CertificateAuthority

_CALLS = 100
_CONN_ID = "ours"


class CountingBackend(BaseSecretsBackend):
    """A secrets backend that holds nothing, and notes what it is asked for."""

    connections: ClassVar[list[str]] = []
    variables: ClassVar[list[str]] = []

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        """Hold none, and note it."""
        del team_name
        self.connections.append(conn_id)
        return None

    def get_variable(self, key: str, team_name: str | None = None) -> str | None:
        """Hold none, and note it."""
        del team_name
        self.variables.append(key)
        return None


def measure(folder: Path) -> list[Row]:
    """Measure."""
    with AuthorizationServer(CertificateAuthority.create(folder / "ca")) as server:
        name, connection = connections.environment(
            _CONN_ID,
            host="localhost",
            login=clients.LOGIN,
            password=server.mint_refresh_token(clients.LOGIN),
            extra=connections.custom(server),
        )
        environment = {
            **airflow_environment(folder),
            "AIRFLOW__IMAP_OAUTH__TOKEN_STORE": "variable",
            "AIRFLOW__IMAP_OAUTH__LEASE_DELAY_SECONDS": "0",
            "AIRFLOW__SECRETS__BACKEND": "benchmarks.hot_path.CountingBackend",
            name: connection,
        }
        done = run_child("benchmarks.hot_path", environment)
    return [
        Row(
            name="token_hot_path",
            unit="store reads",
            ours=done["reads"] / _CALLS,
            target_ours=1,
        ),
        Row(
            name="token_hot_path_secrets",
            unit="secrets backend reads",
            ours=done["asked"] / _CALLS,
            target_ours=0,
        ),
    ]


def work() -> dict[str, Any]:
    """Get a token, and then count what asking for it again costs."""
    from airflow.settings import engine
    from airflow.utils.db import initdb
    from sqlalchemy import event

    from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
    from airflow_imap_oauth.hooks.variable_store import variable_key

    initdb()
    token = ImapOAuthHook(_CONN_ID).get_access_token()
    reads: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM variable" in statement:
            reads.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    # Under the name by which Airflow has loaded it; this module is __main__.
    from benchmarks.hot_path import CountingBackend as Backend

    Backend.variables.clear()
    for _ in range(_CALLS):
        if ImapOAuthHook(_CONN_ID).get_access_token() != token:
            raise RuntimeError("A living token was renewed.")
    if not Backend.connections:
        raise RuntimeError("The secrets backend is not in use.")
    return {"reads": len(reads), "asked": Backend.variables.count(variable_key(_CONN_ID))}


if __name__ == "__main__":
    answer(work)
