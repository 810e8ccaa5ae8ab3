# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A fleet of real tasks renews once, over the real API server."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers.airflow_stack import AirflowStack
    from tests.servers.authorization_server import AuthorizationServer
    from tests.system.conftest import Mailboxes


@pytest.mark.parametrize("own_host", [False, True], ids=["one_host", "eight_hosts"])
def test_eight_tasks_at_once_send_one_request(
    airflow: AirflowStack,
    mailboxes: Mailboxes,
    authorization_server: AuthorizationServer,
    tmp_path: Path,
    own_host: bool,
) -> None:
    """Whether they meet by the lock folder or by the lease alone, all get the token of one."""
    conn_id = f"mail_{secrets.token_hex(4)}"
    token = authorization_server.mint_refresh_token(mailboxes.login(conn_id))
    mailboxes.add(conn_id=conn_id, password=token)
    authorization_server.reset_counters()

    run = airflow.run_dag(
        "token_stampede",
        conf={"conn_id": conn_id, "folder": str(tmp_path), "own_host": own_host},
        timeout_seconds=600,
    )

    assert run.state == "success", airflow.task_log(run, "ask_together")
    assert len(airflow.xcom(run, "distinct")) == 1
    assert authorization_server.token_requests == 1
