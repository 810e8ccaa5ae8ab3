# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""After a change of keys the tokens are sealed anew, and the old key can go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from airflow_imap_oauth.exceptions import SealingError, TokenPersistError, TokenStoreError
from airflow_imap_oauth.tokens.file_store import FileTokenStore
from airflow_imap_oauth.tokens.leases import HostMemory, Lease, LeaseTerms, NoLease
from airflow_imap_oauth.tokens.record import TokenRecord
from airflow_imap_oauth.tokens.sql_store import SqlTokenStore
from tests.tokens.support import Rig, broken_store_error, sealer_of

NEW_KEY_ID = "000000000002"


def rotated_once(rig: Rig) -> None:
    """Let the record hold an access token, a refresh token and the one before."""
    rig.manager().get_access_token()
    rig.expire()
    rig.manager().get_access_token()


def reseal(rig: Rig) -> None:
    """Seal anew with a new key in front of the old one, and go on with the new one alone."""
    rig.sealer = sealer_of(2, 1)
    rig.manager().reseal()
    rig.sealer = sealer_of(2)


def key_ids(record: TokenRecord) -> set[str]:
    """Return the names of the keys that sealed what the record holds."""
    sealed = (record.access_token, record.refresh_token, record.previous_refresh_token)
    return {text.split(":")[2] for text in sealed if text}


def test_all_tokens_open_with_the_new_key_alone(rig: Rig) -> None:
    """Access token, refresh token and the one before it need the old key no more."""
    rotated_once(rig)
    token = rig.manager().get_access_token()
    reseal(rig)
    assert key_ids(rig.store.record) == {NEW_KEY_ID}
    assert rig.manager(seed=None).get_access_token() == token
    rig.expire()
    rig.manager(seed=None).get_access_token()
    assert rig.grant.requests == 3


def test_nothing_but_the_sealing_changes(rig: Rig) -> None:
    """The record is a generation later, and the rest of it is as it was."""
    rotated_once(rig)
    before = rig.store.record
    reseal(rig)
    after = rig.store.record
    assert after.generation == before.generation + 1
    tokens = ("access_token", "refresh_token", "previous_refresh_token")
    assert after == replace(
        before, generation=after.generation, **{name: getattr(after, name) for name in tokens}
    )


def test_second_time_nothing_is_written(rig: Rig) -> None:
    """What the first key has sealed is left alone."""
    rotated_once(rig)
    reseal(rig)
    saves = rig.store.saves
    assert not rig.manager().must_reseal()
    rig.manager().reseal()
    assert rig.store.saves == saves


def test_to_look_changes_nothing(rig: Rig) -> None:
    """That there is something to do can be told without doing it."""
    rotated_once(rig)
    text = rig.store.texts["mail"]
    assert rig.manager(sealer=sealer_of(2, 1)).must_reseal()
    assert rig.store.texts["mail"] == text


def test_without_a_record_there_is_nothing_to_do(rig: Rig) -> None:
    """A connection that was not used yet has no tokens in the store, and gets none."""
    assert not rig.manager().must_reseal()
    reseal(rig)
    assert rig.store.texts == {}


def test_access_token_without_its_key_is_dropped(rig: Rig) -> None:
    """An access token whose key is gone costs one renewal, not the refresh token."""
    rig.manager().get_access_token()
    old = rig.store.record.access_token
    reseal(rig)
    rig.store.texts["mail"] = replace(rig.store.record, access_token=old).to_json()
    rig.manager().reseal()
    assert (rig.store.record.access_token, rig.store.record.access_token_expires_at) == (None, None)
    assert rig.manager().get_access_token()


def test_refresh_token_before_without_its_key_stays(rig: Rig) -> None:
    """The refresh token before the last rotation is not thrown away because its key is not here."""
    rotated_once(rig)
    old = rig.store.record.previous_refresh_token
    reseal(rig)
    rig.store.texts["mail"] = replace(rig.store.record, previous_refresh_token=old).to_json()
    rig.manager().reseal()
    assert rig.store.record.previous_refresh_token == old


def test_record_without_its_key_is_told(rig: Rig) -> None:
    """Tokens whose key is not here are an error that names the key, and stay as they are."""
    rotated_once(rig)
    text = rig.store.texts["mail"]
    for act in (
        rig.manager(sealer=sealer_of(2)).must_reseal,
        rig.manager(sealer=sealer_of(2)).reseal,
    ):
        with pytest.raises(SealingError, match=r"connection 'mail'.*key 000000000001"):
            act()
    assert rig.store.texts["mail"] == text


def test_record_that_a_new_seed_replaces_is_no_hindrance(rig: Rig) -> None:
    """Tokens whose key is lost need not open once somebody has authorized again."""
    rotated_once(rig)
    assert not rig.manager(seed="seed-2", sealer=sealer_of(2)).must_reseal()


def test_what_could_not_be_saved_is_saved_first(rig: Rig) -> None:
    """A refresh token that only this host has gets into the store, sealed by the new key."""
    rig.manager().get_access_token()
    rig.expire()
    rig.break_store_after_answer()
    with pytest.raises(TokenPersistError):
        rig.manager().get_access_token()
    rig.store.fail_save = None
    assert rig.manager().must_reseal()
    reseal(rig)
    assert not [*(rig.folder / "locks" / "unsaved").glob("*")]
    assert rig.manager(seed=None).get_access_token()
    assert rig.grant.requests == 2


def test_store_that_fails_leaves_the_old_record(rig: Rig) -> None:
    """After a failure all opens with the old key as before, and the next attempt does it."""
    rotated_once(rig)
    rig.store.fail_save = broken_store_error()
    with pytest.raises(TokenStoreError, match="The store is full"):
        rig.manager(sealer=sealer_of(2, 1)).reseal()
    rig.store.fail_save = None
    assert rig.manager().get_access_token()
    reseal(rig)
    assert key_ids(rig.store.record) == {NEW_KEY_ID}


def in_flight(rig: Rig) -> None:
    """Let a renewal go out whose answer is not saved yet."""
    rig.manager().get_access_token()
    rig.expire()
    record = replace(
        rig.store.record, in_flight_fingerprint="0" * 32, in_flight_at=rig.clock.instant
    )
    rig.store.texts["mail"] = record.to_json()


def test_without_a_lease_a_renewal_under_way_is_waited_for(rig: Rig) -> None:
    """Where hosts do not take turns, a record whose renewal may be under way is left alone."""
    in_flight(rig)
    text = rig.store.texts["mail"]
    with pytest.raises(TokenStoreError, match=r"A renewal began at .*Try again in") as caught:
        rig.manager(sealer=sealer_of(2, 1)).reseal()
    assert caught.value.retry_helps
    assert rig.store.texts["mail"] == text
    rig.clock.move(600)
    reseal(rig)
    assert key_ids(rig.store.record) == {NEW_KEY_ID}


def test_with_the_lease_nobody_else_renews(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who holds the lease need not wait for what a dead host has begun, and takes it once."""
    attempts: list[int] = []

    class Noting(NoLease):
        def attempt(self, generation: int) -> bool:
            attempts.append(generation)
            return True

    def lease(terms: LeaseTerms, host: HostMemory) -> Lease:
        del terms, host
        return Noting()

    in_flight(rig)
    monkeypatch.setattr(rig.store, "lease", lease, raising=False)
    before = rig.store.record
    reseal(rig)
    assert attempts == [before.generation]
    assert rig.store.record.in_flight_at == before.in_flight_at
    assert key_ids(rig.store.record) == {NEW_KEY_ID}


@pytest.mark.parametrize("kind", ["sql", "file"])
def test_lease_is_free_afterwards(rig: Rig, kind: str) -> None:
    """With a store that parts hosts, the next renewal need not wait, and opens what it finds."""
    database = f"sqlite:///{rig.folder}/tokens.db"
    rig.store = SqlTokenStore(database) if kind == "sql" else FileTokenStore(rig.folder / "tokens")
    rotated_once(rig)
    reseal(rig)
    assert key_ids(TokenRecord.from_json(rig.store.load("mail"))) == {NEW_KEY_ID}
    rig.expire()
    # Another host: it knows nothing of who held the lease here.
    assert rig.manager(seed=None, lock_folder=rig.folder / "other").get_access_token()
    assert rig.grant.requests == 3


def test_access_token_without_its_key_does_not_wake_the_seed(rig: Rig) -> None:
    """With the refresh token readable, a seed that was spent long ago is not spent again."""
    rig.manager().get_access_token()
    old = rig.store.record.access_token
    reseal(rig)
    rig.store.texts["mail"] = replace(rig.store.record, access_token=old).to_json()
    rig.manager().get_access_token()
    assert rig.grant.spent.count("seed-1") == 1


@pytest.mark.parametrize("act", ["must_reseal", "reseal"])
def test_store_that_does_not_answer(rig: Rig, act: str) -> None:
    """That the store does not work is raised, and a retry helps."""
    rotated_once(rig)
    rig.store.fail_load = broken_store_error()
    call: Callable[[], object] = getattr(rig.manager(sealer=sealer_of(2, 1)), act)
    with pytest.raises(TokenStoreError, match="connection 'mail'") as caught:
        call()
    assert caught.value.retry_helps
