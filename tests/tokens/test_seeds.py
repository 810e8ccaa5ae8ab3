# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Which refresh token rules: the one in the connection, or the one in the record."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_imap_oauth.exceptions import ReauthorizationRequiredError, SealingError
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.tokens.binding import binding
from airflow_imap_oauth.tokens.seeds import seal_refresh_token
from tests.tokens.support import FIXED_PROFILE, Rig, sealer_of, settings


def _response(refresh: str | None, access: str = "access-0") -> TokenResponse:
    return TokenResponse(access_token=access, expires_in_seconds=3600, refresh_token=refresh)


def _sealed(rig: Rig, refresh: str = "seed-1") -> str:
    return seal_refresh_token(
        _response(refresh),
        settings=rig.settings,
        binding=binding(rig.settings, rig.imap_host),
        sealer=rig.sealer,
    )


def test_a_sealed_seed_works(rig: Rig) -> None:
    """The refresh token may stand sealed in the connection."""
    rig.manager(seed=_sealed(rig)).get_access_token()
    assert rig.grant.spent == ["seed-1"]


def test_sealing_a_seed_in_place_changes_nothing(rig: Rig) -> None:
    """The same refresh token, sealed since, or sealed anew, is no new seed."""
    rig.manager(seed="seed-1").get_access_token()
    rig.expire()
    for _ in range(2):
        rig.manager(seed=_sealed(rig)).get_access_token()
        rig.expire()
    assert rig.grant.spent.count("seed-1") == 1


def test_a_new_seed_wins(rig: Rig) -> None:
    """A refresh token that somebody puts into the connection wins over the record."""
    rig.manager().get_access_token()
    before = rig.store.record.generation
    rig.grant.living = "seed-2"
    rig.manager(seed="seed-2").get_access_token()
    assert rig.grant.spent == ["seed-1", "seed-2"]
    assert rig.store.record.generation > before


def test_a_superseded_seed_never_wins(rig: Rig) -> None:
    """To apply an old configuration again does not kill the mailbox."""
    for seed in ("seed-1", "seed-2", "seed-3"):
        rig.grant.living = seed
        rig.manager(seed=seed).get_access_token()
    for seed in ("seed-1", "seed-2", "seed-3", None):
        rig.expire()
        rig.manager(seed=seed).get_access_token()
    assert [rig.grant.spent.count(f"seed-{number}") for number in (1, 2, 3)] == [1, 1, 1]
    assert rig.store.record.status == "active"


def test_a_new_seed_ends_the_need_to_authorize(rig: Rig) -> None:
    """After a new authorization the connection works again."""
    rig.grant.living = None
    with pytest.raises(ReauthorizationRequiredError):
        rig.manager().get_access_token()
    rig.grant.living = "seed-2"
    rig.manager(seed="seed-2").get_access_token()
    assert rig.manager(seed="seed-2").state().status == "active"


def test_blanks_around_a_seed_do_not_matter(rig: Rig) -> None:
    """A refresh token pasted with a newline is the same refresh token."""
    rig.manager(seed=" seed-1\n").get_access_token()
    assert rig.grant.spent == ["seed-1"]


# --- What does not open -----------------------------------------------------------------------


def test_a_seed_for_another_host_does_not_open(rig: Rig) -> None:
    """Whoever points the connection at his own server does not get the refresh token there."""
    sealed = _sealed(rig)
    manager = rig.manager(seed=sealed, imap_host="imap.evil.example")
    with pytest.raises(SealingError, match=r"connection 'mail'.*authorize again"):
        manager.get_access_token()
    assert rig.grant.requests == 0


def test_neither_record_nor_seed_opens(rig: Rig) -> None:
    """After an endpoint was changed, the record does not open either, and nothing is sent."""
    sealed = _sealed(rig)
    rig.manager(seed=sealed).get_access_token()
    text = rig.store.texts["mail"]
    changed = rig.manager(seed=sealed, settings=settings(client_id="evil"))
    with pytest.raises(SealingError):
        changed.get_access_token()
    assert (rig.grant.requests, rig.store.texts["mail"]) == (1, text)


def test_the_change_undone_all_is_well(rig: Rig) -> None:
    """When the change is undone, the record opens again and nothing was lost."""
    sealed = _sealed(rig)
    token = rig.manager(seed=sealed).get_access_token()
    with pytest.raises(SealingError):
        rig.manager(seed=sealed, imap_host="typo.example.com").get_access_token()
    assert rig.manager(seed=sealed).get_access_token() == token


def test_a_plain_seed_begins_anew_after_a_change(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """A record for other settings gives way to its own plain seed, with a warning."""
    rig.manager().get_access_token()
    rig.grant.living = "seed-1"
    rig.manager(imap_host="imap2.example.com").get_access_token()
    assert rig.grant.spent == ["seed-1", "seed-1"]
    assert "token record does not open" in caplog.text


def test_a_failed_new_beginning_leaves_the_record(rig: Rig) -> None:
    """Should the plain seed be dead, the record that opens with the old settings survives."""
    token = rig.manager().get_access_token()
    text = rig.store.texts["mail"]
    with pytest.raises(ReauthorizationRequiredError):
        rig.manager(imap_host="typo.example.com").get_access_token()
    assert rig.store.texts["mail"] == text
    assert rig.manager().get_access_token() == token


def test_a_host_without_the_key_spends_nothing(rig: Rig) -> None:
    """A host that lacks the key does not spend a seed that other hosts have rotated away."""
    rig.manager().get_access_token()
    with pytest.raises(SealingError, match=r"key 000000000001.*\[imap_oauth\] token_keys"):
        rig.manager(sealer=sealer_of(2)).get_access_token()
    assert rig.grant.requests == 1


def test_without_the_key_a_fixed_seed_is_used(rig: Rig) -> None:
    """Where the mail provider never rotates, the seed is as good as the record."""
    fixed = settings(profile=FIXED_PROFILE)
    rig.grant.rotates = False
    rig.manager(settings=fixed).get_access_token()
    rig.manager(settings=fixed, sealer=sealer_of(2)).get_access_token()
    assert rig.grant.spent == ["seed-1", "seed-1"]


def test_without_the_key_a_new_seed_is_used(rig: Rig) -> None:
    """After the key is lost, a new authorization is enough."""
    rig.manager().get_access_token()
    rig.grant.living = "seed-2"
    rig.manager(seed="seed-2", sealer=sealer_of(2)).get_access_token()
    assert rig.store.record.status == "active"


def test_without_any_key_nothing_is_spent(rig: Rig) -> None:
    """What cannot be saved sealed is not asked for."""
    with pytest.raises(SealingError, match="token_keys"):
        rig.manager(sealer=sealer_of()).get_access_token()
    assert (rig.grant.requests, rig.store.saves) == (0, 0)


def test_a_seed_that_does_not_open_does_not_stop_the_record(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """While the record works, a seed that does not open is a warning."""
    rig.manager().get_access_token()
    rig.expire()
    rig.manager(seed=_sealed(rig)[:-4]).get_access_token()
    assert "connection's refresh token does not open" in caplog.text


def test_a_seed_that_does_not_open_explains_a_dead_record(rig: Rig) -> None:
    """When the record is dead and the new authorization does not open here, that is the error."""
    rig.grant.living = None
    with pytest.raises(ReauthorizationRequiredError):
        rig.manager().get_access_token()
    other = Rig(rig.folder / "other")
    other.sealer = sealer_of(2)
    authorized = rig.manager(seed=_sealed(other, "seed-2"))
    with pytest.raises(SealingError, match="000000000002"):
        authorized.get_access_token()


def test_keys_are_rotated_without_a_new_authorization(rig: Rig) -> None:
    """With a new key in front of the old one, the next renewal seals with the new one."""
    rig.manager().get_access_token()
    rig.expire()
    rig.manager(sealer=sealer_of(2, 1)).get_access_token()
    rig.expire()
    rig.manager(sealer=sealer_of(2)).get_access_token()
    assert rig.grant.requests == 3


# --- Swapped secrets --------------------------------------------------------------------------


def test_a_record_of_another_connection_does_not_open(rig: Rig) -> None:
    """The record of one mailbox cannot be passed off as that of another with the same client."""
    rig.manager().get_access_token()
    rig.store.texts["boss"] = rig.store.texts["mail"]
    with pytest.raises(SealingError):
        rig.manager(seed=None, settings=settings(conn_id="boss")).get_access_token()


def test_tokens_of_a_record_cannot_be_swapped(rig: Rig) -> None:
    """A refresh token put in place of the access token is not sent to the IMAP server."""
    rig.manager().get_access_token()
    record = rig.store.record
    swapped = replace(record, access_token=record.refresh_token)
    rig.store.texts["mail"] = swapped.to_json()
    with pytest.raises(SealingError):
        rig.manager(seed=None).get_access_token()


def test_a_sealed_seed_is_no_access_token(rig: Rig) -> None:
    """The sealed refresh token of the connection does not open as anything of the record."""
    rig.manager().get_access_token()
    swapped = replace(rig.store.record, access_token=_sealed(rig))
    rig.store.texts["mail"] = swapped.to_json()
    with pytest.raises(SealingError):
        rig.manager(seed=None).get_access_token()


# --- After an authorization -------------------------------------------------------------------


def test_an_authorization_without_refresh_token(rig: Rig) -> None:
    """Without a refresh token the authorization is of no use, and the message says why."""
    with pytest.raises(ReauthorizationRequiredError, match=r"connection 'mail'.*offline_access"):
        seal_refresh_token(_response(None), settings=rig.settings, binding={}, sealer=rig.sealer)
    with pytest.raises(ReauthorizationRequiredError, match=r"connection 'mail'.*offline_access"):
        rig.manager().accept_authorization(_response(None))


def test_an_authorization_sets_the_record_right(rig: Rig) -> None:
    """The first access token is used without a request, and the new refresh token after it."""
    rig.grant.living = None
    with pytest.raises(ReauthorizationRequiredError):
        rig.manager().get_access_token()
    rig.grant.living = "seed-2"
    rig.manager().accept_authorization(_response("seed-2", "access-of-login"))
    for seed in (_sealed(rig, "seed-2"), "seed-1"):
        assert rig.manager(seed=seed).get_access_token() == "access-of-login"
    rig.expire()
    rig.manager(seed=_sealed(rig, "seed-2")).get_access_token()
    assert rig.grant.spent[1:] == ["seed-2"]


def test_an_authorization_replaces_a_broken_record(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """An explicit authorization puts a record right that nothing else may replace."""
    rig.store.texts["mail"] = "garbage"
    rig.manager().accept_authorization(_response("seed-2", "access-of-login"))
    assert rig.manager(seed="seed-2").get_access_token() == "access-of-login"
    assert "cannot be understood" in caplog.text
