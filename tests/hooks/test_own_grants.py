# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Connections whose application or service account signs in by itself, from form to mailbox."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from airflow_imap_oauth.exceptions import ClientRejectedError, ImapAuthenticationError
from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from tests.hooks import connections
from tests.hooks.own_grants import GRANTS, with_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hooks.mailboxes import Mailbox


@pytest.fixture(params=GRANTS, ids=lambda grant: grant.__name__)
def own(
    request: pytest.FixtureRequest, embedded_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> Mailbox:
    """Give a mailbox whose connection has no refresh token, but each own credential in turn."""
    monkeypatch.setenv("IMAP_OAUTH_TEST_BASE_URL", embedded_mailbox.authorization.base_url)
    embedded_mailbox.connect(
        password=None, extra=request.param(embedded_mailbox.authorization, embedded_mailbox.login)
    )
    embedded_mailbox.authorization.reset_counters()
    return embedded_mailbox


def test_nobody_signs_in_and_the_mailbox_opens(own: Mailbox) -> None:
    """Without any refresh token the hook opens the mailbox; one token serves many sessions."""
    for _ in range(3):
        with ImapOAuthHook(own.conn_id) as hook:
            assert hook.has_mail_attachment("x") is False
    assert own.authorization.token_requests == 1


def test_refused_token_of_an_application_is_no_persons(own: Mailbox) -> None:
    """Where nobody signs in, the hint of a refusal asks nobody to."""
    own.mail.script("AUTHENTICATE", status="NO AUTHENTICATE failed.", times=2)  # type: ignore[attr-defined]
    with pytest.raises(ImapAuthenticationError) as caught:
        ImapOAuthHook(own.conn_id).get_conn()
    grant = connections.stored(own.conn_id)[1]["grant"]
    assert "consented" not in caught.value.hint
    assert ("The application itself" in caught.value.hint) == (grant == "client_credentials")


def test_no_secret_is_logged(own: Mailbox, caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG no line of a key, no secret, no assertion and no token is in the log."""
    caplog.set_level(logging.DEBUG)
    with ImapOAuthHook(own.conn_id):
        pass
    stored = connections.stored(own.conn_id)[1]
    secrets = own.authorization.secrets_issued()
    for name in ("client_secret", "certificate_private_key", "service_account_key"):
        secrets |= {line for line in (stored.get(name) or "").splitlines() if len(line) > 30}
    shown = "\n".join(
        f"{record.getMessage()} {record.args}"
        for record in caplog.records
        if not record.name.startswith(("authlib", "imapclient"))
    )
    assert not [secret for secret in secrets if secret and secret in shown]


def test_rejected_token_is_replaced(own: Mailbox) -> None:
    """A token that the mail server no longer takes costs one more request, not the sign-in."""
    first = ImapOAuthHook(own.conn_id).get_access_token()
    own.authorization.revoke_all(own.login)
    with ImapOAuthHook(own.conn_id) as hook:
        assert hook.get_access_token() != first
    assert own.authorization.token_requests == 2


def test_test_button_signs_in_and_keeps_nothing(own: Mailbox) -> None:
    """Testing signs in, because that costs nothing, and leaves no record behind."""
    before = connections.everything_in_the_database()
    fine, verdict = ImapOAuthHook(own.conn_id).test_connection()
    assert (fine, verdict) == (True, f"Signed in to {own.mail.host} as {own.login}.")
    assert connections.everything_in_the_database() == before


def test_verdict_warns_of_the_credentials_end(own: Mailbox) -> None:
    """From 30 days before, testing says on which day the credential ends."""
    connections.change(own.conn_id, extra={"credential_expires_on": "2026-01-31"})
    fine, verdict = ImapOAuthHook(own.conn_id).test_connection()
    assert fine
    assert "ended on 2026-01-31" in verdict


def test_refused_credential_asks_nobody_to_sign_in(own: Mailbox) -> None:
    """An error of the server is permanent, and does not tell to run a login that cannot help."""
    own.authorization.fail_next("token", "json_error", status=400, error="invalid_grant")
    with pytest.raises(ClientRejectedError) as caught:
        ImapOAuthHook(own.conn_id).get_access_token()
    assert not caught.value.retry_helps
    assert "login" not in str(caught.value)
    # It is tried anew, not remembered as dead.
    assert ImapOAuthHook(own.conn_id).get_access_token()


def test_key_id_and_lost_line_breaks(embedded_mailbox: Mailbox) -> None:
    """A key pasted into one line still signs, and names its key id."""
    import jwt

    extra = with_key(embedded_mailbox.authorization, embedded_mailbox.login)
    extra["certificate_private_key"] = extra["certificate_private_key"].replace("\n", "\\n")
    embedded_mailbox.connect(password=None, extra=extra)
    embedded_mailbox.authorization.reset_counters()
    ImapOAuthHook(embedded_mailbox.conn_id).get_access_token()
    (request,) = embedded_mailbox.authorization.recorded("token")
    header = jwt.get_unverified_header(request.parameters["client_assertion"])
    assert header["kid"] == "key-7"


def test_slow_servers_leave_the_event_loop_free(
    own: Mailbox, imap_login: Callable[[], str]
) -> None:
    """While tokens of several mailboxes are waited for, the event loop goes on."""
    own.authorization.fail_next("token", "slow", seconds=0.5, times=2)
    other = imap_login().partition("@")[0]
    row = connections.stored(own.conn_id)[1]
    connections.add(other, login=own.login, host=own.mail.host, port=own.mail.port, extra=row)

    async def both() -> int:
        ticks = 0
        tasks = {
            asyncio.ensure_future(ImapOAuthHook(conn_id).aget_access_token())
            for conn_id in (own.conn_id, other)
        }
        while tasks:
            _, tasks = await asyncio.wait(tasks, timeout=0.01)
            ticks += 1
        return ticks

    ticks = asyncio.run(both())
    connections.remove(other)
    assert ticks > 5
    assert own.authorization.token_requests == 2
