# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The token store ``variable``: one Airflow Variable per connection.

It needs nothing that Airflow does not have, and every component can write it: tasks and triggers
through the Execution API, API server and commands through the database. What it stores is sealed,
and its keys begin with a word that Airflow masks.

Reading goes straight to where writing goes. Airflow's own accessors ask the secrets backends one
after the other and report "not found" when a database or an API server does not answer; taken at
its word, that would spend a refresh token that was spent before.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from airflow_imap_oauth.exceptions import TokenStoreError
from airflow_imap_oauth.tokens.leases import HostMemory, Lease, LeaseTerms, NoLease, TimedLease

KEY_PREFIX = "imap_oauth_token__"
LEASE_KEY_PREFIX = "imap_oauth_token_lease__"

_MAX_KEY_LENGTH = 250  # of the column variable.key
_MAX_READABLE_LENGTH = 100
_MAX_KEYS_AT_ONCE = 500  # some databases take no more than a thousand parameters
# Lower case only, because some databases compare keys without case; nothing that a URL path
# gives a meaning to, because the Task SDK puts the key there as it is.
_PLAIN = re.compile(r"[a-z0-9_.-]+")
_NOT_PLAIN = re.compile(r"[^a-z0-9_.-]")


def variable_key(conn_id: str, prefix: str = KEY_PREFIX) -> str:
    """
    Return the key of a connection's Variable: distinct for distinct connections.

    An id that does not fit as it is becomes a readable beginning, ``~`` (which no connection id
    can hold) and a digest.
    """
    if _PLAIN.fullmatch(conn_id) and len(prefix) + len(conn_id) <= _MAX_KEY_LENGTH:
        return prefix + conn_id
    readable = _NOT_PLAIN.sub("_", conn_id.lower())[:_MAX_READABLE_LENGTH]
    digest = hashlib.sha256(conn_id.encode()).hexdigest()[:32]
    return f"{prefix}{readable}~{digest}"


class VariableTokenStore:
    """
    Keeps token records in Airflow Variables; see the module's description.

    :param lease_delay_seconds: How long a host's claim to renew must stand before it counts; the
        same on all hosts. Writing a Variable must take less than half of it. 0: there is one host.
    """

    def __init__(self, lease_delay_seconds: float) -> None:
        self._lease_delay_seconds = lease_delay_seconds

    @property
    def name(self) -> str:
        """The value of ``[imap_oauth] token_store`` that chooses this store."""
        return "variable"

    def load(self, conn_id: str) -> str | None:
        """
        Return the record's text, or None where there is none.

        :raises TokenStoreError: If it cannot be read; a retry helps.
        """
        try:
            return read_variable(variable_key(conn_id))
        except TokenStoreError as error:
            raise error.located(conn_id=conn_id) from None

    def load_many(self, conn_ids: Collection[str]) -> dict[str, str | None]:
        """
        Return the texts of records by connection id, None where there is none.

        One that does not decrypt is left out. For processes that reach the database.

        :raises TokenStoreError: If the database does not work; a retry helps.
        """
        keys = {conn_id: variable_key(conn_id) for conn_id in conn_ids}
        with _guarded(f"{KEY_PREFIX}*", "read"):
            values = _many_from_database([*keys.values()])
        return {conn_id: values[key] for conn_id, key in keys.items() if key in values}

    def save(self, conn_id: str, text: str) -> None:
        """
        Store the text; it is committed once this returns.

        :raises TokenStoreError: If it cannot be written; a retry helps.
        """
        description = f"Sealed tokens of connection {conn_id}; renewed by airflow-imap-oauth."
        _write(variable_key(conn_id), text, description, conn_id)

    def delete(self, conn_id: str) -> None:
        """
        Remove the record; a missing one is no error.

        :raises TokenStoreError: If the store does not answer; a retry helps.
        """
        for key in (variable_key(conn_id), variable_key(conn_id, LEASE_KEY_PREFIX)):
            with _guarded(key, "deleted", conn_id):
                _variable_class().delete(key)

    def lease(self, terms: LeaseTerms, host: HostMemory) -> Lease:
        """Return the lease of a connection: a Variable in which hosts write their claims."""
        if not self._lease_delay_seconds:
            return NoLease()
        register = _VariableRegister(terms.conn_id)
        return TimedLease(register, terms, host=host, delay_seconds=self._lease_delay_seconds)


class _VariableRegister:
    def __init__(self, conn_id: str) -> None:
        self._key = variable_key(conn_id, LEASE_KEY_PREFIX)
        self._conn_id = conn_id

    def read(self) -> str | None:
        return read_variable(self._key)

    def write(self, text: str) -> None:
        description = f"Which host renews the tokens of connection {self._conn_id}, and which did."
        _write(self._key, text, description, self._conn_id)


def read_variable(key: str) -> str | None:
    """
    Return the value of a Variable, None only where there is none for sure.

    Secrets backends are not asked: what is read here was written here.

    :raises TokenStoreError: If that cannot be told; a retry helps.
    """
    with _guarded(key, "read"):
        return _read_by_supervisor(key) if _in_task_context() else _read_from_database(key)


def _write(key: str, text: str, description: str, conn_id: str) -> None:
    with _guarded(key, "written", conn_id):
        _variable_class().set(key, text, description=description)


@contextmanager
def _guarded(key: str, verb: str, conn_id: str | None = None) -> Iterator[None]:
    try:
        yield
    except TokenStoreError as error:
        raise error.located(conn_id=conn_id, step="token store") from None
    except Exception as error:  # noqa: BLE001  # database, HTTP and IPC errors, of many libraries
        # Not chained: the messages of some of them quote what was to be written.
        raise TokenStoreError(
            f"The Variable '{key}' could not be {verb} ({type(error).__name__}).",
            hint="Check Airflow's database, or the API server, and the log for the cause.",
            conn_id=conn_id,
            step="token store",
        ) from None


def _in_task_context() -> bool:
    """Tell whether this process reaches Airflow by a supervisor, as Airflow's core decides it."""
    runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
    return hasattr(runner, "SUPERVISOR_COMMS")


def _variable_class() -> Any:
    if _in_task_context():
        from airflow.sdk import Variable  # noqa: PLC0415  # needs a supervisor
    else:
        from airflow.models.variable import Variable  # noqa: PLC0415  # needs the database
    return Variable


def _read_by_supervisor(key: str) -> str | None:
    from airflow.sdk.execution_time import task_runner  # noqa: PLC0415  # task and triggerer only
    from airflow.sdk.execution_time.comms import (  # noqa: PLC0415  # as above
        ErrorResponse,
        GetVariable,
        VariableResult,
    )

    answer: Any = task_runner.SUPERVISOR_COMMS.send(GetVariable(key=key))
    if isinstance(answer, VariableResult) and answer.value is not None:
        return str(answer.value)
    if isinstance(answer, ErrorResponse) and answer.error.name == "VARIABLE_NOT_FOUND":
        return None
    raise TokenStoreError(f"Airflow's API server did not hand out the Variable '{key}'.")


def _read_from_database(key: str) -> str | None:
    from airflow.models.variable import Variable  # noqa: PLC0415  # needs the database
    from airflow.utils.session import create_session  # noqa: PLC0415  # as above
    from sqlalchemy import select  # noqa: PLC0415  # as above

    with create_session() as session:
        row = session.scalar(select(Variable).where(Variable.key == key))
        if row is None:
            return None
        value = row.get_val()
    if value is None:
        raise TokenStoreError(
            f"The Variable '{key}' cannot be decrypted.",
            hint="Give this process the [core] fernet_key that the others have.",
        )
    return str(value)


def _many_from_database(keys: list[str]) -> dict[str, str | None]:
    from airflow.models.variable import Variable  # noqa: PLC0415  # needs the database
    from airflow.utils.session import create_session  # noqa: PLC0415  # as above
    from sqlalchemy import select  # noqa: PLC0415  # as above

    values: dict[str, str | None] = dict.fromkeys(keys)
    # Columns and not objects: Airflow masks the value of each object that it loads.
    query = select(Variable.key, Variable._val, Variable.is_encrypted)  # noqa: SLF001  # ciphertext
    variable: Any = Variable
    with create_session() as session:
        for begin in range(0, len(keys), _MAX_KEYS_AT_ONCE):
            some = keys[begin : begin + _MAX_KEYS_AT_ONCE]
            for key, cipher, is_encrypted in session.execute(query.where(Variable.key.in_(some))):
                row: Any = variable()
                row._val, row.is_encrypted = cipher, is_encrypted  # noqa: SLF001  # as above
                values[key] = row.get_val()
                if values[key] is None:
                    del values[key]
    return values
