# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A rejected token is replaced once, and only where that can help."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from airflow_imap_oauth.exceptions import (
    ImapAuthenticationError,
    ImapCapabilityError,
    ImapConnectionError,
    ImapTlsError,
    ImapUnavailableError,
)
from airflow_imap_oauth.imap.connect import connect
from tests.imap.accounts import Account, Tokens
from tests.oauth import clients
from tests.servers.embedded_imap import EmbeddedImapServer
from tests.servers.proxy import Proxy
from tests.tokens.workers import Host

STEP = "IMAP sign-in"


def test_a_good_token_is_used(account: Account) -> None:
    """One token, one connection."""
    tokens = Tokens(account.token())
    with Proxy(account.server.port) as proxy:
        session = connect(replace(account.settings, port=proxy.port), tokens)
        session.examine("INBOX")
        session.close()
        assert (tokens.asked, tokens.rejected, proxy.connections) == (1, [], 1)


def test_a_rejected_token_is_replaced(account: Account) -> None:
    """The token that the server refused is dropped, and the fresh one opens the mailbox."""
    expired = account.token(lifetime_seconds=-1)
    tokens = Tokens(expired, account.token())
    with Proxy(account.server.port) as proxy:
        session = connect(replace(account.settings, port=proxy.port), tokens)
        session.examine("INBOX")
        session.close()
        assert (tokens.asked, tokens.rejected, proxy.connections) == (2, [expired], 2)


def test_only_once(account: Account) -> None:
    """A fresh token that is refused too is the end: no third try, no second renewal."""
    bad = [account.token(lifetime_seconds=-1) for _ in range(3)]
    tokens = Tokens(*bad)
    with Proxy(account.server.port) as proxy:
        with account.fails(ImapAuthenticationError, STEP):
            connect(replace(account.settings, port=proxy.port), tokens)
        assert (tokens.asked, tokens.rejected, proxy.connections) == (2, bad[:1], 2)


def test_a_source_without_another_token(account: Account) -> None:
    """The same token is not tried again."""
    tokens = Tokens(account.token(lifetime_seconds=-1))
    with Proxy(account.server.port) as proxy:
        with account.fails(ImapAuthenticationError, STEP):
            connect(replace(account.settings, port=proxy.port), tokens)
        assert proxy.connections == 1


def test_unavailable_never_rejects_the_token(account: Account) -> None:
    """A server that is out of order costs no renewal, and is asked once."""
    account.authorization.fail_next("introspection", "html", times=5)
    tokens = Tokens(account.token(), account.token())
    with Proxy(account.server.port) as proxy:
        with account.fails(ImapUnavailableError, STEP):
            connect(replace(account.settings, port=proxy.port), tokens)
        assert (tokens.asked, tokens.rejected, proxy.connections) == (1, [], 1)


@pytest.mark.parametrize("status", ["AUTHORIZATIONFAILED", "NOPERM", "CONTACTADMIN"])
def test_an_account_that_is_locked_out(
    scripted: Account, embedded_imap: EmbeddedImapServer, status: str
) -> None:
    """Where the server will not let the account in at all, no token is blamed."""
    embedded_imap.script("AUTHENTICATE", status=f"NO [{status}] locked", times=None)
    tokens = Tokens(scripted.token(), scripted.token())
    with scripted.fails(ImapAuthenticationError, STEP):
        connect(scripted.settings, tokens)
    assert (tokens.rejected, embedded_imap.connections) == ([], 1)


@pytest.mark.parametrize(
    ("fault", "kind", "step"),
    [
        ({"command": "AUTHENTICATE", "drop_after_bytes": 0}, ImapConnectionError, STEP),
        (
            {"command": "AUTHENTICATE", "answer": b"* BYE [UNAVAILABLE] busy\r\n"},
            ImapUnavailableError,
            STEP,
        ),
        (
            {"command": "GREETING", "answer": b"* BYE too busy\r\n"},
            ImapConnectionError,
            "IMAP connection",
        ),
    ],
)
def test_a_lost_connection_never_rejects_the_token(
    scripted: Account,
    embedded_imap: EmbeddedImapServer,
    fault: dict[str, object],
    kind: type[ImapConnectionError],
    step: str,
) -> None:
    """What happens to the connection says nothing about the token."""
    embedded_imap.script(**fault)  # type: ignore[arg-type]
    tokens = Tokens(scripted.token(), scripted.token())
    with scripted.fails(kind, step):
        connect(scripted.settings, tokens)
    assert (tokens.rejected, embedded_imap.connections) == ([], 1)


def test_neither_does_a_server_that_takes_no_tokens(
    scripted: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """A missing mechanism costs no renewal."""
    embedded_imap.mechanisms = ()
    tokens = Tokens(scripted.token(), scripted.token())
    with scripted.fails(ImapCapabilityError, STEP):
        connect(scripted.settings, tokens)
    assert tokens.rejected == []


def test_nor_one_that_is_not_trusted(account: Account) -> None:
    """An untrusted certificate costs no renewal."""
    tokens = Tokens(account.token(), account.token())
    with account.fails(ImapTlsError, "IMAP connection"):
        connect(replace(account.settings, ca_file=None), tokens)
    assert tokens.rejected == []


@pytest.mark.parametrize(
    ("status", "kind", "token_requests"),
    [
        ("NO [AUTHENTICATIONFAILED] no", None, 2),
        ("NO [UNAVAILABLE] busy", ImapUnavailableError, 1),
    ],
)
def test_with_the_real_token_manager(
    scripted: Account,
    embedded_imap: EmbeddedImapServer,
    tmp_path: Path,
    status: str,
    kind: type[ImapUnavailableError] | None,
    token_requests: int,
) -> None:
    """A refused token is one more token request; a server that is busy is none."""
    server = scripted.authorization
    host = Host(
        settings=replace(clients.custom(server), login=scripted.login),
        seed=server.mint_refresh_token(scripted.login),
        folder=tmp_path,
    )
    embedded_imap.script("AUTHENTICATE", status=status)
    if kind is None:
        connect(scripted.settings, host.manager()).close()
    else:
        with scripted.fails(kind, STEP):
            connect(scripted.settings, host.manager())
    assert server.token_requests == token_requests
