# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""``airflow imap-oauth revoke``: gone there where possible, gone here in any case."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_imap_oauth.cli.revoke import revoke
from airflow_imap_oauth.exceptions import ReauthorizationRequiredError
from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from airflow_imap_oauth.hooks.variable_store import VariableTokenStore
from tests.cli.running import CONN_ID, run
from tests.hooks import connections

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

pytestmark = pytest.mark.usefixtures("airflow_database")


def authorized(server: AuthorizationServer, address: str, **extra: Any) -> str:
    """Give the connection a refresh token and let the hook use it once; return that token."""
    token = server.mint_refresh_token(address)
    connections.add(
        CONN_ID, login=address, password=token, extra=connections.custom(server, **extra)
    )
    ImapOAuthHook(CONN_ID).get_access_token()
    server.reset_counters()
    return token


def nothing_is_left() -> bool:
    """Tell whether neither connection nor token store holds a token."""
    password, extra = connections.stored(CONN_ID)
    kept = VariableTokenStore(lease_delay_seconds=0).load(CONN_ID)
    return not password and not extra.get("refresh_token") and kept is None


def test_revoked_tokens_are_gone_there_and_here(
    authorization_server: AuthorizationServer, account: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server no longer takes what it issued, and Airflow keeps nothing of it."""
    authorized(authorization_server, account)
    access_token = ImapOAuthHook(CONN_ID).get_access_token()
    code, errors = run(capsys, revoke)
    assert (code, errors) == (0, "")
    assert authorization_server.introspect(access_token) == {"active": False}
    assert nothing_is_left()
    with pytest.raises(ReauthorizationRequiredError, match="no refresh token"):
        ImapOAuthHook(CONN_ID).get_access_token()


def test_failed_revocation_still_deletes_here(
    authorization_server: AuthorizationServer, account: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that is out of order is exit code 1: the token may live on there, but not here."""
    authorized(authorization_server, account)
    authorization_server.fail_next("revocation", "status", status=503)
    code, errors = run(capsys, revoke)
    assert code == 1
    assert "may still accept" in errors
    assert nothing_is_left()


def test_second_revocation_finds_nothing(
    authorization_server: AuthorizationServer, account: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no token is left, that is said, no server is asked, and all is well."""
    authorized(authorization_server, account)
    assert run(capsys, revoke)[0] == 0
    authorization_server.reset_counters()
    revoke(Namespace(conn_id=CONN_ID, verbose=False))
    shown = capsys.readouterr()
    assert "There was no token to revoke." in shown.out
    assert "no longer accepts" not in shown.out
    assert shown.err == ""
    assert not authorization_server.recorded("revocation")


def test_endpoint_that_cannot_be_asked_is_a_failure(
    authorization_server: AuthorizationServer,
    account: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Settings with which the endpoint cannot be asked are exit code 1: the token lives on."""
    extra = connections.custom(authorization_server, ca_file=str(tmp_path / "missing.pem"))
    token = authorization_server.mint_refresh_token(account)
    connections.add(CONN_ID, login=account, password=token, extra=extra)
    code, errors = run(capsys, revoke)
    assert code == 1
    assert "ca_file" in errors
    assert "may still accept" in errors
    assert nothing_is_left()


def test_where_there_is_no_revocation_the_way_is_told(
    authorization_server: AuthorizationServer,
    account: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A mail provider without an endpoint for it is exit code 0: what is left to do is said."""
    authorized(
        authorization_server, account, issuer=None, exchange_url=authorization_server.token_url
    )
    code, errors = run(capsys, revoke)
    assert code == 0
    assert "What is left to do" in errors
    assert nothing_is_left()


def test_refresh_token_of_extra_goes_too(
    authorization_server: AuthorizationServer, account: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A token that stands under its own key of extra is deleted as well; the rest stays."""
    token = authorization_server.mint_refresh_token(account)
    extra = connections.custom(authorization_server, refresh_token=token)
    connections.add(CONN_ID, login=account, extra=extra)
    assert run(capsys, revoke)[0] == 0
    assert nothing_is_left()
    assert connections.stored(CONN_ID)[1]["client_id"] == authorization_server.client_id


def test_revocation_leaves_an_audit_row(
    authorization_server: AuthorizationServer, account: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who revoked which connection is in the audit log, without a secret."""
    authorized(authorization_server, account)
    run(capsys, revoke)
    held = connections.everything_in_the_database()
    assert f'"connection": "{CONN_ID}"' in held
    assert not any(
        secret in held
        for secret in authorization_server.secrets_issued()
        if secret != authorization_server.client_secret
    )
