# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests of ui."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.hooks import connections
from tests.hooks.mailboxes import Mailbox, airflow_server, embedded_mailbox, mailbox
from tests.ui.auth_manager import FORBIDDEN

__all__ = ["airflow_server", "embedded_mailbox", "mailbox"]


@pytest.fixture(scope="module")
def application(airflow_database: None) -> Iterator[Any]:
    """Give Airflow's API application, with the plugin mounted as Airflow mounts it."""
    del airflow_database
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__AUTH_MANAGER", "tests.ui.auth_manager.PickyAuthManager")
        patch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
        from airflow.api_fastapi.app import create_app, purge_cached_app

        yield create_app(apps="core")
        purge_cached_app()


@pytest.fixture
def browser(application: Any) -> Iterator[TestClient]:
    """Give a browser that is not signed in."""
    with TestClient(application, follow_redirects=False) as client:
        yield client


@pytest.fixture
def only_mailbox(embedded_mailbox: Mailbox) -> Iterator[Mailbox]:
    """Give a mailbox, and remove what a test adds beside it."""
    yield embedded_mailbox
    for suffix in ("other", FORBIDDEN):
        connections.remove(f"{embedded_mailbox.conn_id}_{suffix}")
