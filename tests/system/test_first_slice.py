# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Mail from an OAuth-only mailbox lands, in real worker processes."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.hooks.own_grants import with_certificate, with_service_account
from tests.mailbox import small_mailbox

if TYPE_CHECKING:
    from tests.servers.airflow_stack import AirflowStack
    from tests.servers.authorization_server import AuthorizationServer
    from tests.system.conftest import Mailboxes

Fetch = Callable[[str], Any]


def _deliver(mailboxes: Mailboxes, conn_id: str, count: int = 3) -> list[bytes]:
    mails = small_mailbox(count)
    for raw in mails:
        mailboxes.mail.deliver(mailboxes.login(conn_id), raw)
    return mails


def test_the_example_dag_lands_every_message_once(
    airflow: AirflowStack, mailboxes: Mailboxes, destination: Path
) -> None:
    """After a sign-in the example DAG lands what is there, and later only what is new."""
    conn_id = mailboxes.add(conn_id="imap_oauth_default")
    mails = _deliver(mailboxes, conn_id, 5)
    mailboxes.sign_in(conn_id)

    first = airflow.run_dag("example_imap_oauth")
    mailboxes.mail.deliver(mailboxes.login(conn_id), small_mailbox(1, seed=7)[0])
    second = airflow.run_dag("example_imap_oauth")

    assert (first.state, second.state) == ("success", "success")
    assert airflow.xcom(first, "fetch_mail")["messages"] == len(mails)
    assert airflow.xcom(second, "fetch_mail")["messages"] == 1
    landed = {file.read_bytes() for file in destination.rglob("*.eml")}
    assert landed == {*mails, small_mailbox(1, seed=7)[0]}


def test_the_fetch_operator_leaves_the_documented_xcom(
    airflow: AirflowStack, mailboxes: Mailboxes, authorization_server: AuthorizationServer,
    fetch: Fetch,
) -> None:  # fmt: skip
    """XCom holds counts and the path of the run's record, nothing else."""
    conn_id = f"mail_{secrets.token_hex(4)}"
    token = authorization_server.mint_refresh_token(mailboxes.login(conn_id))
    mailboxes.add(conn_id=conn_id, password=token)
    _deliver(mailboxes, conn_id)

    run = fetch(conn_id)

    assert run.state == "success", airflow.task_log(run, "fetch")
    result = airflow.xcom(run, "fetch")
    assert set(result) == {
        "manifest", "messages", "attachments", "bytes", "quarantined", "uidvalidity", "last_uid",
    }  # fmt: skip
    assert result["messages"] == 3
    assert result["last_uid"] == 3


@pytest.mark.parametrize(
    ("mail_provider", "tenant"), [("test_microsoft", "contoso"), ("test_google", None)]
)
def test_workers_refresh_through_the_mail_providers_own_library(
    airflow: AirflowStack,
    mailboxes: Mailboxes,
    authorization_server: AuthorizationServer,
    fetch: Fetch,
    mail_provider: str,
    tenant: str | None,
) -> None:
    """MSAL and google-auth refresh in worker processes, once for two runs."""
    extra = {"mail_provider": mail_provider, "issuer": None, "scopes": None, "tenant_id": tenant}
    conn_id = mailboxes.add(**extra)
    mailboxes.sign_in(conn_id)
    _deliver(mailboxes, conn_id)
    authorization_server.reset_counters()

    runs = [fetch(conn_id), fetch(conn_id)]

    assert [run.state for run in runs] == ["success", "success"], airflow.task_log(runs[0], "fetch")
    assert authorization_server.token_requests <= 1


@pytest.mark.parametrize("grant", [with_certificate, with_service_account])
def test_workers_sign_in_without_anybody(
    airflow: AirflowStack,
    mailboxes: Mailboxes,
    fetch: Fetch,
    grant: Callable[[AuthorizationServer, str], dict[str, Any]],
) -> None:
    """An application with a certificate, and a service account, fetch mail in worker processes."""
    conn_id = f"mail_{secrets.token_hex(4)}"
    extra = grant(mailboxes.server, mailboxes.login(conn_id))
    mailboxes.add(conn_id=conn_id, **extra)
    _deliver(mailboxes, conn_id)
    mailboxes.server.reset_counters()

    runs = [fetch(conn_id), fetch(conn_id)]

    assert [run.state for run in runs] == ["success", "success"], airflow.task_log(runs[0], "fetch")
    assert airflow.xcom(runs[0], "fetch")["messages"] == 3
    assert mailboxes.server.token_requests == 1


def test_a_trigger_gets_a_token_in_the_triggerer(
    airflow: AirflowStack, mailboxes: Mailboxes, authorization_server: AuthorizationServer
) -> None:
    """The triggerer refreshes and saves, and a worker then uses the same token."""
    conn_id = mailboxes.add()
    mailboxes.sign_in(conn_id)
    authorization_server.reset_counters()

    runs = [airflow.run_dag("token_in_triggerer", conf={"conn_id": conn_id}) for _ in range(2)]

    assert [run.state for run in runs] == ["success", "success"], airflow.task_log(runs[0], "token")
    seen = {airflow.xcom(run, "token") for run in runs}
    assert len(seen) == 1
    assert len(seen.pop()) == len(hashlib.sha256().hexdigest())
    assert authorization_server.token_requests <= 1


def test_a_sensor_in_reschedule_mode_waits_for_what_is_new(
    airflow: AirflowStack, mailboxes: Mailboxes
) -> None:
    """What lay there at the first poke does not count, what arrives later does."""
    conn_id = mailboxes.add()
    mailboxes.sign_in(conn_id)
    _deliver(mailboxes, conn_id, 2)
    run_id = airflow.trigger("wait_for_new_mail", conf={"conn_id": conn_id})
    airflow.wait_for_task("wait_for_new_mail", run_id, "wait", "up_for_reschedule")

    _deliver(mailboxes, conn_id, 1)
    run = airflow.wait_for_run("wait_for_new_mail", run_id)

    assert run.state == "success", airflow.task_log(run, "wait")
    assert airflow.xcom(run, "wait")["uids"] == [3]


def test_a_permanent_error_fails_the_task_at_once_with_a_hint(
    airflow: AirflowStack, mailboxes: Mailboxes, authorization_server: AuthorizationServer,
    fetch: Fetch,
) -> None:  # fmt: skip
    """A wrong client secret costs one try, and the log says on which connection, and what to do."""
    conn_id = mailboxes.add(client_secret="wrong-secret-canary")
    login = mailboxes.login(conn_id)
    airflow.cli("connections", "delete", conn_id)
    mailboxes.add(
        conn_id=conn_id,
        client_secret="wrong-secret-canary",
        password=authorization_server.mint_refresh_token(login),
    )

    run = fetch(conn_id)

    log = airflow.task_log(run, "fetch")
    assert (run.state, run.tries["fetch"]) == ("failed", 1), log
    assert f"connection '{conn_id}'" in log
    assert "client secret" in log
    assert "wrong-secret-canary" not in log


def test_a_transient_error_uses_the_tasks_retries(
    airflow: AirflowStack, mailboxes: Mailboxes, authorization_server: AuthorizationServer,
    fetch: Fetch,
) -> None:  # fmt: skip
    """A token endpoint that is down for one request costs one retry."""
    conn_id = mailboxes.add()
    mailboxes.sign_in(conn_id)
    _deliver(mailboxes, conn_id)
    _expire_tokens(airflow, conn_id)
    authorization_server.fail_next("token", "status", status=503)

    run = fetch(conn_id)

    assert (run.state, run.tries["fetch"]) == ("success", 2), airflow.task_log(run, "fetch")


def _expire_tokens(airflow: AirflowStack, conn_id: str) -> None:
    """Forget the token record: the next use must refresh."""
    airflow.cli("variables", "delete", f"imap_oauth_token__{conn_id}")


def test_no_secret_stays_anywhere(
    airflow: AirflowStack, mailboxes: Mailboxes, authorization_server: AuthorizationServer,
    fetch: Fetch, tmp_path: Path,
) -> None:  # fmt: skip
    """After a sign-in and a run at DEBUG no token is in any log, file, XCom or table."""
    conn_id = mailboxes.add()
    mailboxes.sign_in(conn_id)
    _deliver(mailboxes, conn_id)
    assert fetch(conn_id).state == "success"

    issued = [secret.encode() for secret in authorization_server.secrets_issued()]
    assert issued
    found = [
        str(file)
        for file in airflow.home.rglob("*")
        if file.is_file() and any(secret in file.read_bytes() for secret in issued)
    ]
    assert found == []
    with closing(sqlite3.connect(airflow.home / "airflow.db")) as database:
        dump = "\n".join(database.iterdump()).encode()
    assert not [secret for secret in issued if secret in dump]
    # There the Variables are encrypted; an export shows what they hold.
    exported = tmp_path / "variables.json"
    airflow.cli("variables", "export", str(exported))
    assert f"imap_oauth_token__{conn_id}" in exported.read_text()
    assert not [secret for secret in issued if secret in exported.read_bytes()]
