# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""``airflow imap-oauth rotate-keys``: what an old key has sealed opens with the new one alone."""

from __future__ import annotations

import base64
import json
import secrets
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_imap_oauth.cli.rotate_keys import rotate_keys
from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from airflow_imap_oauth.hooks.variable_store import VariableTokenStore
from airflow_imap_oauth.tokens.sealing import SealingKey
from tests.cli.running import CONN_ID, Person, run
from tests.hooks import connections
from tests.hooks.mailboxes import forget_tokens

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

pytestmark = pytest.mark.usefixtures("airflow_database")

OPTION = "AIRFLOW__IMAP_OAUTH__TOKEN_KEYS"
OTHER = "rotation_test"


def new_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def key_id(key: str) -> str:
    return SealingKey.from_token_key(key).key_id


OLD, NEW = new_key(), new_key()


def rotate(
    capsys: pytest.CaptureFixture[str], *conn_ids: str, dry_run: bool = False
) -> tuple[int, str, str]:
    """Run the command here; return its exit code and what it printed."""
    capsys.readouterr()
    code = 0
    try:
        rotate_keys(Namespace(conn_ids=[*conn_ids], dry_run=dry_run, verbose=False))
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def record(conn_id: str) -> dict[str, Any]:
    text = VariableTokenStore(lease_delay_seconds=0).load(conn_id)
    assert text is not None
    found: dict[str, Any] = json.loads(text)
    return found


def sealed_by(conn_id: str) -> set[str]:
    """Return the names of the keys that have sealed something in connection or record."""
    password, extra = connections.stored(conn_id)
    texts = [password, *extra.values(), *record(conn_id).values()]
    return {text.split(":")[2] for text in texts if str(text).startswith("sealed:")}


@pytest.fixture
def authorized(
    authorization_server: AuthorizationServer,
    account: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """Give a connection that was authorized, and used since, with the old key; its address."""
    monkeypatch.setenv(OPTION, OLD)
    person = Person(capsys, lambda url: authorization_server.consent(url, account))
    monkeypatch.setattr(sys, "stdin", person)
    assert run(capsys) == (0, "")
    ImapOAuthHook(CONN_ID).get_access_token()
    monkeypatch.setenv(OPTION, f"{NEW},{OLD}")
    authorization_server.reset_counters()
    return account


@pytest.fixture
def broken(authorization_server: AuthorizationServer) -> Iterator[str]:
    """Give a connection, earlier in the alphabet, whose client secret lost its key."""
    conn_id = "a_" + OTHER
    extra = connections.custom(
        authorization_server, client_secret=f"sealed:v1:0123456789ab:{'A' * 64}"
    )
    connections.add(conn_id, login="a@example.test", extra=extra)
    yield conn_id
    connections.remove(conn_id)


def test_all_opens_with_the_new_key_alone(
    authorization_server: AuthorizationServer,
    authorized: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Record, refresh token and secret of the connection need the old key no more."""
    assert authorized
    assert sealed_by(CONN_ID) == {key_id(OLD)}
    token = ImapOAuthHook(CONN_ID).get_access_token()
    code, said, errors = rotate(capsys)
    assert (code, errors) == (0, "")
    assert f"{CONN_ID}: sealed anew: password, client_secret, tokens in the store" in said
    assert f"key {key_id(NEW)}" in said
    monkeypatch.setenv(OPTION, NEW)
    assert sealed_by(CONN_ID) == {key_id(NEW)}
    assert ImapOAuthHook(CONN_ID).get_access_token() == token
    forget_tokens(CONN_ID)  # so that the refresh token of the connection has to serve
    assert ImapOAuthHook(CONN_ID).get_access_token() != token
    assert authorization_server.token_requests == 1


def test_no_secret_shows(
    authorization_server: AuthorizationServer,
    authorized: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Neither the output nor the database, audit rows included, holds a secret or a key."""
    assert authorized
    _, said, errors = rotate(capsys)
    held = said + errors + connections.everything_in_the_database()
    for secret in (authorization_server.secrets_issued() | {OLD, NEW}) - {""}:
        assert secret not in held


def test_dry_run_changes_nothing(authorized: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What would be done is printed, and the database is as it was."""
    assert authorized
    before = connections.everything_in_the_database()
    code, said, _ = rotate(capsys, dry_run=True)
    assert code == 0
    assert f"{CONN_ID}: would be sealed anew: password, client_secret, tokens in the store" in said
    assert "can go" not in said
    assert connections.everything_in_the_database() == before


def test_second_run_does_nothing(authorized: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is done already is left alone, without another audit row."""
    assert authorized
    rotate(capsys)
    before = connections.everything_in_the_database()
    code, said, _ = rotate(capsys)
    assert (code, f"{CONN_ID}: nothing to seal anew" in said) == (0, True)
    assert connections.everything_in_the_database() == before


def test_interrupted_half_way_it_goes_on(
    authorized: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between token store and connection all still opens; the next run does the rest."""
    from airflow_imap_oauth.admin import key_rotation

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    assert authorized
    with monkeypatch.context() as patch:
        patch.setattr(key_rotation, "save", stop)
        code, _, errors = rotate(capsys)
    assert (code, "run it again" in errors) == (1, True)
    assert sealed_by(CONN_ID) == {key_id(OLD), key_id(NEW)}
    assert ImapOAuthHook(CONN_ID).get_access_token()
    assert rotate(capsys)[0] == 0
    assert sealed_by(CONN_ID) == {key_id(NEW)}


def test_bad_connection_does_not_stop_the_others(
    broken: str, authorized: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A secret whose key is gone is exit code 2 and named; every other connection is done."""
    assert authorized
    code, said, errors = rotate(capsys)
    assert code == 2
    assert f"connection '{broken}'" in errors
    assert "key 0123456789ab" in errors
    assert "client_secret" in errors
    assert "1 of 2 connections are not done" in errors
    assert f"{CONN_ID}: sealed anew" in said
    assert "can go" not in said
    assert sealed_by(CONN_ID) == {key_id(NEW)}


def test_only_the_named_connections(
    broken: str, authorized: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With ids, other connections are not touched."""
    assert authorized
    code, said, errors = rotate(capsys, CONN_ID, CONN_ID)
    assert (code, errors, said.count(CONN_ID), broken in said) == (0, "", 1, False)


def test_unknown_connection_is_told(authorized: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An id that no connection has is exit code 2."""
    assert authorized
    code, _, errors = rotate(capsys, "no_such_connection")
    assert (code, "no_such_connection" in errors) == (2, True)


def test_plain_secrets_are_named_and_stay(
    authorization_server: AuthorizationServer, account: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was typed plain is not touched, and the command that seals it is told."""
    token = authorization_server.mint_refresh_token(account)
    connections.change(CONN_ID, password=token)
    before = connections.stored(CONN_ID)
    code, said, _ = rotate(capsys)
    assert code == 0
    assert "plain: refresh token, client_secret" in said
    assert f"airflow imap-oauth login {CONN_ID}" in said
    assert token not in said
    assert connections.stored(CONN_ID) == before


def test_store_that_fails_is_told(
    authorized: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A token store that does not work is exit code 1, and nothing of the connection is changed."""
    assert authorized
    database = f"sqlite:///{tmp_path}/no/such/folder.db"
    monkeypatch.setenv("AIRFLOW__IMAP_OAUTH__TOKEN_STORE", "sql")
    monkeypatch.setenv("AIRFLOW__IMAP_OAUTH__SQL_ALCHEMY_CONN", database)
    before = connections.stored(CONN_ID)
    code, _, errors = rotate(capsys)
    assert (code, CONN_ID in errors) == (1, True), errors
    assert connections.stored(CONN_ID) == before


def test_edit_meanwhile_is_kept(
    authorized: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody edits in the connection between reading and writing is not undone."""
    from airflow_imap_oauth.admin import connections as written

    assert authorized
    original = written._written
    edits = iter([{"read_timeout_seconds": 9}])

    def edited(*arguments: Any) -> bool:
        for edit in edits:
            connections.change(CONN_ID, extra=edit)
        return original(*arguments)

    monkeypatch.setattr(written, "_written", edited)
    assert rotate(capsys)[0] == 0
    assert connections.stored(CONN_ID)[1]["read_timeout_seconds"] == 9
    assert sealed_by(CONN_ID) == {key_id(NEW)}


def test_audit_row_says_what_and_with_which_key(
    authorized: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was sealed anew, and the name of the key, stand in Airflow's audit log."""
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    assert authorized
    rotate(capsys)
    with create_session() as session:
        rows = session.scalars(select(Log).where(Log.event == "imap_oauth.resealed")).all()
        found = [json.loads(row.extra or "{}") for row in rows if row.owner]
    assert {
        "connection": CONN_ID,
        "resealed": "password, client_secret, tokens in the store",
        "key": key_id(NEW),
    } in found


def test_generation_moves_on_and_nothing_else(
    authorized: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A claim to renew the old generation is over, and the rest of the record is as it was."""
    assert authorized
    before = record(CONN_ID)
    rotate(capsys)
    after = record(CONN_ID)
    assert after["generation"] == before["generation"] + 1
    assert {name for name in after if after[name] != before[name]} == {
        "generation",
        "access_token",
        "refresh_token",
    }


def test_connection_of_the_environment_keeps_its_tokens(
    authorization_server: AuthorizationServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    imap_login: Any,
) -> None:
    """Named by its id, the tokens that the store keeps for such a connection are sealed anew."""
    login = imap_login()
    token = authorization_server.mint_refresh_token(login)
    extra = connections.custom(authorization_server)
    monkeypatch.setenv(
        *connections.environment(OTHER, host="localhost", login=login, password=token, extra=extra)
    )
    monkeypatch.setenv(OPTION, OLD)
    first = ImapOAuthHook(OTHER).get_access_token()
    monkeypatch.setenv(OPTION, f"{NEW},{OLD}")
    code, said, errors = rotate(capsys, OTHER)
    assert (code, errors) == (0, "")
    assert f"{OTHER}: sealed anew: tokens in the store; plain: refresh token" in said
    monkeypatch.setenv(OPTION, NEW)
    assert ImapOAuthHook(OTHER).get_access_token() == first
    forget_tokens(OTHER)


def test_sealed_secret_of_the_environment_is_told(
    authorized: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sealed secret that Airflow cannot write is exit code 2, and says who defines it."""
    password, extra = connections.stored(CONN_ID)
    monkeypatch.setenv(
        *connections.environment(
            CONN_ID, host="localhost", login=authorized, password=password, extra=extra
        )
    )
    code, _, errors = rotate(capsys)
    assert code == 2
    assert "EnvironmentVariablesBackend" in errors
    assert "client_secret" in errors


def test_begin_with_keys_of_ones_own(
    authorization_server: AuthorizationServer,
    account: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a key derived from Airflow's Fernet key has sealed is sealed anew by token_keys."""
    person = Person(capsys, lambda url: authorization_server.consent(url, account))
    monkeypatch.setattr(sys, "stdin", person)
    assert run(capsys) == (0, "")
    token = ImapOAuthHook(CONN_ID).get_access_token()
    monkeypatch.setenv(OPTION, NEW)
    assert ImapOAuthHook(CONN_ID).get_access_token() == token
    assert rotate(capsys)[0] == 0
    assert sealed_by(CONN_ID) == {key_id(NEW)}


def test_without_a_key_nothing_is_tried(
    authorized: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no key at all the command is exit code 2 and names the option."""
    assert authorized
    monkeypatch.setenv(OPTION, "")
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    code, said, errors = rotate(capsys)
    assert (code, said, "token_keys" in errors) == (2, "", True)


def test_without_connections_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """An Airflow without such connections is exit code 0."""
    code, said, _ = rotate(capsys)
    assert (code, "holds no connection" in said) == (0, True)


def test_help_says_which_connections_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """The help names the connections that are not in the database, and the exit codes."""
    from airflow.cli.cli_parser import get_parser

    with pytest.raises(SystemExit):
        get_parser().parse_args(["imap-oauth", "rotate-keys", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "environment variables or a secrets backend" in said
    assert "Exit codes." in said


def test_ids_and_dry_run_can_be_given() -> None:
    """Any number of ids is taken, also none."""
    from airflow.cli.cli_parser import get_parser

    parse = get_parser().parse_args
    some = parse(["imap-oauth", "rotate-keys", "--dry-run", "one", "two"])
    assert (some.conn_ids, some.dry_run) == (["one", "two"], True)
    none = parse(["imap-oauth", "rotate-keys"])
    assert (none.conn_ids, none.dry_run) == ([], False)
