# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""``airflow imap-oauth check``: one connection, step by step, against real servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from airflow_imap_oauth.cli import check as module
from airflow_imap_oauth.hooks.check import TITLES, CheckStep
from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from tests.cli.running import airflow
from tests.hooks import connections
from tests.hooks.mailboxes import forget_tokens

if TYPE_CHECKING:
    from tests.hooks.mailboxes import Mailbox

pytestmark = pytest.mark.usefixtures("airflow_server")


def steps(
    capsys: pytest.CaptureFixture[str], mailbox: Mailbox
) -> tuple[int, dict[str, dict[str, Any]]]:
    """Return exit code and steps by name."""
    code, shown, _ = airflow(capsys, "check", mailbox.conn_id, "-o", "json")
    return code, {row["step"]: row for row in json.loads(shown)}


def test_connection_that_works(
    embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each step is a line, in order, and the last line says that all is well."""
    code, shown, errors = airflow(capsys, "check", embedded_mailbox.conn_id)
    *lines, last = shown.splitlines()
    assert (code, errors) == (0, "")
    assert [line[9:].split(":")[0] for line in lines] == [*TITLES.values()]
    assert f"ok       Sign-in to the mailbox: Signed in as {embedded_mailbox.login}." in lines
    assert last == f"The connection '{embedded_mailbox.conn_id}' works."


def test_steps_are_printed_as_they_come(
    embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for a slow server sees what was found until then."""
    seen = []

    def slow(_: object) -> Iterator[CheckStep]:
        yield CheckStep(name="settings", outcome="ok", text="Good.")
        seen.append(capsys.readouterr().out)
        yield CheckStep(name="tls", outcome="ok", text="Good.")

    monkeypatch.setattr(module, "steps_of", slow)
    airflow(capsys, "check", embedded_mailbox.conn_id)
    assert seen == ["ok       Settings: Good.\n"]


def test_token_of_the_check_serves_tasks(
    embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is renewed is kept for the tasks."""
    embedded_mailbox.authorization.reset_counters()
    airflow(capsys, "check", embedded_mailbox.conn_id)
    assert ImapOAuthHook(embedded_mailbox.conn_id).get_access_token()
    assert embedded_mailbox.authorization.token_requests == 1


def test_json_has_a_row_for_each_step(
    embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """Programs read name, title, outcome, text and hint of each step, and nothing else."""
    code, found = steps(capsys, embedded_mailbox)
    assert code == 0
    assert [*found] == [*TITLES]
    assert found["folder"] == {
        "step": "folder",
        "title": "Mail folder",
        "outcome": "ok",
        "text": "INBOX holds 0 messages.",
        "hint": None,
    }


def test_server_that_refuses_is_exit_code_1(
    embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refusal of the mail provider is exit code 1, with the command that mends it."""
    embedded_mailbox.authorization.fail_next(
        "token", "json_error", status=400, error="invalid_grant"
    )
    code, shown, _ = airflow(capsys, "check", embedded_mailbox.conn_id)
    assert code == 1
    assert "failed   Access token: " in shown
    assert f"airflow imap-oauth login {embedded_mailbox.conn_id}" in shown
    assert "skipped  Sign-in to the mailbox: Needs: Access token." in shown
    assert "does not work" in shown.splitlines()[-1]


def test_unreachable_mail_server_is_exit_code_1(
    embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """The step that found nobody says so, and what does not need it is tried all the same."""
    connections.change(embedded_mailbox.conn_id, port=1)
    code, found = steps(capsys, embedded_mailbox)
    assert (code, found["tls"]["outcome"], found["token"]["outcome"]) == (1, "failed", "ok")
    assert found["tls"]["hint"]


def test_wrong_settings_are_exit_code_2(
    embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """What must be put right in the connection is exit code 2, with the form's label."""
    connections.change(embedded_mailbox.conn_id, extra={"client_id": None})
    code, found = steps(capsys, embedded_mailbox)
    assert (code, found["settings"]["outcome"]) == (2, "failed")
    assert "client_id is 'Client ID'" in found["settings"]["hint"]


def test_missing_key_is_exit_code_2(
    embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a key to seal with, the step of the keys names the options."""
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    code, found = steps(capsys, embedded_mailbox)
    assert (code, found["token_keys"]["outcome"]) == (2, "failed")
    assert "token_keys" in found["token_keys"]["hint"]


def test_unknown_connection_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    """An id that nothing defines is one line on standard error."""
    code, shown, errors = airflow(capsys, "check", "nobody", "-o", "json")
    assert (code, shown) == (2, "")
    assert "connection 'nobody': There is no such connection." in errors


def test_connection_of_the_environment(
    embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that only an environment variable defines is checked as any other."""
    values = {
        "host": embedded_mailbox.mail.host,
        "port": embedded_mailbox.mail.port,
        "login": embedded_mailbox.login,
        "password": embedded_mailbox.authorization.mint_refresh_token(embedded_mailbox.login),
        "extra": connections.custom(embedded_mailbox.authorization),
    }
    monkeypatch.setenv(*connections.environment("check_env", **values))
    assert airflow(capsys, "check", "check_env")[0] == 0
    forget_tokens("check_env")


@pytest.mark.parametrize("output", ["table", "plain", "json", "yaml"])
def test_no_secret_is_shown(
    embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    """Neither what works nor what fails shows a token or a secret."""
    shown = [str(airflow(capsys, "check", embedded_mailbox.conn_id, "-o", output))]
    for kind in ("html", "body", "json_error"):
        forget_tokens(embedded_mailbox.conn_id)
        embedded_mailbox.connect()
        embedded_mailbox.authorization.fail_next("token", kind, body='{"access_token": 1}')
        shown.append(str(airflow(capsys, "check", embedded_mailbox.conn_id, "-o", output)))
    canaries = embedded_mailbox.authorization.secrets_issued() - {""}
    assert [canary for canary in canaries if any(canary in text for text in shown)] == []


def test_ctrl_c_ends_it_in_one_line(
    embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever presses Ctrl-C sees no traceback, and that nothing is lost."""

    def interrupted(_: object) -> Iterator[CheckStep]:
        yield CheckStep(name="settings", outcome="ok", text="Good.")
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "steps_of", interrupted)
    code, _, errors = airflow(capsys, "check", embedded_mailbox.conn_id)
    assert code == 1
    assert errors.strip() == "Stopped; tokens that were renewed until then are saved."
