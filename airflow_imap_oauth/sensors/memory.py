# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
What a sensor keeps from poke to poke.

In poke mode that is the instance, unless a baseline must outlive a retry. In reschedule mode every
poke is another process: Airflow 3.3 keeps the memory in its task state store; before, it is a small
Variable, named after the task instance and deleted when the task has ended.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from airflow.sdk import Variable

if TYPE_CHECKING:
    from airflow.sdk import Context

_KEY = "imap_oauth_sensor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """
    What earlier pokes saw.

    :param uidvalidity: The numbering that the UIDs belong to.
    :param baseline_uid: Messages up to this UID never count.
    :param searched_uid: No message between the baseline and this UID matched.
    """

    uidvalidity: int
    baseline_uid: int
    searched_uid: int

    @classmethod
    def from_json(cls, value: Any) -> Seen | None:
        """Read it; None where it is something else."""
        try:
            return cls(
                uidvalidity=int(value["uidvalidity"]),
                baseline_uid=int(value["baseline_uid"]),
                searched_uid=int(value["searched_uid"]),
            )
        except (TypeError, KeyError, ValueError):
            return None


class Memory(Protocol):
    """Keeps what a sensor has seen."""

    def load(self) -> Seen | None:
        """Return what was saved, or None."""
        ...

    def save(self, seen: Seen) -> None:
        """Save it."""
        ...

    def forget(self) -> None:
        """Delete it; nothing happens where there is none."""
        ...


class InstanceMemory:
    """Keeps it in this object."""

    def __init__(self) -> None:
        self._seen: Seen | None = None

    def load(self) -> Seen | None:
        """Return what was saved, or None."""
        return self._seen

    def save(self, seen: Seen) -> None:
        """Save it."""
        self._seen = seen

    def forget(self) -> None:
        """Delete it."""
        self._seen = None


class TaskStateMemory:
    """Keeps it in Airflow's task state store (3.3), as one key of the task instance."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def load(self) -> Seen | None:
        """Return what was saved, or None."""
        return Seen.from_json(self._store.get(_KEY))

    def save(self, seen: Seen) -> None:
        """Save it."""
        self._store.set(_KEY, asdict(seen))

    def forget(self) -> None:
        """Delete it."""
        self._store.delete(_KEY)


class VariableMemory:
    """
    Keeps it in a Variable.

    :param task_instance: What names the task instance; hashed, because it may be long.
    """

    def __init__(self, task_instance: str) -> None:
        digest = hashlib.sha256(task_instance.encode()).hexdigest()
        self._key = f"{_KEY}__{digest[:32]}"

    def load(self) -> Seen | None:
        """Return what was saved, or None."""
        # Airflow's own accessor says "not found" also when nobody answers: that would move the
        # baseline over messages that nobody has seen.
        from airflow_imap_oauth.hooks.variable_store import (  # noqa: PLC0415  # only on 3.2
            read_variable,
        )

        try:
            return Seen.from_json(json.loads(read_variable(self._key) or "null"))
        except json.JSONDecodeError:
            return None

    def save(self, seen: Seen) -> None:
        """Save it."""
        Variable.set(
            self._key,
            json.dumps(asdict(seen)),
            description="What a waiting ImapOAuthMessageSensor has seen; it deletes this.",
        )

    def forget(self) -> None:
        """Delete it."""
        Variable.delete(self._key)


def shared_memory(context: Context) -> Memory:
    """Return the memory that all pokes of this task instance share."""
    store = context.get("task_state_store")
    if store is not None:
        return TaskStateMemory(store)
    ti = context["ti"]
    return VariableMemory(json.dumps([ti.dag_id, ti.task_id, ti.run_id, ti.map_index]))
