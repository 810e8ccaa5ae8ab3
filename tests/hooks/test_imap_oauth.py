# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Signing in and out with the hook, and its access tokens."""

from __future__ import annotations

import asyncio
import ssl

import httpx
import pytest

from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    ImapAuthenticationError,
    ImapConnectionError,
    ReauthorizationRequiredError,
)
from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from tests.hooks import connections
from tests.hooks.mailboxes import Mailbox, with_files
from tests.servers.authorization_server import AuthorizationServer
from tests.servers.embedded_imap import EmbeddedImapServer


def revoke(server: AuthorizationServer, token: str) -> None:
    """Revoke one token (RFC 7009)."""
    httpx.post(
        server.revoke_url,
        data={"token": token},
        auth=(server.client_id, server.client_secret),
        verify=ssl.create_default_context(cafile=str(server.ca_file)),
        trust_env=False,
    ).raise_for_status()


def test_context_manager_signs_in_once_and_out(
    embedded_mailbox: Mailbox, embedded_imap: EmbeddedImapServer
) -> None:
    """The block has one session, which ends with it; another block gets another."""
    hook = ImapOAuthHook(embedded_mailbox.conn_id)
    for count in (1, 2):
        with hook as entered:
            assert entered is hook
            assert hook.get_conn() is hook
            assert hook.mail_client is not None
            assert embedded_imap.connections == count
        assert hook.mail_client is None
        assert embedded_imap.command_names.count("LOGOUT") == count


def test_session_is_one_of_its_own(
    embedded_mailbox: Mailbox, embedded_imap: EmbeddedImapServer
) -> None:
    """``session()`` signs out at its end, also after an error, and leaves the hook as it was."""
    hook = ImapOAuthHook(embedded_mailbox.conn_id)

    def use() -> None:
        with hook.session() as session:
            assert hook.mail_client is None
            assert session.examine("INBOX").exists == 0
            raise LookupError("inside")

    with pytest.raises(LookupError, match="inside"):
        use()
    assert embedded_imap.command_names[-1] == "LOGOUT"


def test_leaving_does_not_hide_what_was_raised(embedded_mailbox: Mailbox) -> None:
    """A lost connection at sign-out does not replace the error of the block."""

    def use() -> None:
        with ImapOAuthHook(embedded_mailbox.conn_id):
            embedded_mailbox.mail.kick(embedded_mailbox.login)
            raise LookupError("inside")

    with pytest.raises(LookupError, match="inside"):
        use()


def test_failed_sign_in_leaves_no_half_open_hook(
    embedded_mailbox: Mailbox, embedded_imap: EmbeddedImapServer
) -> None:
    """After a failure the next ``get_conn`` signs in, instead of handing out a dead client."""
    hook = ImapOAuthHook(embedded_mailbox.conn_id)
    embedded_imap.script("GREETING", drop_after_bytes=0)
    with pytest.raises(ImapConnectionError):
        hook.get_conn()
    assert hook.mail_client is None
    with hook:
        assert hook.has_mail_attachment("x") is False


def test_methods_need_a_sign_in(embedded_mailbox: Mailbox) -> None:
    """A hook that is not signed in says how to use it."""
    with pytest.raises(ConfigurationError, match="with ImapOAuthHook") as caught:
        ImapOAuthHook(embedded_mailbox.conn_id).has_mail_attachment("x")
    assert caught.value.conn_id == embedded_mailbox.conn_id


@pytest.mark.parametrize(
    ("mailbox", "said"),
    [
        ("shared@example.test", "opens mailbox shared@example.test (key 'mailbox'), so it needs"),
        (None, "If another account than {login} consented, that one needs full access to it"),
    ],
)
def test_refused_token_tells_whose_it_has_to_be(
    embedded_mailbox: Mailbox,
    embedded_imap: EmbeddedImapServer,
    mailbox: str | None,
    said: str,
) -> None:
    """A mailbox that somebody else signed in for needs his rights on it, and the hint says so."""
    connections.change(embedded_mailbox.conn_id, extra={"mailbox": mailbox})
    embedded_imap.script("AUTHENTICATE", status="NO AUTHENTICATE failed.", times=2)
    with pytest.raises(ImapAuthenticationError) as caught:
        ImapOAuthHook(embedded_mailbox.conn_id).get_conn()
    assert said.format(login=embedded_mailbox.login) in caught.value.hint


def test_account_is_the_mailbox_that_is_opened(
    embedded_mailbox: Mailbox,
    authorization_server: AuthorizationServer,
    embedded_imap: EmbeddedImapServer,
) -> None:
    """It is the login, or the shared mailbox where one is named; nobody is asked."""
    hook = ImapOAuthHook(embedded_mailbox.conn_id)
    assert hook.account == embedded_mailbox.login
    connections.change(embedded_mailbox.conn_id, extra={"mailbox": "shared@example.test"})
    assert hook.account == "shared@example.test"
    assert not authorization_server.requests
    assert embedded_imap.connections == 0


def test_one_refresh_serves_many_sign_ins(mailbox: Mailbox) -> None:
    """The access token is kept: sessions, hooks and their token methods share it."""
    mailbox.deliver(with_files(("a.csv", b"a")))
    mailbox.authorization.reset_counters()
    tokens = set()
    for _ in range(3):
        with ImapOAuthHook(mailbox.conn_id) as hook:
            assert hook.has_mail_attachment("a.csv")
            tokens.add(hook.get_access_token())
    assert len(tokens) == 1
    assert mailbox.authorization.token_requests == 1


def test_rejected_token_is_renewed_once(mailbox: Mailbox) -> None:
    """A token that the mail server no longer takes is replaced, and the sign-in succeeds."""
    first = ImapOAuthHook(mailbox.conn_id).get_access_token()
    revoke(mailbox.authorization, first)
    mailbox.authorization.reset_counters()
    with ImapOAuthHook(mailbox.conn_id) as hook:
        assert hook.get_access_token() != first
    assert mailbox.authorization.token_requests == 1


def test_async_token_does_not_block_the_loop(
    embedded_mailbox: Mailbox, authorization_server: AuthorizationServer
) -> None:
    """While a slow server is asked, the event loop goes on; the token is the hook's."""
    hook = ImapOAuthHook(embedded_mailbox.conn_id)
    authorization_server.fail_next("token", "slow", seconds=0.5)

    async def both() -> tuple[bool, str]:
        task = asyncio.ensure_future(hook.aget_access_token())
        _, waiting = await asyncio.wait({task}, timeout=0.01)
        return bool(waiting), await task

    loop_was_free, token = asyncio.run(both())
    assert loop_was_free
    assert token == hook.get_access_token()


def test_authorizing_again_is_noticed(
    embedded_mailbox: Mailbox, authorization_server: AuthorizationServer
) -> None:
    """A hook reads its connection anew each time, so a new refresh token revives it."""
    hook = ImapOAuthHook(embedded_mailbox.conn_id)
    authorization_server.revoke_all(embedded_mailbox.login)
    with pytest.raises(ReauthorizationRequiredError) as caught:
        hook.get_access_token()
    assert caught.value.conn_id == embedded_mailbox.conn_id
    embedded_mailbox.connect()
    assert hook.get_access_token()
