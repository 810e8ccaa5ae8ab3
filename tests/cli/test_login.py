# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""``airflow imap-oauth login``: a real command, a real authorization server, a real database."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import httpx
import pytest

from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from tests.cli.running import CONN_ID, Person, run
from tests.hooks import connections

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

AIRFLOW = Path(sys.executable).with_name("airflow")

pytestmark = pytest.mark.usefixtures("airflow_database")


@contextmanager
def command(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command as a process of its own, as in a shell."""
    import os

    process = subprocess.Popen(
        [AIRFLOW, "imap-oauth", "login", CONN_ID, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**_without_context(os.environ), "BROWSER": "/bin/true", **environment},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _without_context(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a shell, which Airflow's servers have not touched."""
    return {name: text for name, text in environment.items() if name[0] != "_"}


def address_shown(output: IO[str] | None) -> str:
    """Return the authorization URL that the command prints."""
    assert output is not None
    for line in output:
        if line.startswith("https://"):
            return line.strip()
    raise AssertionError("no address was printed")


def test_rfc8252_7_3_browser_brings_the_answer_to_the_loopback_listener(
    authorization_server: AuthorizationServer, account: str
) -> None:
    """The command opens the browser, takes the redirect, and the hook has tokens at once."""
    with command() as process:
        url = address_shown(process.stdout)
        redirect = authorization_server.consent(url, account)
        assert redirect.startswith("http://127.0.0.1:")
        page = httpx.get(redirect, trust_env=False)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert page.status_code == 200
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "Authorized" in output
    password, extra = connections.stored(CONN_ID)
    assert (password or "").startswith("sealed:v1:")
    assert extra["client_secret"].startswith("sealed:v1:")
    assert extra == {
        **connections.custom(authorization_server),
        "client_secret": extra["client_secret"],
    }
    token = ImapOAuthHook(CONN_ID).get_access_token()
    assert authorization_server.token_requests_by_grant == {"authorization_code": 1}
    held = connections.everything_in_the_database()
    for secret in (authorization_server.secrets_issued() | {token}) - {""}:
        assert secret not in held
        assert secret not in output + errors


def test_address_can_be_pasted(authorization_server: AuthorizationServer, account: str) -> None:
    """Without a browser, the address is opened elsewhere and the redirect pasted."""
    with command("--no-browser", "--redirect-port", "8123") as process:
        url = address_shown(process.stdout)
        redirect = authorization_server.consent(url, account)
        assert redirect.startswith("http://127.0.0.1:8123")
        output, errors = process.communicate(redirect + "\n", timeout=60)
    assert process.returncode == 0, errors
    assert "Authorized" in output
    assert ImapOAuthHook(CONN_ID).get_access_token()


def test_rfc8252_8_3_strangers_do_not_end_the_waiting(
    authorization_server: AuthorizationServer, account: str
) -> None:
    """Other paths and other states are refused, and the true answer is still taken."""
    with command() as process:
        url = address_shown(process.stdout)
        redirect = authorization_server.consent(url, account)
        port = httpx.URL(redirect).port
        for path in ("/favicon.ico", "/?code=x&state=y", "/?state=a&state=b", "/?code=x"):
            answer = httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False)
            assert answer.status_code == 404
            assert process.poll() is None
        assert httpx.get(redirect, trust_env=False).status_code == 200
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_new_login_supersedes_a_dead_token(
    authorization_server: AuthorizationServer,
    account: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Authorizing again revives a connection whose refresh token was revoked."""
    connections.change(CONN_ID, password=authorization_server.mint_refresh_token(account))
    hook = ImapOAuthHook(CONN_ID)
    first = hook.get_access_token()
    authorization_server.revoke_all(account)
    monkeypatch.setattr(
        sys, "stdin", Person(capsys, lambda url: authorization_server.consent(url, account))
    )
    code, errors = run(capsys)
    assert code == 0, errors
    assert hook.get_access_token() != first


def test_login_leaves_an_audit_row(
    authorization_server: AuthorizationServer,
    account: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who authorized which connection stands in Airflow's audit log."""
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    monkeypatch.setattr(
        sys, "stdin", Person(capsys, lambda url: authorization_server.consent(url, account))
    )
    assert run(capsys)[0] == 0
    with create_session() as session:
        rows = session.scalars(select(Log).where(Log.event == "imap_oauth.authorized")).all()
        found = [json.loads(row.extra or "{}") for row in rows if row.owner]
    assert {"connection": CONN_ID, "mail_provider": "custom", "login": account} in found


def test_edit_meanwhile_is_kept(
    authorization_server: AuthorizationServer,
    account: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What somebody else edits in the connection during the sign-in is not undone."""
    person = Person(
        capsys,
        lambda url: authorization_server.consent(url, account),
        meanwhile=lambda: connections.change(CONN_ID, extra={"read_timeout_seconds": 9}),
    )
    monkeypatch.setattr(sys, "stdin", person)
    code, errors = run(capsys)
    assert code == 0, errors
    password, extra = connections.stored(CONN_ID)
    assert (password or "").startswith("sealed:v1:")
    assert extra["read_timeout_seconds"] == 9
    assert extra["client_secret"].startswith("sealed:v1:")


def test_other_server_meanwhile_saves_nothing(
    authorization_server: AuthorizationServer,
    account: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection that points elsewhere by now does not get the token."""
    person = Person(
        capsys,
        lambda url: authorization_server.consent(url, account),
        meanwhile=lambda: connections.change(CONN_ID, host="imap.elsewhere.test"),
    )
    monkeypatch.setattr(sys, "stdin", person)
    code, errors = run(capsys)
    assert code == 1
    assert "changed while you signed in" in errors
    assert connections.stored(CONN_ID)[0] is None


def test_refusal_of_consent_saves_nothing(
    authorization_server: AuthorizationServer,
    account: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever does not consent gets exit code 1 and a reason."""
    monkeypatch.setattr(
        sys,
        "stdin",
        Person(capsys, lambda url: authorization_server.consent(url, account, allow=False)),
    )
    code, errors = run(capsys)
    assert code == 1
    assert CONN_ID in errors
    assert "access_denied" in errors
    assert connections.stored(CONN_ID)[0] is None


def test_store_that_fails_does_not_lose_the_sign_in(
    authorization_server: AuthorizationServer,
    account: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The connection keeps the token although the token store is out of order."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("AIRFLOW__IMAP_OAUTH__TOKEN_STORE", "file")
    monkeypatch.setenv("AIRFLOW__IMAP_OAUTH__FILE_FOLDER", str(blocked))
    monkeypatch.setattr(
        sys, "stdin", Person(capsys, lambda url: authorization_server.consent(url, account))
    )
    code, errors = run(capsys)
    assert code == 0
    assert "Warning" in errors
    assert (connections.stored(CONN_ID)[0] or "").startswith("sealed:v1:")


@pytest.mark.parametrize(
    ("pasted", "message"),
    [
        ("", "No address was pasted"),
        ("http://127.0.0.1:1/?code=x&state=y", "another sign-in"),
        ("https://elsewhere.test/?code=x&state=y", "not the address"),
    ],
)
def test_wrong_paste_is_told(
    account: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    pasted: str,
    message: str,
) -> None:
    """An address of another sign-in is refused with exit code 1."""
    assert account

    def answer(url: str) -> str:
        redirect = httpx.URL(url).params["redirect_uri"]
        return pasted.replace("http://127.0.0.1:1", redirect)

    monkeypatch.setattr(sys, "stdin", Person(capsys, answer))
    code, errors = run(capsys)
    assert (code, message in errors) == (1, True), errors


def test_missing_connection_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A connection that does not exist is exit code 2."""
    code, errors = run(capsys, conn_id="no_such_connection")
    assert code == 2
    assert "no_such_connection" in errors


def test_connection_of_the_environment_is_refused(
    account: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an environment variable defines cannot be written, though the database has one too."""
    monkeypatch.setenv(*connections.environment(CONN_ID, login=account))
    code, errors = run(capsys)
    assert code == 2
    assert "EnvironmentVariablesBackend" in errors


def test_misconfigured_connection_is_refused_before_anybody_signs_in(
    authorization_server: AuthorizationServer, account: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong connection is exit code 2, and no server is asked."""
    connections.change(CONN_ID, extra={"tls": "none"})
    code, errors = run(capsys)
    assert (code, "'tls'" in errors) == (2, True)
    assert account
    assert not authorization_server.requests


def test_missing_sealing_key_is_told_before_anybody_signs_in(
    authorization_server: AuthorizationServer,
    account: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a key nobody is asked to sign in."""
    connections.change(CONN_ID, extra={"client_id": authorization_server.public_client_id})
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    code, errors = run(capsys)
    assert account
    assert (code, "token_keys" in errors) == (2, True)
    assert not authorization_server.requests


def test_taken_port_is_told(account: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A redirect port that another program listens on is exit code 2."""
    import socket

    assert account
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        code, errors = run(capsys, no_browser=False, redirect_port=other.getsockname()[1])
    assert (code, "--redirect-port" in errors) == (2, True)


def test_help_names_the_command() -> None:
    """The command is listed in Airflow's own help."""
    started = time.monotonic()
    shown = subprocess.run(
        [AIRFLOW, "imap-oauth", "login", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "--no-browser" in shown.stdout
    assert time.monotonic() - started < 60
