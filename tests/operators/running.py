# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Run one task as a worker does, in this process.

Connections, Variables, state and XCom go through Airflow's own Execution API to the database;
only the supervisor's process and its socket are left out.
"""

from __future__ import annotations

import secrets
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import DAG, BaseOperator

_BUNDLE = "tests"
_TASK_ID = "task"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """
    How one try ended.

    :param error: What the task raised, or None.
    :param xcom: What it returned.
    """

    state: str
    error: BaseException | None
    xcom: Any

    @property
    def shown(self) -> str:
        """The error with its traceback, as a log shows it."""
        return "".join(traceback.format_exception(self.error)) if self.error else ""


class Run:
    """
    A DAG run with one task.

    :param build: Makes the operator; it is called for every try, as every worker parses anew.
    :param conf: Configuration of the DAG run.
    """

    def __init__(
        self, build: Callable[..., BaseOperator], *, conf: dict[str, Any] | None = None
    ) -> None:
        self._build = build
        self._dag_id = f"dag_{secrets.token_hex(4)}"
        self._tries = 0
        self._reschedules = False
        self._create(conf or {})

    def attempt(self) -> Attempt:
        """Try the task once, or once more."""
        from airflow.sdk.api.datamodels._generated import TaskInstance
        from airflow.sdk.execution_time.supervisor import run_task_in_process
        from airflow.utils.session import create_session

        if not self._reschedules:
            self._tries += 1
        with create_session() as session:
            row = self._row(session)
            row.set_state("queued", session=session)
            row.try_number = self._tries
            session.flush()
            names = ("id", "task_id", "dag_id", "run_id", "try_number", "map_index")
            ti = TaskInstance(
                dag_version_id=row.dag_version_id, **{name: getattr(row, name) for name in names}
            )
        result = run_task_in_process(ti=ti, task=self._parsed().get_task(_TASK_ID))
        state = str(getattr(result.state, "value", result.state))
        self._reschedules = state == "up_for_reschedule"
        return Attempt(state=state, error=result.error, xcom=self._xcom())

    def _parsed(self) -> DAG:
        from airflow.sdk import DAG

        with DAG(dag_id=self._dag_id, schedule=None) as dag:
            self._build(task_id=_TASK_ID)
        return dag

    def _create(self, conf: dict[str, Any]) -> None:
        from airflow.models.dagbundle import DagBundleModel
        from airflow.models.serialized_dag import SerializedDagModel
        from airflow.serialization.definitions.dag import SerializedDAG
        from airflow.serialization.serialized_objects import DagSerialization, LazyDeserializedDAG
        from airflow.utils.session import create_session
        from airflow.utils.types import DagRunTriggeredByType, DagRunType

        dag = self._parsed()
        lazy = LazyDeserializedDAG.from_dag(dag)
        with create_session() as session:
            session.merge(DagBundleModel(name=_BUNDLE))
            session.flush()
            SerializedDAG.bulk_write_to_db(_BUNDLE, None, [lazy], session=session)
            session.flush()
            SerializedDagModel.write_dag(lazy, bundle_name=_BUNDLE, session=session)
        with create_session() as session:
            DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag)).create_dagrun(
                run_id="run",
                run_after=datetime.now(timezone.utc),
                run_type=DagRunType.MANUAL,
                triggered_by=DagRunTriggeredByType.TEST,
                state="running",
                conf=conf,
                session=session,
            )

    def _row(self, session: Any) -> Any:
        from airflow.models.taskinstance import TaskInstance
        from sqlalchemy import select

        # A failed try gets a new id in the database.
        return session.scalars(
            select(TaskInstance).where(TaskInstance.dag_id == self._dag_id)
        ).one()

    def _xcom(self) -> Any:
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            query = select(XComModel).where(XComModel.dag_id == self._dag_id)
            row = session.scalars(query).one_or_none()
            return row and XComModel.deserialize_value(row)
