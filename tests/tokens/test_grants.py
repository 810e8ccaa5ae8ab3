# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Access tokens of the application's own grants: no person, no refresh token."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_imap_oauth.exceptions import (
    ClientRejectedError,
    ConfigurationError,
    ImapOAuthError,
    OAuthError,
    TransientOAuthError,
)
from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.tokens.manager import TokenManager
from tests.oauth.clients import LOGIN
from tests.oauth.dialects.clients import client_of, generic
from tests.servers.authorization_server import GOOGLE_IMAP_SCOPE
from tests.tokens.support import Rig

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

SERVICE_ACCOUNT = "reader@project.test"
GRANTS = ["generic", "microsoft", "google"]


def own(server: AuthorizationServer, mail_provider: str) -> OAuthSettings:
    """Return a connection whose application gets access by itself."""
    own_grant: dict[str, Any] = {"grant": "client_credentials", "extra_scopes": ()}
    if mail_provider == "generic":
        return generic(server, **own_grant)
    if mail_provider == "google":
        key = server.new_service_account(SERVICE_ACCOUNT, subjects=[LOGIN])
        return client_of(
            server,
            "google",
            grant="service_account",
            client_id="",
            client_secret=None,
            service_account_key=key,
            extra_scopes=(),
        )
    settings = client_of(server, "microsoft", **own_grant)
    return replace(settings, scopes=settings.profile.app_scopes)


@pytest.fixture(params=GRANTS)
def settings(
    request: pytest.FixtureRequest, rig: Rig, authorization_server: AuthorizationServer
) -> OAuthSettings:
    """Give such a connection of each engine in turn."""
    rig.settings = own(authorization_server, request.param)
    return rig.settings


def manager(rig: Rig, **changes: Any) -> TokenManager:
    return rig.manager(**{"seed": None, "refresh": None, **changes})


def with_key_of(settings: OAuthSettings, server: AuthorizationServer) -> OAuthSettings:
    """Return the connection with a new credential that the server knows."""
    if settings.grant == "service_account":
        key = server.new_service_account(SERVICE_ACCOUNT, subjects=[LOGIN, "eve@example.test"])
        return replace(settings, service_account_key=key)
    server.add_client("own", client_secret=f"canary-{settings.client_secret}")
    return replace(settings, client_secret=f"canary-{settings.client_secret}", client_id="own")


# --- One token for all ----------------------------------------------------------------------------


def test_access_token_needs_no_refresh_token(
    rig: Rig, settings: OAuthSettings, authorization_server: AuthorizationServer
) -> None:
    """The first call asks once, and what it got works."""
    assert settings.grant != "user_consent"
    token = manager(rig).get_access_token()
    assert authorization_server.introspect(token)["active"] is True
    assert authorization_server.token_requests == 1
    assert rig.store.record.grant == settings.grant


def test_living_token_is_shared(
    rig: Rig, settings: OAuthSettings, authorization_server: AuthorizationServer
) -> None:
    """Every manager after it takes the token from the store: one read, no request."""
    assert settings.grant != "user_consent"
    token = manager(rig).get_access_token()
    rig.store.loads = rig.store.saves = 0
    assert manager(rig).get_access_token() == token
    assert (rig.store.loads, rig.store.saves) == (1, 0)
    assert authorization_server.token_requests == 1


def test_many_threads_are_one_request(
    rig: Rig, settings: OAuthSettings, authorization_server: AuthorizationServer
) -> None:
    """Threads that need a token at the same instant make exactly one token request."""
    assert settings.grant != "user_consent"
    together = threading.Barrier(8)

    def ask() -> str:
        asking = manager(rig)
        together.wait(20)
        return asking.get_access_token()

    with ThreadPoolExecutor(8) as pool:
        tokens = {future.result(30) for future in [pool.submit(ask) for _ in range(8)]}
    assert len(tokens) == 1
    assert authorization_server.token_requests == 1


def test_expired_token_is_renewed(
    rig: Rig, settings: OAuthSettings, authorization_server: AuthorizationServer
) -> None:
    """After its end a new one is asked for, by the same credential."""
    assert settings.grant != "user_consent"
    tokens = set()
    for _ in range(3):
        tokens.add(manager(rig).get_access_token())
        rig.expire()
    assert len(tokens) == 3
    assert authorization_server.token_requests == 3
    assert "refresh_token" not in authorization_server.token_requests_by_grant


def test_rejected_token_gives_way(rig: Rig, settings: OAuthSettings) -> None:
    """A token that the IMAP server rejected is not handed out again."""
    assert settings.grant != "user_consent"
    token = manager(rig).get_access_token()
    manager(rig).reject_access_token(token)
    assert manager(rig).get_access_token() != token


def test_refresh_token_of_the_connection_does_not_matter(
    rig: Rig, settings: OAuthSettings, authorization_server: AuthorizationServer
) -> None:
    """One that still stands in the connection is neither spent nor begun anew with."""
    assert settings.grant != "user_consent"
    token = manager(rig, seed="left over").get_access_token()
    assert manager(rig, seed="another").get_access_token() == token
    assert authorization_server.token_requests == 1
    for request in authorization_server.recorded("token"):
        assert "refresh_token" not in request.parameters


def test_nothing_secret_is_stored(
    rig: Rig, settings: OAuthSettings, authorization_server: AuthorizationServer
) -> None:
    """The text in the store holds neither the token nor the credential, nor a part of a key."""
    token = manager(rig).get_access_token()
    text = rig.store.texts["mail"]
    secrets = {token, *authorization_server.secrets_issued()}
    if settings.service_account_key:
        secrets.update(json.loads(settings.service_account_key)["private_key"].splitlines()[1:-1])
    assert not [secret for secret in secrets if secret in text]


# --- A credential that changes --------------------------------------------------------------------


def test_changed_credential_begins_anew_at_once(
    rig: Rig, settings: OAuthSettings, authorization_server: AuthorizationServer
) -> None:
    """The token of a credential that was replaced is not used on, though it lives."""
    before = manager(rig).get_access_token()
    rig.settings = with_key_of(settings, authorization_server)
    assert manager(rig).state().status == "unused"
    after = manager(rig).get_access_token()
    assert after != before
    assert manager(rig).get_access_token() == after
    assert authorization_server.token_requests == 2


def test_credential_that_comes_back_begins_anew_too(
    rig: Rig, settings: OAuthSettings, authorization_server: AuthorizationServer
) -> None:
    """An earlier credential does not use the token of the one that took its place."""
    manager(rig).get_access_token()
    rig.settings = with_key_of(settings, authorization_server)
    between = manager(rig).get_access_token()
    rig.settings = settings
    assert manager(rig).get_access_token() != between


def test_account_of_a_service_account_changes(
    rig: Rig, authorization_server: AuthorizationServer
) -> None:
    """Whose mailbox is opened changes the token at once, there and back."""
    rig.settings = with_key_of(own(authorization_server, "google"), authorization_server)
    opened = []
    for login in (LOGIN, "eve@example.test", LOGIN):
        rig.settings = replace(rig.settings, login=login)
        token = manager(rig).get_access_token()
        opened.append(authorization_server.introspect(token)["username"])
    assert opened == [LOGIN, "eve@example.test", LOGIN]


def test_wrong_credential_asks_nobody_to_authorize(
    rig: Rig, settings: OAuthSettings, authorization_server: AuthorizationServer
) -> None:
    """A credential that is refused is told as that; the right one works without more ado."""
    wrong = {"client_secret": "wrong"}
    if settings.grant == "service_account":
        key = json.loads(settings.service_account_key or "")
        stranger = json.dumps({**key, "client_email": "stranger@project.test"})
        wrong = {"service_account_key": stranger}
    rig.settings = replace(settings, **wrong)
    with pytest.raises(ClientRejectedError) as caught:
        manager(rig).get_access_token()
    assert "imap-oauth login" not in str(caught.value)
    assert manager(rig).state().status == "active"
    rig.settings = settings
    assert manager(rig).get_access_token()
    assert authorization_server.token_requests == 2


@pytest.mark.parametrize(
    "word", ["invalid_grant", "interaction_required", "token_expired", "access_denied"]
)
def test_status_never_waits_for_a_person(
    rig: Rig, settings: OAuthSettings, authorization_server: AuthorizationServer, word: str
) -> None:
    """Whatever the server says, nobody is waited for, and the next call asks again."""
    assert settings.grant != "user_consent"
    authorization_server.fail_next("token", "json_error", status=400, error=word)
    with pytest.raises(OAuthError) as caught:
        manager(rig).get_access_token()
    assert "imap-oauth login" not in str(caught.value)
    assert rig.store.record.status == "active"
    assert manager(rig).get_access_token()


def test_trouble_of_the_server_passes(
    rig: Rig, settings: OAuthSettings, authorization_server: AuthorizationServer
) -> None:
    """A server that is down is a transient matter; near the end the living token serves on."""
    assert settings.grant != "user_consent"
    authorization_server.fail_next("token", "html", status=503)
    with pytest.raises(TransientOAuthError):
        manager(rig).get_access_token()
    token = manager(rig).get_access_token()
    rig.clock.move(3600 - 250)
    authorization_server.fail_next("token", "html", status=503)
    assert manager(rig).get_access_token() == token


def test_missing_key_is_told_without_a_request(
    rig: Rig, authorization_server: AuthorizationServer
) -> None:
    """Without the key of a service account the setting is named."""
    rig.settings = replace(own(authorization_server, "google"), service_account_key=None)
    with pytest.raises(ConfigurationError, match="service_account_key"):
        manager(rig).get_access_token()
    assert authorization_server.token_requests == 0


# --- From one grant to another --------------------------------------------------------------------


@pytest.mark.parametrize("mail_provider", ["microsoft", "google"])
def test_grant_changes_there_and_back(
    rig: Rig, authorization_server: AuthorizationServer, mail_provider: str
) -> None:
    """Each change begins anew at once; where refresh tokens live on, the way back is open, too."""
    person = client_of(authorization_server, mail_provider)
    application = own(authorization_server, mail_provider)
    seed = authorization_server.mint_refresh_token(LOGIN)
    tokens = []
    for settings in (person, application, person, application):
        rig.settings = settings
        tokens.append(manager(rig, seed=seed).get_access_token())
        assert rig.store.record.grant == settings.grant
        assert manager(rig, seed=seed).get_access_token() == tokens[-1]
    assert len(set(tokens)) == 4
    assert rig.store.record.generation == 8


def test_way_back_where_refresh_tokens_end_at_their_use(
    rig: Rig, authorization_server: AuthorizationServer
) -> None:
    """There the connection's refresh token is dead: a new authorization opens the way back."""
    rig.settings = person = generic(authorization_server)
    seed = authorization_server.mint_refresh_token(LOGIN)
    manager(rig, seed=seed).get_access_token()
    rig.settings = own(authorization_server, "generic")
    manager(rig, seed=seed).get_access_token()
    rig.settings = person
    with pytest.raises(ImapOAuthError, match="airflow imap-oauth login mail"):
        manager(rig, seed=seed).get_access_token()
    newer = authorization_server.mint_refresh_token(LOGIN)
    assert manager(rig, seed=newer).get_access_token()
    assert rig.store.record.grant == "user_consent"


def test_account_of_a_person_is_forgotten_with_the_grant(
    rig: Rig, authorization_server: AuthorizationServer
) -> None:
    """What the application gets by itself is bound to no account."""
    rig.settings = client_of(authorization_server, "microsoft")
    manager(rig, seed=authorization_server.mint_refresh_token(LOGIN)).get_access_token()
    assert manager(rig).state().account is not None
    rig.settings = own(authorization_server, "microsoft")
    manager(rig).get_access_token()
    assert manager(rig).state().account is None


def test_nothing_is_revoked_when_forgotten(rig: Rig, settings: OAuthSettings) -> None:
    """There is no refresh token to revoke: the record goes, and nobody is asked."""
    assert settings.grant != "user_consent"
    manager(rig).get_access_token()
    revoked: list[str] = []
    assert manager(rig).forget(revoked.append) is None
    assert (revoked, rig.store.texts) == ([], {})


def test_service_account_asks_for_mail_of_the_login(
    rig: Rig, authorization_server: AuthorizationServer
) -> None:
    """A service account's token opens the mailbox of the connection's login, for mail alone."""
    rig.settings = own(authorization_server, "google")
    found = authorization_server.introspect(manager(rig).get_access_token())
    assert (found["username"], found["scope"]) == (LOGIN, GOOGLE_IMAP_SCOPE)
