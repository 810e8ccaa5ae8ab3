# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests of commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.cli.running import CONN_ID
from tests.hooks import connections
from tests.hooks.mailboxes import airflow_server, embedded_mailbox, forget_tokens

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

__all__ = ["airflow_server", "embedded_mailbox"]


@pytest.fixture(autouse=True)
def _hook_as_in_the_api_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the hook find connections in the database, as it does in the API server."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")


@pytest.fixture
def account(
    authorization_server: AuthorizationServer, imap_login: Callable[[], str]
) -> Iterator[str]:
    """Give a connection without a refresh token, and the address of its account."""
    address = imap_login()
    connections.add(CONN_ID, login=address, extra=connections.custom(authorization_server))
    yield address
    connections.remove(CONN_ID)
    forget_tokens(CONN_ID)
