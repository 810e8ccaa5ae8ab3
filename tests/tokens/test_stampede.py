# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Many workers that need a token at the same instant are one request to a strict server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.oauth import clients
from tests.tokens.workers import STORE_NAMES, Host, run_together

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

PROCESSES = 64


@pytest.fixture(params=STORE_NAMES)
def host(
    request: pytest.FixtureRequest, authorization_server: AuthorizationServer, tmp_path: Path
) -> Host:
    """Give a host with a refresh token that was never used, with each store in turn."""
    return Host(
        settings=clients.custom(authorization_server),
        seed=authorization_server.mint_refresh_token(clients.LOGIN),
        folder=tmp_path,
        store_name=request.param,
    )


@pytest.fixture
def expired(host: Host, authorization_server: AuthorizationServer) -> Host:
    """Give a host whose token has just expired."""
    host.manager().get_access_token()
    host.expire()
    authorization_server.reset_counters()
    return host


def _hosts(host: Host, count: int) -> list[Host]:
    """Return hosts that share a store and nothing else."""
    return [host.another(number) for number in range(count)]


def test_first_token_for_many_processes(
    host: Host, authorization_server: AuthorizationServer
) -> None:
    """Where no token was ever had, sixty-four processes make one token request."""
    tokens = run_together([host] * PROCESSES)
    assert set(tokens) == {host.manager().get_access_token()}
    assert authorization_server.token_requests == 1


@pytest.mark.parametrize(("processes", "threads"), [(PROCESSES, 1), (4, 16)])
def test_processes_and_threads_of_one_host(
    expired: Host, authorization_server: AuthorizationServer, processes: int, threads: int
) -> None:
    """Sixty-four askers whose token has expired make one request, and all get its token."""
    tokens = run_together([expired] * processes, threads=threads)
    assert len(tokens) == PROCESSES
    assert set(tokens) == {expired.manager().get_access_token()}
    assert authorization_server.token_requests == 1


def test_hosts_that_share_a_store(expired: Host, authorization_server: AuthorizationServer) -> None:
    """Sixty-four hosts, parted by the store's lease alone, make one request and share its token."""
    tokens = run_together(_hosts(expired, PROCESSES))
    assert len(tokens) == PROCESSES
    assert set(tokens) == {expired.manager().get_access_token()}
    assert authorization_server.token_requests == 1
    assert expired.record().status == "active"


def test_hosts_share_a_refusal(host: Host, authorization_server: AuthorizationServer) -> None:
    """Hosts that meet a dead refresh token ask once, and all say that somebody must act."""
    authorization_server.revoke_all(clients.LOGIN)
    answers = run_together(_hosts(host, 16))
    assert all(answer.startswith("ReauthorizationRequiredError") for answer in answers), answers
    assert authorization_server.token_requests == 1
