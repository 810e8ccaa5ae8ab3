# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Processes that are killed amid a renewal: no token is lost where the server allows it."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from airflow_imap_oauth.exceptions import (
    ClientRejectedError,
    ReauthorizationRequiredError,
    TransientOAuthError,
)
from tests.oauth import clients
from tests.tokens.mishaps import STEPS, Step, killed_at, killed_within, survivor
from tests.tokens.workers import STORE_NAMES, StoreName
from tests.tokens.world import CUT_OFF, World

#: Of a renewal in a process that is forked, on a machine at rest; some outlive it.
RENEWAL_SECONDS = 0.2

#: After these the only living refresh token of a strict server died with the process.
LOSING: tuple[Step, ...] = ("answered", "saving")


# --- Killed -----------------------------------------------------------------------------------


@pytest.mark.parametrize("store_name", STORE_NAMES)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", ["same", "kept"])
def test_killed_at_a_tolerant_server(
    world: World, kind: str, step: Step, store_name: StoreName
) -> None:
    """Where the refresh token before a renewal still serves, a kill costs a request at most."""
    host = world.host(kind, store_name)
    assert killed_at(host, step)
    world.assert_well(host)


@pytest.mark.parametrize("store_name", STORE_NAMES)
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_strict_server(world: World, step: Step, store_name: StoreName) -> None:
    """Either all goes on, or somebody is told which renewal was cut off; a request is made once."""
    host = world.host("strict", store_name)
    assert killed_at(host, step)
    began_at = host.record().in_flight_at
    if step in LOSING:
        assert began_at is not None
        world.assert_told(host, began_at)
        assert world.server.token_requests == 2
    else:
        world.assert_well(host)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("store_name", STORE_NAMES)
def test_another_host_goes_on(world: World, step: Step, store_name: StoreName) -> None:
    """When a whole host is gone, another one renews once its lease counts as abandoned."""
    host = world.host("kept", store_name)
    assert killed_at(host, step)
    world.assert_well(host.another())


SEEDS = [*range(20), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(20, 220))]


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_again_and_again(world: World, seed: int) -> None:
    """Whenever up to three workers in a row are killed, nothing is lost without a word."""
    chance = random.Random(seed)  # noqa: S311  # the same kills in every run
    kind = chance.choice(["strict", "same", "kept"])
    host = world.host(kind, chance.choice(STORE_NAMES))
    for _ in range(chance.randint(1, 3)):
        host.expire()
        if chance.random() < 0.5:
            killed_at(host, chance.choice(STEPS))
        else:
            killed_within(host, chance.uniform(0, RENEWAL_SECONDS))
    began_at = host.record().in_flight_at
    later = host.another() if chance.random() < 0.5 else host
    try:
        later.manager(survivor(host)).get_access_token()
    except ReauthorizationRequiredError:
        assert kind == "strict"
        state = host.manager().state()
        assert state.status == "needs_authorization"
        assert "was cut off before its answer was saved" in (state.reason or "")
        assert began_at is None or CUT_OFF.format(at=began_at) in (state.reason or "")
        assert host.record().refresh_token
    else:
        world.assert_well(later)


# --- What the note of a renewal tells ---------------------------------------------------------


def test_answer_that_comes_too_late(world: World) -> None:
    """After a read timeout it stays noted what was sent, and a refusal is explained by that."""
    host = world.host("strict")
    transport = replace(host.settings.transport, read_timeout_seconds=0.2)
    hasty = replace(host, settings=replace(host.settings, transport=transport))
    world.server.fail_next("token", "slow", seconds=0.6)
    with pytest.raises(TransientOAuthError):
        hasty.manager().get_access_token()
    began_at = host.record().in_flight_at
    assert began_at is not None
    world.assert_told(host, began_at)


def test_definite_refusal_leaves_nothing_in_flight(world: World) -> None:
    """When the server refuses a request for good, its refresh token was not spent."""
    host = world.host("strict")
    wrong = replace(host, settings=replace(host.settings, client_secret="wrong"))
    with pytest.raises(ClientRejectedError):
        wrong.manager().get_access_token()
    assert host.record().in_flight_at is None
    world.assert_well(host)


def test_refusal_for_another_reason_explains_nothing(world: World) -> None:
    """A renewal that was cut off is remembered until the fate of its refresh token is known."""
    host = world.host("strict")
    assert killed_at(host, "answered")
    began_at = host.record().in_flight_at
    assert began_at is not None
    wrong = replace(host, settings=replace(host.settings, client_secret="wrong"))
    with pytest.raises(ClientRejectedError):
        wrong.manager().get_access_token()
    world.assert_told(host, began_at)


def test_outage_after_a_crash(world: World) -> None:
    """A server that is out of order settles nothing: somebody is told all the same."""
    host = world.host("strict")
    assert killed_at(host, "answered")
    world.server.fail_next("token", "status", status=503)
    with pytest.raises(TransientOAuthError):
        host.manager().get_access_token()
    began_at = host.record().in_flight_at
    assert began_at is not None
    world.assert_told(host, began_at)


def test_what_the_server_said_is_told_too(world: World) -> None:
    """The crash may not be the cause, so that the refusal itself is quoted."""
    host = world.host("strict")
    assert killed_at(host, "announced")
    world.server.revoke_all(clients.LOGIN)
    with pytest.raises(ReauthorizationRequiredError, match=r"cut off before.*invalid_grant"):
        host.manager().get_access_token()
    assert "invalid_grant" in (host.manager().state().reason or "")


@pytest.mark.parametrize(("kind", "tried"), [("strict", 1), ("kept", 2)])
def test_refresh_token_before_the_last_rotation(world: World, kind: str, tried: int) -> None:
    """After a refusal it is tried where it goes on to work, and never where that is punished."""
    host = world.host(kind)
    host.manager().get_access_token()
    host.expire()
    world.server.reset_counters()
    world.server.fail_next("token", "json_error", error="invalid_grant")
    if kind == "strict":
        with pytest.raises(ReauthorizationRequiredError):
            host.manager().get_access_token()
    else:
        assert host.manager().get_access_token()
    spent = [one.parameters["refresh_token"] for one in world.server.recorded("token")]
    assert len(spent) == len(set(spent)) == tried
