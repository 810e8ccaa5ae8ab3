# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""``airflow imap-oauth refresh``: a fresh access token now, where every task finds it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_imap_oauth.cli import refresh as module
from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from tests.cli.records import age, record
from tests.cli.running import airflow
from tests.hooks import connections
from tests.hooks.mailboxes import forget_tokens

if TYPE_CHECKING:
    from tests.hooks.mailboxes import Mailbox

pytestmark = pytest.mark.usefixtures("airflow_server")


#: So near to its end that everybody renews, and still good for a task.
NEARLY_DEAD = timedelta(minutes=57, seconds=40)


@pytest.fixture
def used(embedded_mailbox: Mailbox) -> str:
    """Give the id of a connection that a task has used before; requests are counted anew."""
    ImapOAuthHook(embedded_mailbox.conn_id).get_access_token()
    embedded_mailbox.authorization.reset_counters()
    return embedded_mailbox.conn_id


def until(conn_id: str) -> str:
    """Return until when the access token in the store is good, as people read it."""
    text: str = record(conn_id)["access_token_expires_at"]
    return f"{text[:16].replace('T', ' ')} UTC"


def test_first_access_token(embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str]) -> None:
    """A connection that was not used yet gets its access token, which tasks then use."""
    conn_id = embedded_mailbox.conn_id
    embedded_mailbox.authorization.reset_counters()
    code, shown, errors = airflow(capsys, "refresh", conn_id)
    assert (code, errors) == (0, "")
    assert shown == (
        f"Renewed: the access token of connection '{conn_id}' is good until {until(conn_id)}.\n"
    )
    assert ImapOAuthHook(conn_id).get_access_token()
    assert embedded_mailbox.authorization.token_requests == 1


def test_what_is_not_due_is_left_alone(
    embedded_mailbox: Mailbox, used: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With an access token that is good for long no server is asked, and --force is named."""
    code, shown, errors = airflow(capsys, "refresh", used)
    assert (code, errors) == (0, "")
    assert shown.startswith("Not due: ")
    assert until(used) in shown
    assert "--force" in shown
    assert not embedded_mailbox.authorization.requests


def test_force_renews_what_is_not_due(
    embedded_mailbox: Mailbox, used: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --force one request brings a new access token, which every task uses from then on."""
    before = ImapOAuthHook(used).get_access_token()
    code, shown, _ = airflow(capsys, "refresh", used, "--force")
    assert (code, shown.startswith("Renewed: ")) == (0, True)
    assert ImapOAuthHook(used).get_access_token() != before
    assert embedded_mailbox.authorization.token_requests == 1


@pytest.mark.parametrize("by", [timedelta(minutes=58), timedelta(hours=2)], ids=["due", "dead"])
@pytest.mark.parametrize("options", [(), ("--force",)], ids=["plain", "force"])
def test_due_or_dead_one_is_renewed_once(
    embedded_mailbox: Mailbox,
    used: str,
    capsys: pytest.CaptureFixture[str],
    by: timedelta,
    options: tuple[str, ...],
) -> None:
    """An access token that ends soon, or has ended, costs one request, with --force too."""
    age(used, by)
    code, shown, _ = airflow(capsys, "refresh", used, *options)
    assert (code, shown.startswith("Renewed: ")) == (0, True)
    assert embedded_mailbox.authorization.token_requests == 1


def test_failure_ahead_of_the_end_is_exit_code_1(
    embedded_mailbox: Mailbox, used: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a due renewal fails, tasks go on with the living token; the command says why."""
    age(used, NEARLY_DEAD)
    embedded_mailbox.authorization.fail_next("token", "json_error", status=503, times=9)
    code, shown, errors = airflow(capsys, "refresh", used)
    assert (code, shown) == (1, "")
    assert f"connection '{used}'" in errors
    assert f"good until {until(used)}" in errors


def test_failure_of_force_leaves_the_living_token(
    embedded_mailbox: Mailbox, used: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A renewal by --force that fails is exit code 1, and the token in the store stays."""
    before = record(used)["access_token"]
    embedded_mailbox.authorization.fail_next("token", "json_error", status=503, times=9)
    code, shown, errors = airflow(capsys, "refresh", used, "--force")
    assert (code, shown) == (1, "")
    assert f"connection '{used}'" in errors
    assert record(used)["access_token"] == before


def test_dead_refresh_token_is_exit_code_1(
    embedded_mailbox: Mailbox, used: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where somebody must authorize, the command for that is named."""
    embedded_mailbox.authorization.revoke_all(embedded_mailbox.login)
    code, _, errors = airflow(capsys, "refresh", used, "--force")
    assert code == 1
    assert f"airflow imap-oauth login {used}" in errors


def test_token_store_that_cannot_be_used_is_exit_code_2(
    embedded_mailbox: Mailbox,
    used: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A token store that is set up wrongly is told in words, and no server is asked."""
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("AIRFLOW__IMAP_OAUTH__TOKEN_STORE", "file")
    monkeypatch.setenv("AIRFLOW__IMAP_OAUTH__FILE_FOLDER", str(tmp_path / "file"))
    code, shown, errors = airflow(capsys, "refresh", used)
    assert (code, shown) == (2, "")
    assert "folder" in errors
    assert not embedded_mailbox.authorization.requests


def test_unknown_connection_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    """An id that nothing defines is one line on standard error."""
    code, shown, errors = airflow(capsys, "refresh", "nobody")
    assert (code, shown) == (2, "")
    assert "connection 'nobody': There is no such connection." in errors


def test_wrong_settings_are_exit_code_2(
    embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """What must be put right in the connection is told with the form's label."""
    connections.change(embedded_mailbox.conn_id, extra={"client_id": None})
    code, _, errors = airflow(capsys, "refresh", embedded_mailbox.conn_id)
    assert code == 2
    assert "client_id is 'Client ID'" in errors


def test_connection_of_the_environment(
    embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that only an environment variable defines is renewed as any other."""
    values = {
        "host": "localhost",
        "login": embedded_mailbox.login,
        "password": embedded_mailbox.authorization.mint_refresh_token(embedded_mailbox.login),
        "extra": connections.custom(embedded_mailbox.authorization),
    }
    monkeypatch.setenv(*connections.environment("refresh_env", **values))
    code, shown, _ = airflow(capsys, "refresh", "refresh_env")
    assert (code, shown.startswith("Renewed: ")) == (0, True)
    forget_tokens("refresh_env")


def test_no_secret_is_shown(
    embedded_mailbox: Mailbox, used: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither success nor failure shows a token or a secret."""
    shown = [str(airflow(capsys, "refresh", used, "--force"))]
    for kind in ("html", "body", "json_error"):
        embedded_mailbox.authorization.fail_next("token", kind, body='{"access_token": 1}')
        shown.append(str(airflow(capsys, "refresh", used, "--force")))
    canaries = embedded_mailbox.authorization.secrets_issued() - {""}
    assert [canary for canary in canaries if any(canary in text for text in shown)] == []


def test_end_of_a_credential_is_warned_of(used: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A client secret that has ended is a warning, although a living token serves on."""
    connections.change(used, extra={"credential_expires_on": "2020-01-01"})
    code, _, errors = airflow(capsys, "refresh", used)
    assert code == 0
    assert "Warning: The client secret ended on 2020-01-01" in errors


def test_ctrl_c_ends_it_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever presses Ctrl-C sees no traceback, and that nothing is lost."""

    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "look_up", interrupted)
    code, _, errors = airflow(capsys, "refresh", "any")
    assert code == 1
    assert errors.strip() == "Stopped; if tokens were renewed by then, they are saved."
