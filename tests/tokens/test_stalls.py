# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Processes that stand still amid a renewal, and go on when another host has renewed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_imap_oauth.exceptions import TokenStoreError
from airflow_imap_oauth.tokens.leases import HostMemory, LeaseTerms, TimedLease
from tests.tokens.mishaps import Step, Stopped, survivor
from tests.tokens.support import MemoryStore, Rig
from tests.tokens.workers import WAIT_SECONDS, StoreName
from tests.tokens.world import World


@pytest.mark.parametrize("step", ["entered", "announced"])
def test_stopped_before_the_request(world: World, step: Step) -> None:
    """Whoever stood still for too long before it spent a refresh token does not spend it."""
    host = world.host("strict", "sql")
    stopped, another = Stopped(host, step), host.another()
    token = another.manager(survivor(another)).get_access_token()
    assert stopped.go_on().startswith("TokenStoreError")
    assert host.manager().get_access_token() == token
    assert world.server.token_requests == 1
    world.assert_well(host)


def test_nobody_passes_a_holder_whose_lock_the_system_keeps(world: World) -> None:
    """While a holder of the file lease is stopped, another host waits, and gets its token."""
    host = world.host("strict", "file")
    stopped, another = Stopped(host, "announced"), host.another()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(another.manager().get_access_token)
        token = stopped.go_on()
        assert waiting.result(WAIT_SECONDS) == token
    assert world.server.token_requests == 1


@pytest.mark.parametrize(
    ("store_name", "at"), [("sql", "received"), ("sql", "answered"), ("plain", "received")]
)
def test_stopped_before_the_save(world: World, store_name: StoreName, at: Step) -> None:
    """What a host has saved meanwhile is newer, and stays."""
    host = world.host("kept", store_name)
    stopped, another = Stopped(host, at), host.another()
    another.manager(survivor(another)).get_access_token()
    saved = host.record()
    assert world.server.introspect(stopped.go_on())["active"]
    assert host.record() == saved
    assert world.server.token_requests == 2
    world.assert_well(host)


def test_time_runs_out_with_a_timed_lease(rig: Rig) -> None:
    """Where a lease ends by time alone, a holder that stood still spends nothing either."""

    def seconds() -> float:
        return rig.clock.instant.timestamp()

    class Register:
        """A text that all hosts share."""

        text: str | None = None

        def read(self) -> str | None:
            """Return it."""
            return self.text

        def write(self, text: str) -> None:
            """Overwrite it."""
            self.text = text

    class Store(MemoryStore):
        """A store with such a lease."""

        def lease(self, terms: LeaseTerms, host: HostMemory) -> TimedLease:
            """Return it."""
            return TimedLease(
                Register(),
                terms,
                host=host,
                delay_seconds=1.0,
                monotonic=seconds,
                sleep=rig.clock.move,
            )

        def save(self, conn_id: str, text: str) -> None:
            """Take half a minute."""
            super().save(conn_id, text)
            rig.clock.move(30)

    rig.store = Store()
    with pytest.raises(TokenStoreError, match="stood still for too long"):
        rig.manager().get_access_token()
    assert rig.grant.requests == 0
