# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Renewal at the real authorization server, which rotates and punishes reuse."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import pytest

from airflow_imap_oauth.exceptions import (
    ClientRejectedError,
    ImapOAuthError,
    ReauthorizationRequiredError,
    TransientOAuthError,
)
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.settings import Endpoints
from airflow_imap_oauth.tokens.binding import binding
from airflow_imap_oauth.tokens.seeds import seal_refresh_token
from tests.oauth import clients
from tests.tokens.support import sealer_of
from tests.tokens.workers import Host

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer


@pytest.fixture
def host(authorization_server: AuthorizationServer, tmp_path: Path) -> Host:
    """Give a host with a refresh token that was never used."""
    return Host(
        settings=clients.custom(authorization_server),
        seed=authorization_server.mint_refresh_token(clients.LOGIN),
        folder=tmp_path,
    )


def test_generations(host: Host, authorization_server: AuthorizationServer) -> None:
    """Renewal after renewal, the strict server sees each refresh token once."""
    tokens = set()
    for _ in range(4):
        tokens.add(host.manager().get_access_token())
        host.expire()
    assert len(tokens) == 4
    assert authorization_server.token_requests == 4
    assert host.record().status == "active"


@pytest.mark.parametrize("profile_name", sorted(clients.CLIENTS))
def test_every_engine(
    profile_name: str, authorization_server: AuthorizationServer, tmp_path: Path
) -> None:
    """Through each token client, a first token and its renewal are one token request each."""
    host = Host(
        settings=clients.CLIENTS[profile_name](authorization_server),
        seed=authorization_server.mint_refresh_token(clients.LOGIN),
        folder=tmp_path,
    )
    first = host.manager().get_access_token()
    host.expire()
    assert host.manager().get_access_token() != first
    assert authorization_server.token_requests == 2


def test_with_discovery(host: Host, authorization_server: AuthorizationServer) -> None:
    """Where only the issuer is configured, the endpoints are found when they are needed."""
    settings = replace(host.settings, endpoints=Endpoints(issuer=authorization_server.issuer))
    found = replace(host, settings=settings)
    token = found.manager().get_access_token()
    asked = authorization_server.requests.total()
    assert found.manager().get_access_token() == token
    assert authorization_server.requests.total() == asked
    assert authorization_server.token_requests == 1


def test_after_an_outage(host: Host, authorization_server: AuthorizationServer) -> None:
    """An outage is noted and costs nothing; the next call succeeds."""
    authorization_server.fail_next("token", "html", status=503, retry_after="7")
    with pytest.raises(TransientOAuthError, match="connection 'mail'") as caught:
        host.manager().get_access_token()
    assert caught.value.retry_after_seconds == 7
    last_error = host.manager().state().last_error
    assert last_error is not None
    assert last_error.kind == "TransientOAuthError"
    host.manager().get_access_token()
    assert host.manager().state().last_error is None


def test_a_wrong_client_secret(host: Host) -> None:
    """A wrong client secret is told as that, and the refresh token lives."""
    wrong = replace(host, settings=replace(host.settings, client_secret="wrong"))
    with pytest.raises(ClientRejectedError):
        wrong.manager().get_access_token()
    assert host.manager().get_access_token()


def test_a_revoked_grant(host: Host, authorization_server: AuthorizationServer) -> None:
    """After a revocation the record is marked, kept, and no further request is made."""
    host.manager().get_access_token()
    host.expire()
    kept = host.record().refresh_token
    authorization_server.revoke_all(clients.LOGIN)
    for _ in range(3):
        with pytest.raises(ReauthorizationRequiredError):
            host.manager().get_access_token()
    assert authorization_server.token_requests == 2
    assert (host.record().status, host.record().refresh_token) == ("needs_authorization", kept)
    again = replace(host, seed=authorization_server.mint_refresh_token(clients.LOGIN))
    again.manager().get_access_token()
    assert host.record().status == "active"


def test_two_hosts_adopt_from_each_other(
    host: Host, authorization_server: AuthorizationServer, tmp_path: Path
) -> None:
    """A host whose refresh token was refused takes what the other has saved meanwhile."""
    authorization_server.rotate_refresh_tokens = False
    host.manager().get_access_token()
    host.expire()
    stale = host.store()
    other = replace(host, seed=authorization_server.mint_refresh_token(clients.LOGIN))
    before = stale.load(host.settings.conn_id)
    assert before is not None

    class OvertakenStore(type(stale)):  # type: ignore[misc]
        """A store that another host writes between the first reads and the refusal."""

        reads = 0

        def load(self, conn_id: str) -> str | None:
            """Return what was there before the other host wrote, twice."""
            self.reads += 1
            return before if self.reads <= 2 else super().load(conn_id)

    token = other.manager().get_access_token()
    authorization_server.fail_next("token", "json_error", status=400, error="invalid_grant")
    overtaken = OvertakenStore(tmp_path / "tokens")
    assert host.manager(overtaken).get_access_token() == token


# --- Secrets ----------------------------------------------------------------------------------


def test_no_secret_leaves_sealing(
    host: Host,
    authorization_server: AuthorizationServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither logs nor files nor errors nor reprs hold a token or the client secret."""
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []

    def ask() -> None:
        manager = host.manager()
        try:
            manager.reject_access_token(manager.get_access_token())
        except ImapOAuthError as error:
            shown.extend((str(error), repr(error), repr(error.__dict__)))
        shown.extend((repr(manager), repr(vars(manager)), repr(manager.state())))

    ask()
    for kind in ("html", "error_200", "reset", "body", "truncated_json"):
        authorization_server.fail_next("token", kind, body='{"access_token": 1}')
        ask()
    ask()  # refused, because the answer that was cut off had rotated the refresh token
    response = TokenResponse(
        access_token=authorization_server.mint_access_token(clients.LOGIN),
        expires_in_seconds=60,
        refresh_token=authorization_server.mint_refresh_token(clients.LOGIN),
    )
    bound = binding(host.settings, "imap.example.test")
    shown.append(
        seal_refresh_token(response, settings=host.settings, binding=bound, sealer=sealer_of(1))
    )
    host.manager().accept_authorization(response)
    shown.extend((repr(host.settings), repr(response), caplog.text))
    files = [path for path in host.folder.rglob("*") if path.is_file()]
    shown.extend(path.read_text() for path in files)
    assert any(path.name == "mail.json" for path in files)
    issued = authorization_server.secrets_issued()
    assert len(issued) > 5
    canaries = {form for secret in issued for form in (secret, quote_plus(secret))}
    assert [canary for canary in canaries if any(canary in text for text in shown)] == []
