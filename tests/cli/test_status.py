# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""``airflow imap-oauth status``: how mailboxes are, without asking any server."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from airflow import settings
from airflow.models.crypto import get_fernet
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from airflow_imap_oauth.cli import status as module
from airflow_imap_oauth.exceptions import ImapOAuthError
from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from tests.cli.records import record
from tests.cli.running import airflow
from tests.hooks import connections

if TYPE_CHECKING:
    from tests.hooks.mailboxes import Mailbox

pytestmark = pytest.mark.usefixtures("airflow_server")

OTHER = "a_broken_mailbox"

KEYS = [
    *("conn_id", "mail_provider", "account", "mailbox", "grant", "state", "since_at"),
    *("access_token_expires_at", "last_refresh_at"),
    *("last_error", "last_error_hint", "last_error_at", "credential_expires_on", "note"),
]


@pytest.fixture
def misconfigured() -> Iterator[str]:
    """Give a connection, earlier in the alphabet, that lacks its client id."""
    connections.add(OTHER, login="a@example.test", extra={"mail_provider": "google"})
    yield OTHER
    connections.remove(OTHER)


def rows(
    capsys: pytest.CaptureFixture[str], *conn_ids: str
) -> tuple[int, dict[str, dict[str, Any]]]:
    """Return exit code and rows by id."""
    code, shown, _ = airflow(capsys, "status", *conn_ids, "--output", "json")
    return code, {row["conn_id"]: row for row in json.loads(shown)}


def unauthorized(mailbox: Mailbox) -> None:
    """Take the refresh token out of the connection."""
    extra = connections.custom(mailbox.authorization)
    connections.add(mailbox.conn_id, login=mailbox.login, extra=extra)


def test_used_mailbox_is_active(
    embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON says what the connection says, and until when its access token is good."""
    ImapOAuthHook(embedded_mailbox.conn_id).get_access_token()
    code, found = rows(capsys)
    row = found[embedded_mailbox.conn_id]
    assert code == 0
    assert list(row) == KEYS
    assert (row["mail_provider"], row["grant"]) == ("custom", "user_consent")
    assert (row["account"], row["mailbox"]) == (embedded_mailbox.login,) * 2
    assert (row["state"], row["last_error"], row["note"]) == ("active", None, None)
    expires_at = datetime.fromisoformat(row["access_token_expires_at"])
    assert expires_at - datetime.fromisoformat(row["last_refresh_at"]) == timedelta(hours=1)


def test_state_after_a_sign_in_is_no_fault(
    embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refresh token that nobody has used yet is exit code 0."""
    code, found = rows(capsys)
    assert (code, found[embedded_mailbox.conn_id]["state"]) == (0, "unused")


def test_no_server_is_asked(embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither the authorization server nor the mail server sees anything."""
    embedded_mailbox.authorization.reset_counters()
    connections.change(embedded_mailbox.conn_id, port=1)
    assert airflow(capsys, "status")[0] == 0
    assert not embedded_mailbox.authorization.requests


def test_dead_refresh_token_is_exit_code_1(
    embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mailbox that needs authorization says since when, why, and by which command."""
    conn_id = embedded_mailbox.conn_id
    embedded_mailbox.authorization.fail_next(
        "token", "json_error", status=400, error="invalid_grant"
    )
    with pytest.raises(ImapOAuthError):
        ImapOAuthHook(conn_id).get_access_token()
    code, found = rows(capsys)
    row = found[conn_id]
    assert (code, row["state"]) == (1, "needs_authorization")
    assert row["last_error"]
    assert f"airflow imap-oauth login {conn_id}" in row["last_error_hint"]
    assert row["since_at"] == row["last_error_at"] == record(conn_id)["last_error"]["at"]


def test_missing_refresh_token_is_exit_code_1(
    embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mailbox that nobody has authorized says by which command to do it."""
    unauthorized(embedded_mailbox)
    code, found = rows(capsys)
    row = found[embedded_mailbox.conn_id]
    assert (code, row["state"]) == (1, "needs_authorization")
    assert f"airflow imap-oauth login {embedded_mailbox.conn_id}" in row["note"]


def test_misconfigured_one_does_not_hide_the_others(
    embedded_mailbox: Mailbox, misconfigured: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """All are told, by id, and the fault with the form's label; exit code 1."""
    code, found = rows(capsys)
    assert code == 1
    assert [*found] == sorted([misconfigured, embedded_mailbox.conn_id])
    assert found[misconfigured]["state"] == "misconfigured"
    assert found[misconfigured]["account"] == "a@example.test"
    assert "client_id is 'Client ID'" in found[misconfigured]["note"]


def test_ids_choose(
    embedded_mailbox: Mailbox, misconfigured: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With ids only those are told, each once, and only they make the exit code."""
    conn_id = embedded_mailbox.conn_id
    assert misconfigured
    code, found = rows(capsys, conn_id, conn_id)
    assert (code, [*found]) == (0, [conn_id])


def test_unknown_id_is_exit_code_2(
    embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """An id that nothing defines is named on standard error; the others are told."""
    conn_id = embedded_mailbox.conn_id
    code, shown, errors = airflow(capsys, "status", "nobody", conn_id, "-o", "json")
    assert code == 2
    assert "connection 'nobody': There is no such connection." in errors
    assert [row["state"] for row in json.loads(shown)] == ["misconfigured", "unused"]


def test_connection_of_the_environment_by_its_id(
    embedded_mailbox: Mailbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection that is in no database is told if it is named."""
    extra = connections.custom(embedded_mailbox.authorization)
    values = {"host": "localhost", "login": "e@example.test", "password": "seed", "extra": extra}
    monkeypatch.setenv(*connections.environment("status_env", **values))
    code, found = rows(capsys, "status_env")
    assert (code, found["status_env"]["account"]) == (0, "e@example.test")


def test_environment_hides_the_database(
    embedded_mailbox: Mailbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What tasks find is told: an environment variable goes before the row of the same id."""
    values = {"login": "e@example.test", "extra": {"mail_provider": "yahoo", "client_id": "a"}}
    monkeypatch.setenv(*connections.environment(embedded_mailbox.conn_id, **values))
    _, found = rows(capsys)
    assert found[embedded_mailbox.conn_id]["account"] == "e@example.test"


def test_end_of_a_credential_is_told(
    embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """A client secret that ends soon is a state and a note; it works until then: exit code 0."""
    ends_on = datetime.now(timezone.utc).date() + timedelta(days=9)
    extra = {"credential_expires_on": ends_on.isoformat()}
    connections.change(embedded_mailbox.conn_id, extra=extra)
    ImapOAuthHook(embedded_mailbox.conn_id).get_access_token()
    code, found = rows(capsys)
    row = found[embedded_mailbox.conn_id]
    assert (code, row["state"]) == (0, "expiring")
    assert date.fromisoformat(row["credential_expires_on"]) == ends_on
    assert f"The client secret ends on {ends_on}" in row["note"]


def test_table_is_for_people(embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str]) -> None:
    """The table of Airflow's commands has the words of the page, and instants in UTC."""
    ImapOAuthHook(embedded_mailbox.conn_id).get_access_token()
    code, shown, _ = airflow(capsys, "status")
    head, _, line, *_ = shown.splitlines()
    assert code == 0
    assert [name.strip() for name in head.split("|")] == [
        *("conn_id", "mail_provider", "account", "grant", "state", "access_token_until"),
        *("last_refresh", "credential_until", "note"),
    ]
    assert embedded_mailbox.login in line
    assert f"{record(embedded_mailbox.conn_id)['last_refresh_at'][:16].replace('T', ' ')} UTC" in (
        line
    )


def test_names_of_options_survive_the_table(
    embedded_mailbox: Mailbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Square brackets in a message are not taken for the table's own markup."""
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    _, shown, _ = airflow(capsys, "status", embedded_mailbox.conn_id, "-o", "plain")
    words = " ".join(shown.split())
    _, table, _ = airflow(capsys, "status", embedded_mailbox.conn_id)
    assert "[core]" in words
    assert "[core]" in table


def test_yaml_says_the_same_as_json(
    embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """YAML has the keys of JSON, and null where something is not known."""
    _, shown, _ = airflow(capsys, "status", "-o", "yaml")
    (row,) = yaml.safe_load(shown)
    assert row == rows(capsys)[1][embedded_mailbox.conn_id]


def test_no_mailbox_is_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is none, JSON is an empty list, and the exit code 0."""
    assert airflow(capsys, "status", "-o", "json") == (0, "[]\n", "")


@pytest.mark.parametrize("output", ["table", "plain", "json", "yaml"])
def test_no_secret_is_shown(
    embedded_mailbox: Mailbox, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    """Neither tokens nor secrets are in any output, before and after a failed renewal."""
    conn_id = embedded_mailbox.conn_id
    shown = [str(airflow(capsys, "status", "-o", output))]
    ImapOAuthHook(conn_id).get_access_token()
    shown.append(str(airflow(capsys, "status", "-o", output)))
    embedded_mailbox.authorization.fail_next("token", "body", body='{"access_token": 1}')
    connections.change(
        conn_id, password=embedded_mailbox.authorization.mint_refresh_token(embedded_mailbox.login)
    )
    with pytest.raises(ImapOAuthError):
        ImapOAuthHook(conn_id).get_access_token()
    shown.append(str(airflow(capsys, "status", "-o", output)))
    canaries = embedded_mailbox.authorization.secrets_issued() - {""}
    assert [canary for canary in canaries if any(canary in text for text in shown)] == []


@pytest.fixture
def _key_read_anew() -> Iterator[None]:
    get_fernet.cache_clear()
    yield
    get_fernet.cache_clear()


@pytest.mark.usefixtures("_key_read_anew")
@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("no-key-at-all", "malformed"),
        (base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(), "another Fernet key"),
    ],
    ids=["malformed", "another"],
)
def test_wrong_fernet_key_is_exit_code_2(
    embedded_mailbox: Mailbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    told: str,
) -> None:
    """A mailbox that cannot be decrypted here is named with what to configure."""
    extra = connections.custom(embedded_mailbox.authorization)
    connections.add(embedded_mailbox.conn_id, login="a@example.test", extra=extra)
    get_fernet.cache_clear()
    with monkeypatch.context() as changed:
        changed.setenv("AIRFLOW__CORE__FERNET_KEY", key)
        code, shown, errors = airflow(capsys, "status", "-o", "json")
    get_fernet.cache_clear()
    assert code == 2
    assert f"connection '{embedded_mailbox.conn_id}': " in errors
    assert told in errors
    assert "AIRFLOW__CORE__FERNET_KEY" in json.loads(shown)[0]["note"]


def test_unmigrated_database_is_exit_code_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A database without Airflow's tables is told with the command that makes them."""
    engine = create_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    monkeypatch.setattr(settings, "engine", engine)
    monkeypatch.setattr(settings, "Session", sessionmaker(engine, expire_on_commit=False))
    code, shown, errors = airflow(capsys, "status")
    assert (code, shown) == (2, "")
    assert "airflow db migrate" in errors


def test_wrong_option_is_exit_code_2(
    embedded_mailbox: Mailbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An option of this package that is wrong is told once, and of no mailbox."""
    assert embedded_mailbox
    monkeypatch.setenv("AIRFLOW__IMAP_OAUTH__TOKEN_STORE", "no_such_store")
    code, shown, errors = airflow(capsys, "status")
    assert (code, shown) == (2, "")
    assert "no_such_store" in errors


def test_ctrl_c_ends_it_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever presses Ctrl-C sees no traceback."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_all_stored", interrupted)
    assert airflow(capsys, "status") == (1, "", "\nStopped.\n")


def test_monitoring_reads_json_from_a_shell(embedded_mailbox: Mailbox) -> None:
    """As a process, the command gives JSON alone on standard output, and its exit code."""
    unauthorized(embedded_mailbox)
    done = subprocess.run(
        [Path(sys.executable).with_name("airflow"), "imap-oauth", "status", "-o", "json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={name: text for name, text in os.environ.items() if name[0] != "_"},
    )
    assert done.returncode == 1, done.stderr
    assert [row["state"] for row in json.loads(done.stdout)] == ["needs_authorization"]
