# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Forgetting the tokens of a connection, with or without revoking them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from airflow_imap_oauth.exceptions import (
    ClientRejectedError,
    ConfigurationError,
    ImapOAuthError,
    OAuthError,
    ReauthorizationRequiredError,
    TokenPersistError,
    TokenStoreError,
    TransientOAuthError,
)
from airflow_imap_oauth.tokens.refreshing import ServerRevocation
from tests.oauth.clients import LOGIN
from tests.oauth.dialects.clients import client_of, generic, spend_refused
from tests.tokens.support import Rig, broken_store_error

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

FAILURES = [
    TransientOAuthError("The server is down."),
    OAuthError("The server refused."),
    ClientRejectedError("invalid_client"),
    ConfigurationError("There is no revocation endpoint."),
]


def raising(error: BaseException) -> Callable[[str], None]:
    def revoke(_: str) -> None:
        raise error

    return revoke


def left_on_this_host(rig: Rig) -> list[str]:
    unsaved = rig.folder / "locks" / "unsaved"
    return [path.name for path in unsaved.rglob("*") if path.is_file()]


def persist_failure(rig: Rig) -> None:
    """Let a rotated refresh token be kept on this host, since the store does not take it."""
    rig.manager().get_access_token()
    rig.expire()
    rig.break_store_after_answer()
    with pytest.raises(TokenPersistError):
        rig.manager().get_access_token()
    rig.store.fail_save = None
    assert left_on_this_host(rig)


def test_without_revoking(rig: Rig) -> None:
    """The record goes, and nobody is asked."""
    rig.manager().get_access_token()
    assert rig.manager().forget() is None
    assert rig.store.texts == {}
    assert rig.grant.requests == 1


def test_what_rules_is_revoked(rig: Rig) -> None:
    """The refresh token that is revoked is the one that would be spent next."""
    revoked: list[str] = []
    assert rig.manager().forget(revoked.append) is None
    assert revoked == ["seed-1"]
    rig.manager().get_access_token()
    living = rig.grant.living
    assert rig.manager().forget(revoked.append) is None
    assert revoked == ["seed-1", living]
    assert rig.store.texts == {}


@pytest.mark.parametrize("error", FAILURES, ids=lambda one: type(one).__name__)
def test_record_goes_whatever_the_server_says(rig: Rig, error: ImapOAuthError) -> None:
    """Why the refresh token may live on is returned, and record and unsaved copy are gone."""
    persist_failure(rig)
    assert rig.manager().forget(raising(error)) is error
    assert rig.store.texts == {}
    assert left_on_this_host(rig) == []


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt()])
def test_record_goes_whatever_is_raised(rig: Rig, error: BaseException) -> None:
    """What is no failure of revoking is raised, after record and unsaved copy are gone."""
    persist_failure(rig)
    with pytest.raises(type(error)):
        rig.manager().forget(raising(error))
    assert rig.store.texts == {}
    assert left_on_this_host(rig) == []


def test_unsaved_refresh_token_is_the_one_to_revoke(rig: Rig) -> None:
    """Where the newest refresh token is on this host alone, that one is revoked."""
    persist_failure(rig)
    revoked: list[str] = []
    assert rig.manager().forget(revoked.append) is None
    assert revoked == [rig.grant.living]
    assert (rig.store.texts, left_on_this_host(rig)) == ({}, [])


def test_without_tokens_nobody_is_asked(rig: Rig) -> None:
    """Where there is neither record nor refresh token, there is nothing to revoke."""
    revoked: list[str] = []
    assert rig.manager(seed=None).forget(revoked.append) is None
    assert revoked == []


@pytest.mark.parametrize("text", ["garbage", '{"schema": 2}'])
def test_record_that_cannot_be_understood_goes(rig: Rig, text: str) -> None:
    """Such a record is deleted, and that nothing was revoked is told."""
    rig.store.texts["mail"] = text
    revoked: list[str] = []
    failure = rig.manager().forget(revoked.append)
    assert isinstance(failure, ConfigurationError)
    assert (revoked, rig.store.texts) == ([], {})


def test_record_that_does_not_open_goes(rig: Rig) -> None:
    """Tokens that do not open here are deleted, and that they were not revoked is told."""
    rig.manager().get_access_token()
    revoked: list[str] = []
    failure = rig.manager(seed=None, imap_host="other.example.com").forget(revoked.append)
    assert failure is not None
    assert failure.conn_id in {None, "mail"}
    assert (revoked, rig.store.texts) == ([], {})


def test_refused_tokens_are_revoked_all_the_same(rig: Rig) -> None:
    """A connection that waits for authorization is forgotten like any other."""
    rig.grant.living = None
    with pytest.raises(ReauthorizationRequiredError):
        rig.manager().get_access_token()
    revoked: list[str] = []
    assert rig.manager().forget(revoked.append) is None
    assert (revoked, rig.store.texts) == (["seed-1"], {})


@pytest.mark.parametrize("method", ["load", "delete"])
def test_store_that_does_not_work(rig: Rig, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """That the record may still be there is raised; a retry helps."""
    rig.manager().get_access_token()

    def fail(_: str) -> None:
        raise broken_store_error()

    monkeypatch.setattr(rig.store, method, fail)
    with pytest.raises(TokenStoreError, match="connection 'mail'") as caught:
        rig.manager().forget(lambda _: None)
    assert caught.value.retry_helps


def test_store_that_does_not_work_keeps_no_copy_here(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unsaved copy of this host goes even if the store does not work."""
    persist_failure(rig)

    def fail(_: str) -> None:
        raise broken_store_error()

    monkeypatch.setattr(rig.store, "delete", fail)
    with pytest.raises(TokenStoreError):
        rig.manager().forget(lambda _: None)
    assert left_on_this_host(rig) == []


# --- At the server --------------------------------------------------------------------------------


def test_server_knows_the_tokens_no_more(
    rig: Rig, authorization_server: AuthorizationServer
) -> None:
    """What came of the consent is dead after it."""
    rig.settings = generic(authorization_server)
    seed = authorization_server.mint_refresh_token(LOGIN)
    manager = rig.manager(seed=seed, refresh=None)
    access_token = manager.get_access_token()
    assert manager.forget(ServerRevocation(rig.settings)) is None
    assert authorization_server.introspect(access_token)["active"] is False
    assert rig.store.texts == {}
    assert isinstance(spend_refused(rig.settings, seed), ReauthorizationRequiredError)


def test_server_that_offers_none(rig: Rig, authorization_server: AuthorizationServer) -> None:
    """Microsoft revokes no single token: the failure says where to do it, and the record goes."""
    rig.settings = client_of(authorization_server, "microsoft")
    seed = authorization_server.mint_refresh_token(LOGIN)
    manager = rig.manager(seed=seed, refresh=None)
    manager.get_access_token()
    failure = manager.forget(ServerRevocation(rig.settings))
    assert isinstance(failure, ConfigurationError)
    assert "https://myapps.microsoft.com" in failure.hint
    assert rig.store.texts == {}
