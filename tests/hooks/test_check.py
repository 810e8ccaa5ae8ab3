# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Checking a connection step by step, on real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_imap_oauth.hooks.check import TITLES, CheckStep, StepName, check
from tests.hooks import connections

if TYPE_CHECKING:
    from tests.hooks.mailboxes import Mailbox


def run(mailbox: Mailbox) -> dict[StepName, CheckStep]:
    """Check the connection as it is stored now."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(Connection).where(Connection.conn_id == mailbox.conn_id)
        connection = session.scalars(query).one()
        session.expunge(connection)
    return {step.name: step for step in check(connection)}


def test_all_is_well(embedded_mailbox: Mailbox) -> None:
    """With a connection in order every step is taken, in order, and none fails."""
    steps = run(embedded_mailbox)
    assert tuple(steps) == tuple(TITLES)
    assert {step.outcome for name, step in steps.items() if name != "account"} == {"ok"}
    assert steps["sign_in"].text == f"Signed in as {embedded_mailbox.login}."
    assert steps["folder"].text == "INBOX holds 0 messages."


def test_secrets_typed_plain_are_named(embedded_mailbox: Mailbox) -> None:
    """The step of the keys names what is not sealed yet."""
    assert "client_secret" in run(embedded_mailbox)["token_keys"].text


@pytest.mark.parametrize(
    ("change", "failed", "skipped"),
    [
        ({"mail_provider": "nobody"}, "settings", {*TITLES} - {"settings"}),
        (
            {"client_secret": "sealed:v1:000000000000:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
            "token_keys",
            {*TITLES} - {"settings", "token_keys", "names", "tls"},
        ),
        (
            {"issuer": "https://missing.invalid"},
            "names",
            {*TITLES} - {"settings", "token_keys", "names"},
        ),
        (
            {"issuer": "https://localhost:1"},
            "discovery",
            {*TITLES} - {"settings", "token_keys", "names", "tls", "discovery"},
        ),
    ],
)
def test_first_fault_is_named_and_what_rests_on_it_skipped(
    embedded_mailbox: Mailbox, change: dict[str, Any], failed: StepName, skipped: set[StepName]
) -> None:
    """Each step fails for itself alone, says what to do, and stops only what needs it."""
    connections.change(embedded_mailbox.conn_id, extra=change)
    steps = run(embedded_mailbox)
    assert [step.name for step in steps.values() if step.outcome == "failed"] == [failed]
    assert steps[failed].hint
    assert {name for name, step in steps.items() if step.outcome == "skipped"} == skipped


def test_unreachable_mail_server(embedded_mailbox: Mailbox) -> None:
    """Tokens are checked although the mail server does not answer."""
    connections.change(embedded_mailbox.conn_id, port=1)
    steps = run(embedded_mailbox)
    assert steps["tls"].outcome == "failed"
    assert steps["token"].outcome == "ok"
    assert steps["sign_in"].outcome == "skipped"


def test_dead_refresh_token(embedded_mailbox: Mailbox) -> None:
    """That somebody must authorize is the fault of the step of the token."""
    embedded_mailbox.authorization.fail_next(
        "token", "json_error", status=400, error="invalid_grant"
    )
    step = run(embedded_mailbox)["token"]
    assert step.outcome == "failed"
    assert f"airflow imap-oauth login {embedded_mailbox.conn_id}" in step.hint


def test_a_check_renews_and_keeps(embedded_mailbox: Mailbox) -> None:
    """The token of one check serves the next."""
    embedded_mailbox.authorization.reset_counters()
    run(embedded_mailbox)
    run(embedded_mailbox)
    assert embedded_mailbox.authorization.token_requests == 1


def test_names_behind_a_proxy_are_left_to_it(embedded_mailbox: Mailbox) -> None:
    """What only a proxy can resolve is not looked up here."""
    connections.change(
        embedded_mailbox.conn_id,
        extra={"proxy_url": "http://localhost:1", "issuer": "https://x.invalid"},
    )
    assert run(embedded_mailbox)["names"].outcome == "skipped"


def test_no_secret_is_told(embedded_mailbox: Mailbox) -> None:
    """Neither what is found nor what fails holds a token or a secret."""
    shown = [repr(run(embedded_mailbox))]
    for kind in ("html", "body", "json_error"):
        embedded_mailbox.authorization.fail_next("token", kind, body='{"access_token": 1}')
        shown.append(repr(run(embedded_mailbox)))
    canaries = embedded_mailbox.authorization.secrets_issued()
    assert [canary for canary in canaries if any(canary in text for text in shown)] == []
