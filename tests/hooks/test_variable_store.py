# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The store of Airflow Variables, by the database and as a task reaches it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from airflow.providers.standard.operators.python import PythonOperator

from airflow_imap_oauth.hooks.variable_store import (
    KEY_PREFIX,
    LEASE_KEY_PREFIX,
    VariableTokenStore,
)
from tests.operators.running import Run
from tests.tokens.lease_contract import (
    LEASING_CONTRACT,
    STANDING_LEASE,
    excludes_others,
    hosts_take_turns,
    lease_of,
)
from tests.tokens.store_contract import (
    CONTRACT,
    Claim,
    claim_name,
)

#: Far more than twice what it takes to write a Variable here, alone and while others do.
DELAY_SECONDS = 0.4
RACE_DELAY_SECONDS = 0.6


@pytest.fixture
def store(airflow_server: None) -> Iterator[VariableTokenStore]:
    """Give a store whose Variables are gone afterwards."""
    del airflow_server
    _forget_all()
    yield VariableTokenStore(DELAY_SECONDS)
    _forget_all()


@pytest.fixture
def race_store(store: VariableTokenStore) -> VariableTokenStore:
    """Give a store for many who write at the same time."""
    del store
    return VariableTokenStore(RACE_DELAY_SECONDS)


def _forget_all() -> None:
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import delete, or_

    ours = (Variable.key.startswith(prefix) for prefix in (KEY_PREFIX, LEASE_KEY_PREFIX))
    with create_session() as session:
        session.execute(delete(Variable).where(or_(*ours)))


SEQUENTIAL = tuple(claim for claim in LEASING_CONTRACT if claim is not hosts_take_turns)


@pytest.mark.parametrize("claim", CONTRACT + SEQUENTIAL + STANDING_LEASE, ids=claim_name)
def test_contract(claim: Claim, store: VariableTokenStore) -> None:
    """The store keeps to the contract of all stores, and of those that part hosts."""
    claim(store)


def test_hosts_take_turns(race_store: VariableTokenStore) -> None:
    """Among hosts that race for the lease, no two ever hold it at once."""
    hosts_take_turns(race_store)


@pytest.mark.parametrize("claim", [*CONTRACT, excludes_others], ids=claim_name)
def test_contract_in_a_task(claim: Claim, store: VariableTokenStore) -> None:
    """In a task, whose Variables come and go through the Execution API, it keeps to it as well."""
    _run_in_a_task(claim, store)


def test_tasks_take_turns(race_store: VariableTokenStore) -> None:
    """Among hosts that race for the lease through the Execution API, no two hold it at once."""
    _run_in_a_task(hosts_take_turns, race_store)


def test_one_host_needs_no_lease(airflow_server: None) -> None:
    """Without a delay, which says that there is one host, nothing is written for a lease."""
    del airflow_server
    store = VariableTokenStore(0)
    assert lease_of(store).attempt(1)
    assert lease_of(store).attempt(1)


def test_deleting_ends_the_lease(store: VariableTokenStore) -> None:
    """With its record goes what stands about its lease: nothing of a connection is left behind."""
    store.save("mail", "{}")
    assert lease_of(store).attempt(1)
    store.delete("mail")
    assert lease_of(store).attempt(1)


def _run_in_a_task(claim: Claim, store: VariableTokenStore) -> None:
    def build(task_id: str) -> PythonOperator:
        return PythonOperator(task_id=task_id, python_callable=claim, op_args=[store])

    attempt = Run(build).attempt()
    assert attempt.state == "success", attempt.shown
