# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""DAGs of the system tests. Their runs take `conn_id` and `destination` as configuration."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator, task
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from airflow_imap_oauth.operators.imap_oauth import ImapOAuthFetchOperator
from airflow_imap_oauth.sensors.imap_oauth import ImapOAuthMessageSensor

CONN_ID = "{{ dag_run.conf['conn_id'] }}"
DESTINATION = "{{ dag_run.conf['destination'] }}"

with DAG(dag_id="fetch_once", schedule=None):
    ImapOAuthFetchOperator(
        task_id="fetch",
        imap_conn_id=CONN_ID,
        destination=DESTINATION,
        retries=2,
        retry_delay=timedelta(seconds=1),
    )

with DAG(dag_id="wait_for_new_mail", schedule=None):
    ImapOAuthMessageSensor(
        task_id="wait",
        imap_conn_id=CONN_ID,
        baseline="first_poke",
        mode="reschedule",
        # Airflow fails a task that runs again before it has noticed the end of the last run.
        poke_interval=12,
        timeout=120,
    )


class TokenTrigger(BaseTrigger):
    """Asks for an access token inside the triggerer."""

    def __init__(self, conn_id: str) -> None:
        super().__init__()
        self.conn_id = conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Say how to make it again."""
        return "system_dags.TokenTrigger", {"conn_id": self.conn_id}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield a hash of the token: never the token."""
        token = await ImapOAuthHook(imap_conn_id=self.conn_id).aget_access_token()
        yield TriggerEvent({"sha256": hashlib.sha256(token.encode()).hexdigest()})


class TokenFromTriggerOperator(BaseOperator):
    """Defers to :class:`TokenTrigger`."""

    template_fields = ("conn_id",)

    def __init__(self, *, conn_id: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.conn_id = conn_id

    def execute(self, context: Any) -> None:
        """Defer."""
        del context
        self.defer(trigger=TokenTrigger(self.conn_id), method_name="done")

    def done(self, context: Any, event: dict[str, str]) -> str:
        """Return what the trigger yielded."""
        del context
        return event["sha256"]


with DAG(dag_id="token_in_triggerer", schedule=None):
    TokenFromTriggerOperator(task_id="token", conn_id=CONN_ID)


@task
def ask_together(number: int, count: int, **context: Any) -> str:
    """Ask for an access token at the same instant as all the others; return a hash of it."""
    conf = context["dag_run"].conf
    folder = Path(conf["folder"])
    if conf["own_host"]:
        # Processes that share no lock folder are what hosts are to each other.
        os.environ["AIRFLOW__IMAP_OAUTH__LOCK_FOLDER"] = str(folder / f"locks of {number}")
    hook = ImapOAuthHook(imap_conn_id=conf["conn_id"])
    (folder / f"ready {number}").touch()
    while len(list(folder.glob("ready *"))) < count:
        time.sleep(0.05)
    return hashlib.sha256(hook.get_access_token().encode()).hexdigest()


@task
def distinct(tokens: Iterable[str]) -> list[str]:
    """Return each hash once."""
    return sorted(set(tokens))


with DAG(dag_id="token_stampede", schedule=None):
    distinct(ask_together.partial(count=8).expand(number=list(range(8))))
