# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""When a mailbox cannot be authenticated: its fallback connection, and nothing else."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_imap_oauth.exceptions import (
    ClientRejectedError,
    ConfigurationError,
    ImapConnectionError,
    ImapOAuthError,
    ReauthorizationRequiredError,
    TransientOAuthError,
)
from airflow_imap_oauth.hooks import fallback
from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from airflow_imap_oauth.hooks.mailbox import open_mailbox
from airflow_imap_oauth.tokens.seeds import SEED_PURPOSE
from tests.hooks import connections
from tests.hooks.own_grants import GRANTS
from tests.servers.dovecot_config import PASSWORD
from tests.servers.http_proxy import ForwardProxy

if TYPE_CHECKING:
    from tests.hooks.mailboxes import Mailbox
    from tests.servers.embedded_imap import EmbeddedImapServer

OTHER = "mail_fallback"


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Collect the names of metrics that are counted."""
    names: list[str] = []
    monkeypatch.setattr(fallback.Stats, "incr", lambda name, *_, **__: names.append(name))
    yield names
    connections.remove(OTHER)


def dead(mailbox: Mailbox, **extra: Any) -> None:
    """Let the mailbox's own refresh token be one that the server does not know."""
    mailbox.connect(password="dead-refresh-token", extra={"fallback_conn_id": OTHER, **extra})


def by_password(mailbox: Mailbox, **fields: Any) -> None:
    """Write a connection of Airflow's own type to the same mailbox."""
    values = {
        "conn_type": "imap",
        "host": mailbox.mail.host,
        "port": mailbox.mail.port,
        "login": mailbox.login,
        "password": PASSWORD,
        **fields,
    }
    extra = {"ca_file": str(mailbox.authorization.ca_file), **values.pop("extra", {})}
    connections.add(OTHER, extra=extra, **values)


def by_token(mailbox: Mailbox, **fields: Any) -> None:
    """Write another connection of our type, with another registration, to the same mailbox."""
    server = mailbox.authorization
    token = server.mint_refresh_token(mailbox.login, client_id=server.public_client_id)
    extra = connections.custom(
        server,
        client_id=server.public_client_id,
        client_secret=None,
        **fields.pop("extra", {}),
    )
    values = {
        "host": mailbox.mail.host,
        "port": mailbox.mail.port,
        "login": mailbox.login,
        "password": token,
        **fields,
    }
    connections.add(OTHER, extra=extra, **values)


@pytest.fixture(autouse=True)
def _passwords(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the embedded server take the password that Dovecot takes."""
    for name in ("mailbox", "embedded_mailbox"):
        if name in request.fixturenames:
            box = request.getfixturevalue(name)
            monkeypatch.setattr(box.mail, "passwords", {box.login: PASSWORD}, raising=False)


def test_password_opens_the_mailbox_that_oauth_cannot(
    mailbox: Mailbox, counted: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A dead refresh token gives way to login by password: loudly, counted, showing no secret."""
    caplog.set_level(logging.DEBUG)
    dead(mailbox)
    by_password(mailbox)
    with ImapOAuthHook(mailbox.conn_id) as hook:
        assert hook.has_mail_attachment("x") is False
    assert counted == ["imap_oauth.fallback"]
    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert mailbox.conn_id in told.getMessage()
    assert OTHER in told.getMessage()
    assert PASSWORD not in caplog.text
    assert "dead-refresh-token" not in caplog.text


def test_without_ssl_means_starttls(embedded_mailbox: Mailbox, counted: list[str]) -> None:
    """A fallback connection that says use_ssl false is not sent a password in clear."""
    dead(embedded_mailbox)
    by_password(
        embedded_mailbox,
        port=embedded_mailbox.mail.starttls_port,
        extra={"use_ssl": False},
    )
    with ImapOAuthHook(embedded_mailbox.conn_id) as hook:
        assert hook.mail_client is not None
    assert counted


def test_other_registration_opens_the_mailbox(mailbox: Mailbox, counted: list[str]) -> None:
    """A fallback of our own type signs in with tokens of its own."""
    dead(mailbox)
    by_token(mailbox)
    with ImapOAuthHook(mailbox.conn_id) as hook:
        assert hook.mail_client is not None
    assert counted == ["imap_oauth.fallback"]


def test_without_a_fallback_the_fault_rises(embedded_mailbox: Mailbox, counted: list[str]) -> None:
    """Where none is named nothing changes."""
    embedded_mailbox.connect(password="dead-refresh-token")
    with pytest.raises(ReauthorizationRequiredError):
        ImapOAuthHook(embedded_mailbox.conn_id).get_conn()
    assert counted == []


def test_trouble_that_passes_is_none_of_its_business(
    embedded_mailbox: Mailbox, embedded_imap: EmbeddedImapServer, counted: list[str]
) -> None:
    """A server that is out of order, or a lost connection, is for the task's retries."""
    embedded_mailbox.connect(extra={"fallback_conn_id": OTHER})
    by_password(embedded_mailbox)
    embedded_mailbox.authorization.fail_next("token", "status", status=503)
    with pytest.raises(TransientOAuthError):
        ImapOAuthHook(embedded_mailbox.conn_id).get_conn()
    embedded_imap.script("GREETING", drop_after_bytes=0)
    with pytest.raises(ImapConnectionError):
        ImapOAuthHook(embedded_mailbox.conn_id).get_conn()
    assert counted == []


def test_its_own_fallback_is_not_followed(embedded_mailbox: Mailbox, counted: list[str]) -> None:
    """Two connections that name each other do not go round: the first fault rises."""
    dead(embedded_mailbox)
    by_token(
        embedded_mailbox,
        password="dead-too",
        extra={"fallback_conn_id": embedded_mailbox.conn_id},
    )
    with pytest.raises(ReauthorizationRequiredError) as caught:
        ImapOAuthHook(embedded_mailbox.conn_id).get_conn()
    assert caught.value.conn_id == embedded_mailbox.conn_id
    assert counted == ["imap_oauth.fallback"]


def test_fallback_out_of_order_is_worth_a_retry(
    embedded_mailbox: Mailbox, embedded_imap: EmbeddedImapServer, counted: list[str]
) -> None:
    """If the fallback fails for a reason that passes, the error is one that Airflow retries."""
    dead(embedded_mailbox)
    by_token(embedded_mailbox)
    embedded_mailbox.authorization.fail_next("token", "json_error", error="invalid_grant")
    embedded_mailbox.authorization.fail_next("token", "status", status=503)
    with pytest.raises(TransientOAuthError) as caught:
        ImapOAuthHook(embedded_mailbox.conn_id).get_conn()
    assert caught.value.conn_id == OTHER
    assert f"because '{embedded_mailbox.conn_id}' had failed: " in caught.value.hint
    assert counted == ["imap_oauth.fallback"]
    del embedded_imap


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"host": "127.0.0.1"}, "another host or mailbox"),
        ({"login": "somebody-else@example.test"}, "another host or mailbox"),
        ({"password": None}, "lacks host, login or password"),
        ({"conn_type": "http"}, "of type 'http'"),
        ({"port": 70_000}, "out of range"),
        ({"extra": {"ca_file": "ca.pem"}}, "not an absolute path"),
        ({"extra": {"ca_file": ["/x"]}}, "not an absolute path"),
        ({"extra": {"proxy_url": "socks4://proxy.example.com"}}, "SOCKS"),
        ({"extra": {"proxy_url": 7}}, "not the URL of a proxy"),
        ({"extra": {"proxy_url": "***"}}, "not the URL of a proxy"),
        ({"password": "***"}, "only Airflow's mask"),
        ({"port": -1}, "out of range"),
    ],
)
def test_unfit_fallback_leaves_the_fault_as_it_was(
    embedded_mailbox: Mailbox,
    counted: list[str],
    caplog: pytest.LogCaptureFixture,
    fields: dict[str, Any],
    problem: str,
) -> None:
    """Another host or mailbox is not tried nor counted; the first fault rises and says so."""
    dead(embedded_mailbox)
    by_password(embedded_mailbox, **fields)
    with pytest.raises(ReauthorizationRequiredError) as caught:
        ImapOAuthHook(embedded_mailbox.conn_id).get_conn()
    assert caught.value.conn_id == embedded_mailbox.conn_id
    assert f"Its fallback '{OTHER}' cannot serve: " in caught.value.hint
    assert problem in caught.value.hint
    assert problem in caplog.text
    assert counted == []


def test_wrong_password_leaves_the_fault_as_it_was(
    embedded_mailbox: Mailbox, counted: list[str]
) -> None:
    """A fallback that was tried in vain is counted; the first fault rises and says so."""
    dead(embedded_mailbox)
    by_password(embedded_mailbox, password="wrong-password")
    with pytest.raises(ReauthorizationRequiredError) as caught:
        ImapOAuthHook(embedded_mailbox.conn_id).get_conn()
    assert f"Its fallback '{OTHER}' was tried and failed, too: The server" in caught.value.hint
    assert "wrong-password" not in str(caught.value)
    assert counted == ["imap_oauth.fallback"]


def test_same_credential_is_no_fallback(embedded_mailbox: Mailbox, counted: list[str]) -> None:
    """A copy of the connection cannot help, and is not tried."""
    dead(embedded_mailbox)
    server, mail = embedded_mailbox.authorization, embedded_mailbox.mail
    connections.add(
        OTHER,
        extra=connections.custom(server),
        host=mail.host,
        port=mail.port,
        login=embedded_mailbox.login,
        password="dead-refresh-token",
    )
    server.reset_counters()
    with pytest.raises(ReauthorizationRequiredError) as caught:
        ImapOAuthHook(embedded_mailbox.conn_id).get_conn()
    assert "very same credential" in caught.value.hint
    assert server.token_requests == 1
    assert counted == []


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": "mail offline_access", "read_timeout_seconds": 9},
        {"client_id": "another-client-of-the-test", "client_secret": None},
    ],
    ids=["other settings", "other client"],
)
def test_same_refresh_token_is_no_fallback(
    embedded_mailbox: Mailbox, counted: list[str], change: dict[str, Any]
) -> None:
    """A connection with the same refresh token is not tried, sealed or not, whatever differs."""
    dead(embedded_mailbox)
    mail = embedded_mailbox.mail
    fields = {"host": mail.host, "port": mail.port, "login": embedded_mailbox.login}
    extra = connections.custom(embedded_mailbox.authorization, **change)
    connections.add(OTHER, extra=extra, password="dead-refresh-token", **fields)
    other = open_mailbox(ImapOAuthHook.get_connection(OTHER))
    sealed = other.sealer.seal("dead-refresh-token", purpose=SEED_PURPOSE, binding=other.binding)
    connections.change(OTHER, password=sealed)
    with pytest.raises(ReauthorizationRequiredError, match="very same credential"):
        ImapOAuthHook(embedded_mailbox.conn_id).get_conn()
    assert counted == []


@pytest.mark.parametrize("grant", GRANTS, ids=lambda grant: grant.__name__)
def test_same_application_is_no_fallback(
    embedded_mailbox: Mailbox,
    counted: list[str],
    monkeypatch: pytest.MonkeyPatch,
    grant: Callable[..., dict[str, Any]],
) -> None:
    """An application that signs in by itself is no fallback for itself."""
    server, login = embedded_mailbox.authorization, embedded_mailbox.login
    monkeypatch.setenv("IMAP_OAUTH_TEST_BASE_URL", server.base_url)
    extra = grant(server, login)
    embedded_mailbox.connect(password=None, extra={**extra, "fallback_conn_id": OTHER})
    mail = embedded_mailbox.mail
    connections.add(
        OTHER,
        extra=connections.custom(server, **extra, read_timeout_seconds=9),
        host=mail.host,
        port=mail.port,
        login=login,
        password="nobody-uses-this-password",
    )
    server.fail_next("token", "json_error", status=401, error="invalid_client")
    with pytest.raises(ClientRejectedError, match="very same credential"):
        ImapOAuthHook(embedded_mailbox.conn_id).get_conn()
    assert counted == []


@pytest.mark.parametrize(
    "odd",
    [
        {"extra": "[1]"},
        {"extra": "{"},
        {"extra": "[" * 100_000},
        {"extra": {"use_ssl": True}},
        {"port": float("inf")},
        {"port": float("nan")},
        {"port": "993"},
        {"host": 7},
        {"login": ["a"]},
        {"password": 12345678},
        {"conn_type": 5},
        {"conn_type": "imap_oauth", "port": "993"},
    ],
    ids=lambda odd: str(odd)[:40],
)
def test_odd_fallback_of_a_secrets_backend_is_told(
    embedded_mailbox: Mailbox, odd: dict[str, Any]
) -> None:
    """Whatever types a secrets backend hands out, the fallback is refused in words."""
    fields = {
        "conn_id": OTHER,
        "conn_type": "imap",
        "host": embedded_mailbox.mail.host,
        "login": embedded_mailbox.login,
        "password": PASSWORD,
        "schema": None,
        "port": None,
        "extra": "{}",
        **odd,
    }
    mailbox = open_mailbox(ImapOAuthHook.get_connection(embedded_mailbox.conn_id))
    with pytest.raises(ConfigurationError) as caught:
        fallback.prepared(mailbox, SimpleNamespace(**fields))  # type: ignore[arg-type]
    assert caught.value.hint
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "huge"])
def test_ca_file_that_is_none_is_not_waited_for(
    embedded_mailbox: Mailbox, counted: list[str], tmp_path: Path, kind: str
) -> None:
    """A CA file of the fallback that is no plain file of a sane size is told at once."""
    file = tmp_path / "ca.pem"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "huge":
        file.touch()
        os.truncate(file, 100 * 1024 * 1024)
    dead(embedded_mailbox)
    path = "/dev/zero" if kind == "device" else str(file)
    by_password(embedded_mailbox, extra={"ca_file": path})
    said = "too large" if kind == "huge" else "no plain file"
    with pytest.raises(ReauthorizationRequiredError, match=said):
        ImapOAuthHook(embedded_mailbox.conn_id).get_conn()
    assert counted


def test_password_takes_no_way_of_the_first_connection(
    embedded_mailbox: Mailbox, counted: list[str]
) -> None:
    """A proxy of the first connection is not used for the other's password; its own proxy is."""
    with ForwardProxy("http") as first, ForwardProxy("http") as own:
        dead(embedded_mailbox, proxy_url=first.url)
        by_password(embedded_mailbox, extra={"proxy_url": own.url})
        with ImapOAuthHook(embedded_mailbox.conn_id) as hook:
            assert hook.mail_client is not None
        port = embedded_mailbox.mail.port
        # The first connection is made before its token is asked for.
        assert [each for _, each in first.targets].count(port) == 1
        assert [each for _, each in own.targets] == [port]
    assert counted


def test_password_goes_only_to_whom_its_own_connection_trusts(
    embedded_mailbox: Mailbox, embedded_imap: EmbeddedImapServer, counted: list[str]
) -> None:
    """A CA file of the first connection does not vouch for where the other's password goes."""
    dead(embedded_mailbox)
    by_password(embedded_mailbox, extra={"ca_file": None})
    with pytest.raises(ReauthorizationRequiredError) as caught:
        ImapOAuthHook(embedded_mailbox.conn_id).get_conn()
    assert "not trusted" in caught.value.hint
    assert not [command for command in embedded_imap.commands if "LOGIN" in command]
    del counted


def test_missing_fallback_is_told(
    embedded_mailbox: Mailbox, counted: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A fallback that does not exist is named in the log, and the first fault rises."""
    dead(embedded_mailbox)
    with pytest.raises(ImapOAuthError) as caught:
        ImapOAuthHook(embedded_mailbox.conn_id).get_conn()
    assert isinstance(caught.value, ReauthorizationRequiredError)
    assert "no such connection" in caplog.text
    assert counted == []


def test_living_token_serves_while_the_authorization_server_is_down(
    embedded_mailbox: Mailbox, counted: list[str]
) -> None:
    """As long as the access token lives, nobody is asked, and no fallback is needed."""
    hook = ImapOAuthHook(embedded_mailbox.conn_id)
    with hook:
        pass
    embedded_mailbox.authorization.fail_next("token", "reset", times=5)
    with hook:
        assert hook.mail_client is not None
    assert counted == []
