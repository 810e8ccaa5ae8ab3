# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Every token store keeps its contract where tasks and triggers run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator, task
from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_imap_oauth.hooks.variable_store import VariableTokenStore
from airflow_imap_oauth.tokens.file_store import FileTokenStore
from airflow_imap_oauth.tokens.sql_store import SqlTokenStore
from tests.tokens.store_contract import AWKWARD_CONN_IDS, CONTRACT, claim_name


def broken_claims(folder: str) -> list[str]:
    """Return which claims of which store do not hold in this process."""
    return [
        f"{store.name}: {claim_name(claim)}: {type(error).__name__}"
        for store in _stores(Path(folder))
        for claim in CONTRACT
        if (error := _failure(store, claim)) is not None
    ]


def _stores(folder: Path) -> Iterator[Any]:
    yield VariableTokenStore(lease_delay_seconds=0)
    yield FileTokenStore(folder / "tokens")
    yield SqlTokenStore(f"sqlite:///{folder / 'tokens.db'}")


def _failure(store: Any, claim: Any) -> Exception | None:
    try:
        for conn_id in {"mail", "other", *AWKWARD_CONN_IDS}:
            store.delete(conn_id)
        claim(store)
    except Exception as error:  # noqa: BLE001  # whatever it is, the claim does not hold
        return error
    return None


class StoresTrigger(BaseTrigger):
    """Tries the stores inside the triggerer, as the hook uses them there."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Say how to make it again."""
        return "store_dags.StoresTrigger", {"folder": self.folder}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield what is broken."""
        call = sync_to_async(broken_claims, thread_sensitive=False)
        yield TriggerEvent({"broken": await call(self.folder)})


class StoresInTriggererOperator(BaseOperator):
    """Defers to :class:`StoresTrigger`."""

    template_fields = ("folder",)

    def __init__(self, *, folder: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.folder = folder

    def execute(self, context: Any) -> None:
        """Defer."""
        del context
        self.defer(trigger=StoresTrigger(self.folder), method_name="done")

    def done(self, context: Any, event: dict[str, list[str]]) -> list[str]:
        """Return what the trigger yielded."""
        del context
        return event["broken"]


@task
def in_task(**context: Any) -> list[str]:
    """Try the stores in a worker."""
    return broken_claims(f"{context['dag_run'].conf['folder']}/task")


with DAG(dag_id="store_contracts", schedule=None):
    in_triggerer = StoresInTriggererOperator(
        task_id="in_triggerer", folder="{{ dag_run.conf['folder'] }}/triggerer"
    )
    # One after the other: both begin with an empty store.
    in_task() >> in_triggerer
