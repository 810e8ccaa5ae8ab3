# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""``login`` where nobody signs in, and where somebody else does."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from tests.cli.running import CONN_ID, Person, run
from tests.hooks import connections
from tests.servers.authorization.client_keys import ClientKey
from tests.servers.authorization.dialects import IMAP_SCOPE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.authorization_server import AuthorizationServer

pytestmark = pytest.mark.usefixtures("airflow_database")


def test_own_secret_is_tried_and_sealed(
    authorization_server: AuthorizationServer, account: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With client credentials nobody is asked: the secret is tried once, and sealed in place."""
    extra = connections.custom(authorization_server, grant="client_credentials")
    connections.add(CONN_ID, login=account, extra=extra)
    assert run(capsys, no_browser=False) == (0, "")
    assert authorization_server.token_requests_by_grant == {"client_credentials": 1}
    password, stored = connections.stored(CONN_ID)
    assert password is None
    assert stored["client_secret"].startswith("sealed:v1:")
    assert ImapOAuthHook(CONN_ID).get_access_token()


def test_private_key_is_sealed_and_opens_again(
    authorization_server: AuthorizationServer, account: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A private key whose line breaks were lost is mended, sealed, and signs afterwards."""
    key = ClientKey.create("P-256")
    authorization_server.add_client("signing-client", assertion_key=key.public_key, login=account)
    extra = connections.custom(
        authorization_server,
        grant="client_credentials",
        client_id="signing-client",
        client_secret=None,
        certificate_private_key=" ".join(key.private_key.split("\n")),
    )
    connections.add(CONN_ID, login=account, extra=extra)
    assert run(capsys, no_browser=False) == (0, "")
    sealed = connections.stored(CONN_ID)[1]["certificate_private_key"]
    assert sealed.startswith("sealed:v1:")
    assert ImapOAuthHook(CONN_ID).get_access_token()


def test_own_secret_that_does_not_work_is_told(
    authorization_server: AuthorizationServer, account: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong secret is exit code 1, and stays as it is."""
    extra = connections.custom(
        authorization_server, grant="client_credentials", client_secret="wrong-secret"
    )
    connections.add(CONN_ID, login=account, extra=extra)
    code, errors = run(capsys, no_browser=False)
    assert code == 1
    assert "invalid_client" in errors
    assert "wrong-secret" not in errors
    assert connections.stored(CONN_ID)[1]["client_secret"] == "wrong-secret"


@pytest.mark.parametrize(
    ("option", "arguments"),
    [
        ("--no-browser", {"no_browser": True}),
        ("--device", {"device": True}),
        ("--redirect-port", {"redirect_port": 8123}),
        ("--other-account", {"other_account": True}),
    ],
)
def test_option_without_effect_is_refused(
    authorization_server: AuthorizationServer,
    account: str,
    capsys: pytest.CaptureFixture[str],
    option: str,
    arguments: dict[str, Any],
) -> None:
    """Where nobody signs in, an option about signing in is exit code 2, and nothing is tried."""
    extra = connections.custom(authorization_server, grant="client_credentials")
    connections.add(CONN_ID, login=account, extra=extra)
    code, errors = run(capsys, **{"no_browser": False, **arguments})
    assert code == 2
    assert f"{option} would have no effect" in errors
    assert not authorization_server.requests
    assert connections.stored(CONN_ID)[1] == extra


@pytest.mark.parametrize("grant", ["user_consent", "client_credentials"])
def test_end_of_the_credential_is_announced(
    authorization_server: AuthorizationServer,
    account: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    grant: str,
) -> None:
    """Whoever signs in, a secret that ends within 30 days is told, with what the form calls it."""
    ends_on = datetime.now(timezone.utc).date() + timedelta(days=10)
    extra = connections.custom(
        authorization_server, grant=grant, credential_expires_on=f"{ends_on:%Y-%m-%d}"
    )
    connections.add(CONN_ID, login=account, extra=extra)
    person = Person(capsys, lambda url: authorization_server.consent(url, account))
    monkeypatch.setattr("sys.stdin", person)
    code, errors = run(capsys, no_browser=grant == "user_consent")
    assert code == 0
    assert f"client secret ends on {ends_on:%Y-%m-%d}" in errors
    assert "'Credential ends on'" in errors


def sign_in_as(
    server: AuthorizationServer,
    address: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    **arguments: bool,
) -> tuple[int, str]:
    """Run ``login`` with somebody who signs in as this account."""
    monkeypatch.setattr("sys.stdin", Person(capsys, lambda url: server.consent(url, address)))
    return run(capsys, **arguments)


def test_another_account_is_refused_unless_confirmed(
    authorization_server: AuthorizationServer,
    account: str,
    imap_login: Callable[[], str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who signs in again as somebody else changes nothing, until they say that it is meant."""
    server = authorization_server
    extra = connections.custom(server, scopes=f"{IMAP_SCOPE} openid offline_access")
    connections.add(CONN_ID, login=account, extra=extra)
    assert sign_in_as(server, account, capsys, monkeypatch) == (0, "")
    before = connections.stored(CONN_ID)
    other = imap_login()
    code, errors = sign_in_as(server, other, capsys, monkeypatch)
    assert code == 1
    assert other in errors
    assert "--other-account" in errors
    assert "private window" in errors
    assert connections.stored(CONN_ID) == before
    code, errors = sign_in_as(server, other, capsys, monkeypatch, other_account=True)
    assert code == 0
    assert f"signed in as {other}" in errors
    assert connections.stored(CONN_ID) != before


def test_first_sign_in_as_another_than_the_address_is_told(
    authorization_server: AuthorizationServer,
    account: str,
    imap_login: Callable[[], str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whose account is not the mailbox address learns how to sign in as the right one."""
    server = authorization_server
    extra = connections.custom(server, scopes=f"{IMAP_SCOPE} openid offline_access")
    connections.add(CONN_ID, login=account, extra=extra)
    other = imap_login()
    code, errors = sign_in_as(server, other, capsys, monkeypatch)
    assert code == 0
    assert f"signed in as {other}; the connection says {account}" in errors
    assert "private window" in errors
    assert "Mailbox address" in errors


def test_the_same_account_may_sign_in_again(
    authorization_server: AuthorizationServer,
    account: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Authorizing anew as the bound account needs no confirmation."""
    server = authorization_server
    extra = connections.custom(server, scopes=f"{IMAP_SCOPE} openid offline_access")
    connections.add(CONN_ID, login=account, extra=extra)
    for _ in range(2):
        assert sign_in_as(server, account, capsys, monkeypatch) == (0, "")
