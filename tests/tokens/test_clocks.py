# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Hosts whose clocks differ share one connection's tokens."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from airflow_imap_oauth.tokens.manager import TokenManager
from tests.tokens.support import LIFETIME_SECONDS, Rig

APART = timedelta(minutes=10)


def manager_of(rig: Rig, ahead: timedelta) -> TokenManager:
    """Return a manager on a host whose clock is ahead of the true time."""

    def now() -> datetime:
        return rig.clock() + ahead

    locks = rig.folder / f"locks of the host {ahead.total_seconds():g} s ahead"
    return rig.manager(now=now, lock_folder=locks)


@pytest.mark.parametrize("ahead", [APART, -APART], ids=["ahead", "behind"])
def test_clocks_ten_minutes_apart_cost_no_token(rig: Rig, ahead: timedelta) -> None:
    """Over a day of use each refresh token is spent once, and nobody has to authorize."""
    hosts = (timedelta(0), ahead)
    for step in range(24 * 6):
        rig.clock.move(600)
        manager_of(rig, hosts[step % 2]).get_access_token()
    assert len(set(rig.grant.spent)) == rig.grant.requests
    assert rig.store.record.status == "active"
    assert rig.grant.requests <= 2 * 24 * 3600 / LIFETIME_SECONDS


def test_token_that_only_a_slow_clock_takes_for_living_is_replaced(rig: Rig) -> None:
    """What the mail server rejects is renewed once, although the host's clock says it lives."""
    rig.manager().get_access_token()
    rig.clock.move(LIFETIME_SECONDS + 60)
    dead = manager_of(rig, -APART).get_access_token()
    assert rig.grant.requests == 1
    manager_of(rig, -APART).reject_access_token(dead)
    assert manager_of(rig, -APART).get_access_token() != dead
    assert rig.grant.requests == 2
