# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the OAuth layer: a client for each engine in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.oauth.clients import CLIENTS, Client

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer


@pytest.fixture(params=sorted(CLIENTS))
def client(request: pytest.FixtureRequest, authorization_server: AuthorizationServer) -> Client:
    """Give a client of each engine in turn."""
    settings = CLIENTS[request.param](authorization_server)
    return Client(server=authorization_server, settings=settings)
