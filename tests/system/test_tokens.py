# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A fleet of real tasks renews once, over the real API server."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers.airflow_stack import AirflowStack
    from tests.servers.authorization_server import AuthorizationServer
    from tests.servers.proxy import Proxy
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


def test_every_store_keeps_its_contract_in_worker_and_triggerer(
    airflow: AirflowStack, tmp_path: Path
) -> None:
    """Variables, files and a database hold what they promise wherever tokens are renewed."""
    for place in ("task", "triggerer"):
        (tmp_path / place).mkdir()
    run = airflow.run_dag("store_contracts", conf={"folder": str(tmp_path)}, timeout_seconds=400)
    assert run.state == "success", airflow.task_log(run, "in_task")
    assert (airflow.xcom(run, "in_task"), airflow.xcom(run, "in_triggerer")) == ([], [])


def test_api_server_in_trouble_costs_no_token(
    airflow: AirflowStack,
    mailboxes: Mailboxes,
    authorization_server: AuthorizationServer,
    execution_api: Proxy,
    tmp_path: Path,
) -> None:
    """While it answers 500 for half a minute, the token that has just come is not lost."""
    conn_id = f"mail_{secrets.token_hex(4)}"
    token = authorization_server.mint_refresh_token(mailboxes.login(conn_id))
    mailboxes.add(conn_id=conn_id, password=token)
    authorization_server.reset_counters()
    authorization_server.fail_next("token", "slow", seconds=2)
    conf = {"conn_id": conn_id, "destination": f"file://{tmp_path}/landed"}

    run_id = airflow.trigger("fetch_once", conf=conf)
    _wait_for_token_request(authorization_server)
    execution_api.reset_counters()
    execution_api.http_status = 500
    time.sleep(30)
    execution_api.http_status = None
    assert execution_api.refusals
    run = airflow.wait_for_run("fetch_once", run_id, timeout_seconds=400)

    assert run.state == "success", airflow.task_log(run, "fetch")
    assert authorization_server.token_requests == 1


def _wait_for_token_request(server: AuthorizationServer) -> None:
    deadline = time.monotonic() + 120
    while not server.token_requests:
        assert time.monotonic() < deadline
        time.sleep(0.05)
