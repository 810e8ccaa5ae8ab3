# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A rotated refresh token is durable before its access token is used."""

from __future__ import annotations

import pytest

from airflow_imap_oauth.exceptions import TokenPersistError, TokenStoreError
from airflow_imap_oauth.tokens.record_keeper import RecordKeeper
from tests.tokens.support import FIXED_PROFILE, Rig, broken_store_error, sealer_of, settings


def _expired(rig: Rig) -> None:
    rig.manager().get_access_token()
    rig.expire()


def test_the_record_is_saved_before_the_token_is_returned(rig: Rig) -> None:
    """When a token is handed out, the store already holds the refresh token that came with it."""
    token = rig.manager().get_access_token()
    again = rig.manager(seed=None)
    assert again.get_access_token() == token
    rig.expire()
    again.get_access_token()
    assert rig.grant.requests == 2


def test_a_store_that_fails_after_a_rotation(rig: Rig) -> None:
    """When the rotated refresh token cannot be saved, the access token is not handed out."""
    _expired(rig)
    rig.break_store_after_answer()
    with pytest.raises(TokenPersistError, match=r"connection 'mail'.*The store is full") as caught:
        rig.manager().get_access_token()
    assert caught.value.retry_helps
    assert "access-" not in str(caught.value)


def test_a_store_that_fails_without_a_rotation(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing can be lost, the access token serves although the store does not work."""
    rig.settings = settings(profile=FIXED_PROFILE)
    rig.grant.rotates = False
    rig.store.fail_save = broken_store_error()
    assert rig.manager().get_access_token()
    assert "The store is full" in caplog.text


def test_a_store_that_fails_before_the_request(rig: Rig) -> None:
    """A store that cannot be written shows before a refresh token is spent."""
    rig.store.fail_save = broken_store_error()
    with pytest.raises(TokenStoreError, match="The store is full"):
        rig.manager().get_access_token()
    assert rig.grant.requests == 0
    rig.store.fail_save = None
    assert rig.manager().get_access_token()


def test_saving_is_retried(rig: Rig) -> None:
    """A store that stumbles once costs nothing."""
    _expired(rig)
    rig.break_store_after_answer()
    save = rig.store.save

    def stumble(conn_id: str, text: str) -> None:
        try:
            save(conn_id, text)
        finally:
            rig.store.fail_save = None

    rig.store.save = stumble
    rig.manager().get_access_token()
    assert rig.store.record.generation == 3


def test_any_error_of_a_store_counts(rig: Rig) -> None:
    """Also when a third-party store raises an error of its own, the token is not handed out."""
    _expired(rig)
    rig.break_store_after_answer(RuntimeError("canary"))
    with pytest.raises(TokenPersistError) as caught:
        rig.manager().get_access_token()
    assert "canary" not in str(caught.value)


def test_what_could_not_be_saved_is_saved_later(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """Once the store works again, another process of the host saves it and goes on from there."""
    _expired(rig)
    rig.break_store_after_answer()
    with pytest.raises(TokenPersistError):
        rig.manager().get_access_token()
    rig.store.fail_save = None
    token = rig.manager().get_access_token()
    assert rig.grant.requests == 2
    rig.expire()
    assert rig.manager().get_access_token() != token
    assert len(set(rig.grant.spent)) == 3
    assert "saved the rotated refresh token" in caplog.text


def test_while_the_store_is_broken_nothing_more_is_spent(rig: Rig) -> None:
    """As long as a rotated refresh token waits to be saved, its predecessor is not spent again."""
    _expired(rig)
    rig.break_store_after_answer()
    for _ in range(3):
        with pytest.raises(TokenPersistError):
            rig.manager().get_access_token()
    assert rig.grant.requests == 2


def test_what_waits_is_dropped_when_something_newer_is_there(rig: Rig) -> None:
    """A record that was authorized anew meanwhile is not replaced by what waited."""
    _expired(rig)
    rig.break_store_after_answer()
    with pytest.raises(TokenPersistError):
        rig.manager().get_access_token()
    rig.store.fail_save = None
    rig.grant.living = "seed-2"
    other_host = rig.manager(seed="seed-2", lock_folder=rig.folder / "locks of another host")
    token = other_host.get_access_token()
    assert rig.manager(seed="seed-2").get_access_token() == token
    rig.expire()
    rig.manager(seed="seed-2").get_access_token()
    assert rig.store.record.status == "active"


def test_what_waits_of_another_installation_is_left_alone(rig: Rig) -> None:
    """Two installations that share a lock folder do not take each other's tokens."""
    _expired(rig)
    rig.break_store_after_answer()
    with pytest.raises(TokenPersistError):
        rig.manager().get_access_token()
    waiting = [path.read_text() for path in (rig.folder / "locks" / "unsaved").iterdir()]
    other = Rig(rig.folder)
    other.imap_host = "other.example.com"
    other.manager().get_access_token()
    assert other.grant.spent == ["seed-1"]
    assert [path.read_text() for path in (rig.folder / "locks" / "unsaved").iterdir()] == waiting


def test_what_waits_survives_sealing_anew(rig: Rig) -> None:
    """When another host only seals the record anew meanwhile, what waits is still the newer one."""
    _expired(rig)
    rig.break_store_after_answer()
    with pytest.raises(TokenPersistError):
        rig.manager().get_access_token()
    rig.store.fail_save = None
    rig.clock.move(600)
    another = rig.folder / "locks of another host"
    rig.manager(sealer=sealer_of(2, 1), lock_folder=another).reseal()
    rig.sealer = sealer_of(2, 1)
    assert rig.manager().get_access_token()
    assert rig.grant.requests == 2
    rig.expire()
    assert rig.manager().get_access_token()
    assert rig.store.record.status == "active"


def test_attempts_to_save_end_in_time(rig: Rig) -> None:
    """A store that takes long to fail is not tried again, as other hosts wait for this one."""
    _expired(rig)
    record = rig.store.record
    rig.store.fail_save = broken_store_error()

    def slow() -> float:
        rig.clock.move(30)
        return rig.clock.instant.timestamp()

    keeper = RecordKeeper(
        rig.store,
        "mail",
        unsaved_folder=rig.folder / "unsaved",
        retry_delays_seconds=(0.0,) * 9,
        monotonic=slow,
    )
    rig.store.saves = 0
    with pytest.raises(TokenPersistError):
        keeper.save_rotated(record)
    assert rig.store.saves == 2


def test_an_interrupted_save_is_kept(rig: Rig) -> None:
    """A time limit that strikes while saving does not lose the rotated refresh token."""

    class TimeLimitError(BaseException):
        """As Airflow's, which no ``except Exception`` catches."""

    _expired(rig)
    save = rig.store.save

    def interrupted(_conn_id: str, _text: str) -> None:
        raise TimeLimitError

    rig.store.save = interrupted
    with pytest.raises(TimeLimitError):
        rig.manager().get_access_token()
    rig.store.save = save
    rig.manager().get_access_token()
    assert rig.grant.requests == 2


def test_where_nothing_can_be_kept_it_is_said(rig: Rig) -> None:
    """When the host cannot keep it either, the message says so."""
    _expired(rig)

    def break_both() -> None:
        rig.store.fail_save = broken_store_error()
        # A file cannot take the place of a folder.
        (rig.folder / "locks" / "unsaved").mkdir(mode=0o700)
        (rig.folder / "locks" / "unsaved" / "mail.json").mkdir()

    rig.grant.before_answer = break_both
    with pytest.raises(TokenPersistError, match="could not be kept either"):
        rig.manager().get_access_token()


def test_an_early_renewal_that_cannot_be_saved_is_told(rig: Rig) -> None:
    """A rotated refresh token that is not safe is told at once, although a token still lives."""
    rig.manager().get_access_token()
    rig.clock.move(3600 - 250)
    rig.break_store_after_answer()
    with pytest.raises(TokenPersistError):
        rig.manager().get_access_token()


def test_an_authorization_that_cannot_be_saved_is_told(rig: Rig) -> None:
    """The command that authorizes learns that the store does not work."""
    rig.store.fail_save = broken_store_error()
    response = rig.grant("seed-1")
    with pytest.raises(TokenStoreError):
        rig.manager().accept_authorization(response)
