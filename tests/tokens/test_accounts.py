# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Tokens are bound to the account that consented."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from airflow_imap_oauth.exceptions import ReauthorizationRequiredError, TokenResponseError
from airflow_imap_oauth.oauth.settings import OAuthSettings
from tests.oauth.clients import LOGIN
from tests.oauth.dialects.clients import client_of, generic, sign_in
from tests.tokens.support import Rig

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

#: What tells another account, by client.
OTHERS: dict[str, dict[str, object]] = {
    "generic": {"sub": "another"},
    "microsoft": {"oid": "another"},
}


class Mailbox:
    """A mailbox at one of the servers whose every renewal tells the account."""

    def __init__(self, rig: Rig, server: AuthorizationServer, name: str) -> None:
        self.rig = rig
        self.server = server
        self.name = name
        make: Callable[..., OAuthSettings] = client_of
        rig.settings = generic(server) if name == "generic" else make(server, name)
        scopes = (*rig.settings.scopes, *rig.settings.extra_scopes)
        self.seed = server.mint_refresh_token(LOGIN, scopes=scopes)

    def token(self) -> str:
        """Return an access token, as a task gets one."""
        return self.rig.manager(seed=self.seed, refresh=None).get_access_token()

    def next_token(self) -> str:
        """Return an access token after the time of the one before."""
        self.rig.expire()
        return self.token()


@pytest.fixture(params=sorted(OTHERS))
def mailbox(
    request: pytest.FixtureRequest, rig: Rig, authorization_server: AuthorizationServer
) -> Mailbox:
    """Give a mailbox at each of them in turn."""
    return Mailbox(rig, authorization_server, request.param)


@pytest.fixture
def strict(rig: Rig, authorization_server: AuthorizationServer) -> Mailbox:
    """Give a mailbox at the server that ends each refresh token at its use."""
    return Mailbox(rig, authorization_server, "generic")


def test_first_answer_binds(mailbox: Mailbox) -> None:
    """The first answer that tells an account binds the tokens to it, and the state names it."""
    assert mailbox.rig.manager(seed=mailbox.seed).state().account is None
    mailbox.token()
    account = mailbox.rig.manager(seed=mailbox.seed).state().account
    assert account is not None
    assert account.keys() in ({"tid", "oid"}, {"iss", "client_id", "sub"})
    assert LOGIN not in mailbox.rig.store.texts["mail"]


def test_same_account_goes_on(mailbox: Mailbox) -> None:
    """Renewal after renewal of the same account changes nothing about whose they are."""
    mailbox.token()
    bound = mailbox.rig.store.record.account
    assert mailbox.next_token()
    assert mailbox.rig.store.record.account == bound


def test_another_account_is_refused(mailbox: Mailbox) -> None:
    """Tokens of another account are not used, and the message says what to do."""
    mailbox.token()
    bound = mailbox.rig.store.record
    mailbox.server.next_id_token(**OTHERS[mailbox.name])
    with pytest.raises(ReauthorizationRequiredError, match="another account") as caught:
        mailbox.next_token()
    assert not caught.value.retry_helps
    assert "airflow imap-oauth login mail" in caught.value.hint
    assert (caught.value.conn_id, caught.value.step) == ("mail", "token request")
    record = mailbox.rig.store.record
    assert record.access_token == bound.access_token
    assert record.account == bound.account
    assert record.last_error.kind == "ReauthorizationRequiredError"


def test_rotated_refresh_token_of_another_account_is_kept(strict: Mailbox) -> None:
    """What came along may be the only living refresh token, and is spent the next time."""
    strict.token()
    strict.server.next_id_token(sub="another")
    with pytest.raises(ReauthorizationRequiredError):
        strict.next_token()
    strict.server.reset_counters()
    assert strict.token()
    assert strict.rig.store.record.status == "active"
    assert strict.rig.store.record.last_error is None
    assert strict.server.token_requests == 1


def test_early_renewal_by_another_account_is_told(strict: Mailbox) -> None:
    """That an access token still lives is no reason to be silent about it."""
    strict.token()
    strict.rig.clock.move(3600 - 250)
    strict.server.next_id_token(sub="another")
    with pytest.raises(ReauthorizationRequiredError, match="another account"):
        strict.token()


def test_address_may_change(mailbox: Mailbox) -> None:
    """An account that got another address is the same account."""
    mailbox.token()
    mailbox.server.next_id_token(email="married@example.test", preferred_username="m")
    assert mailbox.next_token()


def test_other_issuer_or_client_cannot_be_compared(strict: Mailbox) -> None:
    """Where the record tells the account of another client, it is not refused but bound anew."""
    strict.token()
    record = strict.rig.store.record
    kept = {**(record.account or {}), "client_id": "an earlier one", "sub": "x"}
    text = strict.rig.store.texts["mail"]
    strict.rig.store.texts["mail"] = text.replace(
        f'"client_id": "{strict.server.client_id}"', '"client_id": "an earlier one"'
    )
    assert strict.rig.store.record.account["client_id"] == kept["client_id"]
    assert strict.next_token()
    assert strict.rig.store.record.account == record.account


def test_pasted_token_of_another_account_is_refused(mailbox: Mailbox) -> None:
    """A refresh token put into the connection by hand does not change whose mail is read."""
    mailbox.token()
    mailbox.seed = mailbox.server.mint_refresh_token(
        LOGIN, scopes=(*mailbox.rig.settings.scopes, *mailbox.rig.settings.extra_scopes)
    )
    mailbox.server.next_id_token(**OTHERS[mailbox.name])
    with pytest.raises(ReauthorizationRequiredError, match="another account"):
        mailbox.token()


def test_account_told_by_other_claims_leaves_the_binding(strict: Mailbox) -> None:
    """An answer that tells the account in claims which cannot be compared does not bind anew."""
    strict.token()
    bound = strict.rig.store.record.account
    strict.server.next_id_token(tid="a-tenant", oid="another")
    strict.next_token()
    assert strict.rig.store.record.account == bound


def test_answer_that_tells_nobody_leaves_the_binding(strict: Mailbox) -> None:
    """An answer without id_token is accepted, and the account stays bound."""
    strict.token()
    bound = strict.rig.store.record.account
    body = '{"access_token":"a","token_type":"Bearer","expires_in":3600}'
    strict.server.fail_next("token", "body", status=200, body=body)
    assert strict.next_token() == "a"
    assert strict.rig.store.record.account == bound


def test_wrong_id_token_is_refused_and_rotation_kept(strict: Mailbox) -> None:
    """An id_token that is not sound costs the access token, but not the refresh token."""
    strict.token()
    strict.server.next_id_token(aud="another")
    with pytest.raises(TokenResponseError, match="another client"):
        strict.next_token()
    assert strict.token()


def test_authorization_binds_anew(rig: Rig, authorization_server: AuthorizationServer) -> None:
    """Whoever authorizes is the account from then on; renewals by the one before are refused."""
    rig.settings = generic(authorization_server)
    accounts = []
    for login in (LOGIN, "eve@example.test"):
        response = sign_in(authorization_server, rig.settings, login)
        manager = rig.manager(seed=response.refresh_token, refresh=None)
        manager.accept_authorization(response)
        assert manager.get_access_token() == response.access_token
        assert response.account is not None
        assert manager.state().account == response.account.claims
        accounts.append(response.account.claims)
    assert accounts[0] != accounts[1]
    rig.expire()
    authorization_server.next_id_token(sub=accounts[0]["sub"])
    with pytest.raises(ReauthorizationRequiredError, match="another account"):
        manager.get_access_token()


def test_google_is_bound_by_the_sign_in(
    rig: Rig, authorization_server: AuthorizationServer
) -> None:
    """A renewal at Google tells nobody, as it asks for mail alone: the sign-in binds for good."""
    rig.settings = client_of(authorization_server, "google")
    response = sign_in(authorization_server, rig.settings)
    manager = rig.manager(seed=response.refresh_token, refresh=None)
    manager.accept_authorization(response)
    rig.expire()
    assert manager.get_access_token() != response.access_token
    assert response.account is not None
    assert manager.state().account == response.account.claims
