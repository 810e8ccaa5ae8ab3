# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Handing out and renewing access tokens, with a strict grant, a store in memory and a clock."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_imap_oauth.exceptions import (
    ClientRejectedError,
    ConfigurationError,
    ReauthorizationRequiredError,
    TokenResponseError,
    TokenStoreError,
    TransientOAuthError,
)
from airflow_imap_oauth.tokens.locks import RenewalLock
from tests.tokens.support import START_AT, Rig, broken_store_error


def test_the_first_token(rig: Rig) -> None:
    """The first call spends the connection's refresh token once."""
    assert rig.manager().get_access_token().startswith("access-")
    assert rig.grant.spent == ["seed-1"]


def test_the_hot_path_is_one_read(rig: Rig) -> None:
    """With a living token there is one read of the store, no write, no request, no lock."""
    token = rig.manager().get_access_token()
    rig.store.loads = rig.store.saves = 0
    with RenewalLock(rig.folder / "locks", "mail").hold(timeout_seconds=1):
        assert rig.manager().get_access_token() == token
    assert (rig.store.loads, rig.store.saves, rig.grant.requests) == (1, 0, 1)


def test_rfc6749_6_rotated_refresh_token_replaces_the_old_one(rig: Rig) -> None:
    """Renewal after renewal, each spends what the one before brought."""
    tokens = set()
    for _ in range(4):
        tokens.add(rig.manager().get_access_token())
        rig.expire()
    assert len(tokens) == 4
    assert len(set(rig.grant.spent)) == 4
    assert rig.store.record.generation == 5


def test_rfc6749_6_refresh_token_stays_where_none_comes(rig: Rig) -> None:
    """Where the server returns no new refresh token, the old one is used again."""
    rig.grant.rotates = False
    rig.manager().get_access_token()
    rig.expire()
    rig.manager().get_access_token()
    assert rig.grant.spent == ["seed-1", "seed-1"]
    assert rig.store.record.previous_refresh_token is None


def test_what_the_record_tells(rig: Rig) -> None:
    """The record says when the token was asked for, when it ends, and what was granted."""
    rig.grant.scopes = ("imap", "openid")
    rig.grant.before_answer = lambda: rig.clock.move(10)  # a slow answer
    rig.manager().get_access_token()
    record = rig.store.record
    assert record.last_refresh_at == START_AT
    assert record.access_token_expires_at == START_AT + timedelta(seconds=3600)
    assert record.scopes == ("imap", "openid")


def test_scopes_stay_where_the_server_is_silent(rig: Rig) -> None:
    """A response without scope leaves the granted scopes as they were."""
    rig.grant.scopes = ("imap",)
    rig.manager().get_access_token()
    rig.grant.scopes = None
    rig.expire()
    rig.manager().get_access_token()
    assert rig.store.record.scopes == ("imap",)


# --- Renewal ahead of expiry ------------------------------------------------------------------


def test_one_renews_early(rig: Rig) -> None:
    """Near its end, whoever comes first renews the token that still lives."""
    first = rig.manager().get_access_token()
    rig.clock.move(3600 - 250)
    assert rig.manager().get_access_token() != first
    assert rig.grant.requests == 2


def test_while_one_renews_early_the_others_do_not_wait(rig: Rig) -> None:
    """Whoever finds the renewal lock taken goes on with the living token."""
    first = rig.manager().get_access_token()
    rig.clock.move(3600 - 250)
    with RenewalLock(rig.folder / "locks", "mail").hold(timeout_seconds=1):
        assert rig.manager().get_access_token() == first
    assert rig.grant.requests == 1


def test_a_transient_failure_of_an_early_renewal_is_no_failure(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """The living token serves on, the failure is logged and noted, and not repeated at once."""
    first = rig.manager().get_access_token()
    rig.clock.move(3600 - 250)
    rig.grant.error = TransientOAuthError("The server is down.")
    assert rig.manager().get_access_token() == first
    assert "The server is down." in caplog.text
    assert rig.store.record.last_error is not None
    assert rig.manager().get_access_token() == first
    assert rig.grant.requests == 2


def test_a_store_that_cannot_note_it_is_no_failure_either(rig: Rig) -> None:
    """An early renewal that meets a broken store leaves the living token in use."""
    first = rig.manager().get_access_token()
    rig.clock.move(3600 - 250)
    rig.grant.error = TransientOAuthError("The server is down.")
    rig.store.fail_save = broken_store_error()
    assert rig.manager().get_access_token() == first


def test_a_dead_refresh_token_is_told_early(rig: Rig) -> None:
    """When the server refuses the refresh token, the living access token is no reason to wait."""
    rig.manager().get_access_token()
    rig.clock.move(3600 - 250)
    rig.grant.living = None
    with pytest.raises(ReauthorizationRequiredError):
        rig.manager().get_access_token()


def test_a_peer_that_renewed_early_is_enough(rig: Rig) -> None:
    """Whoever enters the lock after an early renewal takes its token instead of renewing again."""
    rig.manager().get_access_token()
    rig.clock.move(3600 - 250)
    late, peer = rig.manager(), rig.manager()
    renewed = []

    def overtake() -> None:
        rig.store.on_load = lambda: None
        stale = rig.store.texts["mail"]
        renewed.append(peer.get_access_token())
        fresh, rig.store.texts["mail"] = rig.store.texts["mail"], stale
        rig.store.on_load = lambda: rig.store.texts.update(mail=fresh)

    rig.store.on_load = overtake
    assert late.get_access_token() == renewed[0]
    assert rig.grant.requests == 2


# --- Refusals ---------------------------------------------------------------------------------


def test_a_refused_refresh_token_is_marked_not_deleted(rig: Rig) -> None:
    """After invalid_grant the record says so, since when and why, and keeps the refresh token."""
    rig.manager().get_access_token()
    kept = rig.store.record.refresh_token
    rig.expire()
    rig.grant.living = None
    with pytest.raises(ReauthorizationRequiredError, match="connection 'mail'") as caught:
        rig.manager().get_access_token()
    assert not caught.value.retry_helps
    record = rig.store.record
    assert (record.status, record.status_since_at) == ("needs_authorization", rig.clock())
    assert record.status_reason == "invalid_grant"
    assert record.refresh_token == kept


def test_a_marked_record_fails_without_a_request(rig: Rig) -> None:
    """Where only a human can help, no further request is made, and the message says since when."""
    rig.grant.living = None
    with pytest.raises(ReauthorizationRequiredError):
        rig.manager().get_access_token()
    rig.clock.move(86_400)
    with pytest.raises(ReauthorizationRequiredError, match=r"2026-03-01 12:00 UTC: invalid_grant"):
        rig.manager().get_access_token()
    assert rig.grant.requests == 1


def test_a_peers_newer_token_is_adopted(rig: Rig) -> None:
    """When another host has renewed meanwhile, its token is used instead of giving up."""
    rig.manager().get_access_token()
    rig.expire()
    # A host that shares the store, but not the lock folder.
    peers_answer = rig.grant.__class__()
    peer = rig.manager(lock_folder=rig.folder / "locks of another host", refresh=peers_answer)
    renewed = []

    def overtake() -> None:
        rig.grant.before_answer = lambda: None
        living = f"refresh-of-peer-{rig.grant.requests}"
        peers_answer.living = rig.grant.living
        renewed.append(peer.get_access_token())
        rig.grant.living = living

    rig.grant.before_answer = overtake
    assert rig.manager().get_access_token() == renewed[0]
    assert rig.store.record.status == "active"


def test_without_a_seed_somebody_must_authorize(rig: Rig) -> None:
    """With neither a record nor a refresh token, the message says how to get one."""
    with pytest.raises(ReauthorizationRequiredError, match="airflow imap-oauth login"):
        rig.manager(seed=None).get_access_token()
    with pytest.raises(ReauthorizationRequiredError, match="airflow imap-oauth login"):
        rig.manager(seed="  ").get_access_token()
    assert (rig.grant.requests, rig.store.saves) == (0, 0)


def test_a_transient_failure_leaves_the_record_usable(rig: Rig) -> None:
    """After the server recovers, the same refresh token is spent."""
    rig.manager().get_access_token()
    rig.expire()
    rig.grant.error = TransientOAuthError("The server is down.", retry_after_seconds=30)
    with pytest.raises(TransientOAuthError) as caught:
        rig.manager().get_access_token()
    assert caught.value.retry_helps
    error = rig.store.record.last_error
    assert (error.kind, error.text) == ("TransientOAuthError", "The server is down.")
    assert error.retry_at == rig.clock() + timedelta(seconds=30)
    rig.grant.error = None
    rig.manager().get_access_token()
    assert rig.grant.spent[1] == rig.grant.spent[2]
    assert rig.store.record.last_error is None


def test_a_rejected_client_is_no_dead_grant(rig: Rig) -> None:
    """A wrong client secret is told as that, and costs nobody a new authorization."""
    rig.grant.error = ClientRejectedError("invalid_client")
    with pytest.raises(ClientRejectedError):
        rig.manager().get_access_token()
    assert rig.store.record.status == "active"
    rig.grant.error = None
    rig.manager().get_access_token()


def test_those_who_waited_share_the_failure(rig: Rig) -> None:
    """Who waited for a renewal that failed is told so, with no request of his own."""
    rig.grant.error = TransientOAuthError(
        "The server is down.", hint="Look at its status page.", retry_after_seconds=30
    )
    late, peer = rig.manager(), rig.manager()

    def overtake() -> None:
        rig.store.on_load = lambda: None
        with pytest.raises(TransientOAuthError):
            peer.get_access_token()
        failed = rig.store.texts.pop("mail")
        rig.store.on_load = lambda: rig.store.texts.update(mail=failed)

    rig.store.on_load = overtake
    with pytest.raises(TransientOAuthError, match=r"The server is down.*Look at its") as caught:
        late.get_access_token()
    assert caught.value.retry_after_seconds == 30
    assert rig.grant.requests == 1


def test_the_refresh_token_of_a_refused_answer_is_saved(rig: Rig) -> None:
    """An answer that is not acceptable may still have rotated: that refresh token is kept."""
    rig.grant.fault = TokenResponseError("The token response is not of type Bearer.")
    with pytest.raises(TokenResponseError):
        rig.manager().get_access_token()
    rig.grant.fault = None
    rig.manager().get_access_token()
    assert len(set(rig.grant.spent)) == 2


def test_errors_name_the_connection(rig: Rig) -> None:
    """Whatever fails, the message says on which connection."""
    rig.store.fail_load = broken_store_error()
    with pytest.raises(TokenStoreError, match="connection 'mail', token store: The store is full"):
        rig.manager().get_access_token()


def test_a_store_may_raise_anything(rig: Rig) -> None:
    """What a third-party store raises is told by its class alone: its text may hold the record."""
    rig.store.fail_load = RuntimeError("canary")
    with pytest.raises(TokenStoreError, match="RuntimeError") as caught:
        rig.manager().get_access_token()
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_without_the_record_nothing_is_spent(rig: Rig) -> None:
    """While the store cannot be read, no refresh token is spent."""
    rig.manager().get_access_token()
    rig.expire()
    rig.store.fail_load = broken_store_error()
    with pytest.raises(TokenStoreError):
        rig.manager().get_access_token()
    assert rig.grant.requests == 1


def test_a_record_of_a_newer_version_is_left_alone(rig: Rig) -> None:
    """A record that this version does not understand is neither used nor replaced."""
    rig.store.texts["mail"] = '{"schema": 2}'
    with pytest.raises(ConfigurationError, match="Upgrade"):
        rig.manager().get_access_token()
    assert (rig.store.texts["mail"], rig.grant.requests) == ('{"schema": 2}', 0)


# --- Rejected access tokens -------------------------------------------------------------------


def test_a_rejected_token_is_not_handed_out_again(rig: Rig) -> None:
    """A token that the IMAP server rejected gives way to a new one."""
    token = rig.manager().get_access_token()
    rig.manager().reject_access_token(token)
    assert rig.manager().get_access_token() != token
    assert rig.grant.requests == 2


def test_only_the_rejected_token_is_dropped(rig: Rig) -> None:
    """A newer token, of a peer that was faster, stays."""
    rejected = rig.manager().get_access_token()
    rig.manager().reject_access_token(rejected)
    newer = rig.manager().get_access_token()
    rig.manager().reject_access_token(rejected)
    assert rig.manager().get_access_token() == newer
    assert rig.grant.requests == 2


def test_to_reject_without_a_record_is_no_error(rig: Rig) -> None:
    """Where there is no record, or one that does not open, nothing is dropped."""
    rig.manager().reject_access_token("access-x")
    assert rig.store.saves == 0
    rig.manager().get_access_token()
    saves = rig.store.saves
    rig.manager(imap_host="other.example.com").reject_access_token("access-x")
    assert rig.store.saves == saves


# --- State ------------------------------------------------------------------------------------


def test_state_of_an_active_record(rig: Rig) -> None:
    """The state tells what the record tells, after one read and no request."""
    rig.manager().get_access_token()
    rig.store.loads = 0
    state = rig.manager().state()
    assert (state.status, state.reason, state.generation) == ("active", None, 2)
    assert state.access_token_expires_at == START_AT + timedelta(hours=1)
    assert state.last_refresh_at == START_AT
    assert (rig.store.loads, rig.grant.requests) == (1, 1)


def test_state_without_anything(rig: Rig) -> None:
    """Without a record and a refresh token the state is missing."""
    assert rig.manager(seed=None).state().status == "missing"


def test_state_of_a_new_seed(rig: Rig) -> None:
    """A refresh token that was not used yet is unused, whatever the record of an earlier one."""
    assert rig.manager().state().status == "unused"
    rig.manager().get_access_token()
    assert rig.manager(seed="seed-2").state().status == "unused"


def test_state_of_a_refused_grant(rig: Rig) -> None:
    """The state says that somebody must authorize again, why, and since when."""
    rig.grant.living = None
    with pytest.raises(ReauthorizationRequiredError):
        rig.manager().get_access_token()
    state = rig.manager().state()
    assert (state.status, state.reason) == ("needs_authorization", "invalid_grant")
    assert state.since_at == START_AT
    assert state.last_error is not None


def test_state_of_what_does_not_open(rig: Rig) -> None:
    """A record for another host is unreadable, and so is a record that is none."""
    rig.manager().get_access_token()
    state = rig.manager(seed=None, imap_host="other.example.com").state()
    assert state.status == "unreadable"
    assert state.reason is not None
    assert "host" in state.reason
    rig.store.texts["mail"] = "garbage"
    assert rig.manager().state().status == "unreadable"


def test_state_raises_where_the_store_does_not_work(rig: Rig) -> None:
    """That the store is broken is no state of the tokens."""
    rig.store.fail_load = broken_store_error()
    with pytest.raises(TokenStoreError):
        rig.manager().state()
