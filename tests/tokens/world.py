# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Connections at the real authorization server, and whether they are well."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_imap_oauth.exceptions import ReauthorizationRequiredError
from tests.oauth import clients
from tests.tokens.mishaps import survivor
from tests.tokens.workers import Host, StoreName

if TYPE_CHECKING:
    from airflow_imap_oauth.oauth.settings import OAuthSettings
    from tests.servers.authorization_server import AuthorizationServer

CUT_OFF = r"The renewal of {at:%Y-%m-%d %H:%M} UTC was cut off before its answer was saved"


class World:
    """
    Makes hosts whose token has just expired.

    :param kind: ``strict``: the server ends a refresh token that is spent, and all of its
        descendants if it is spent again. ``same``: it stays the same. ``kept``: a new one comes,
        and the one before goes on to work.
    """

    def __init__(self, server: AuthorizationServer, folder: Path) -> None:
        self.server = server
        self._folder = folder

    def host(self, kind: str, store_name: StoreName = "file") -> Host:
        """Return a host with a consent of its own."""
        make: Callable[..., OAuthSettings] = clients.microsoft if kind == "kept" else clients.custom
        self.server.rotate_refresh_tokens = kind == "strict"
        host = Host(
            settings=make(self.server),
            seed=self.server.mint_refresh_token(clients.LOGIN),
            folder=self._folder,
            store_name=store_name,
        )
        host.manager().get_access_token()
        host.expire()
        self.server.reset_counters()
        return host

    def assert_well(self, host: Host) -> None:
        """Renew once more than needed: the refresh token in the record must live, too."""
        for _ in range(2):
            token = host.manager(survivor(host)).get_access_token()
            assert self.server.introspect(token)["active"]
            host.expire()

    def assert_told(self, host: Host, began_at: datetime) -> None:
        """Somebody is told to authorize, why, and since when; the refresh token is kept."""
        before = host.record()
        told = CUT_OFF.format(at=began_at)
        with pytest.raises(ReauthorizationRequiredError, match=told):
            host.manager(survivor(host)).get_access_token()
        state = host.manager().state()
        assert state.status == "needs_authorization"
        assert told in (state.reason or "")
        assert host.record().refresh_token == before.refresh_token
