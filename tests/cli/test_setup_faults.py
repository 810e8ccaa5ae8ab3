# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What is set up wrongly around a connection ends a command with a sentence, not a traceback."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from airflow import settings
from airflow.models.connection import Connection
from airflow.models.crypto import get_fernet
from airflow.utils.session import create_session
from sqlalchemy import create_engine, update
from sqlalchemy.orm import sessionmaker

from airflow_imap_oauth.cli.check import check
from airflow_imap_oauth.cli.login import login
from airflow_imap_oauth.cli.refresh import refresh
from airflow_imap_oauth.cli.revoke import revoke
from tests.cli.running import CONN_ID, run
from tests.hooks import connections

SECRET = secrets.token_hex(16)
ANOTHER_KEY = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()

pytestmark = [
    pytest.mark.usefixtures("airflow_database"),
    pytest.mark.parametrize("command", [login, revoke, check, refresh]),
]


@pytest.fixture(autouse=True)
def _encrypted() -> Iterator[None]:
    """Give a connection that Airflow has encrypted, and let Airflow read its key anew."""
    extra = {"mail_provider": "google", "client_id": "app", "client_secret": SECRET}
    connections.add(CONN_ID, login="a@example.test", password=SECRET, extra=extra)
    get_fernet.cache_clear()
    yield
    get_fernet.cache_clear()
    connections.remove(CONN_ID)


@contextmanager
def database(monkeypatch: pytest.MonkeyPatch, file: Path) -> Iterator[Any]:
    """Let Airflow use another database for a while, and give its engine."""
    engine = create_engine(f"sqlite:///{file}")
    with monkeypatch.context() as changed:
        changed.setattr(settings, "engine", engine)
        changed.setattr(settings, "Session", sessionmaker(engine, expire_on_commit=False))
        yield engine


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("", "no Fernet key is configured"),
        ("no-key-at-all", "malformed"),
        (ANOTHER_KEY, "another Fernet key"),
    ],
    ids=["missing", "malformed", "another"],
)
def test_fernet_key_that_does_not_fit_is_told(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: Callable[[Any], None],
    key: str,
    told: str,
) -> None:
    """A Fernet key with which the connection cannot be read is exit code 2, with the option."""
    with monkeypatch.context() as changed:
        changed.setenv("AIRFLOW__CORE__FERNET_KEY", key)
        code, errors = run(capsys, command)
    assert code == 2
    assert told in errors
    assert "AIRFLOW__CORE__FERNET_KEY" in errors
    assert SECRET not in errors
    assert errors.count("\n") == 1


def test_unmigrated_database_is_told(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    command: Callable[[Any], None],
) -> None:
    """A database without Airflow's tables is exit code 2, with the command that makes them."""
    with database(monkeypatch, tmp_path / "empty.db"):
        code, errors = run(capsys, command)
    assert (code, "airflow db migrate" in errors) == (2, True), errors
    assert "SELECT" not in errors


def test_database_of_an_older_airflow_is_told(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    command: Callable[[Any], None],
) -> None:
    """A database whose tables lack a column is exit code 2, too."""
    with database(monkeypatch, tmp_path / "old.db") as engine:
        with engine.begin() as old:
            old.exec_driver_sql("CREATE TABLE connection (id INTEGER, conn_id TEXT)")
        code, errors = run(capsys, command)
    assert (code, "airflow db migrate" in errors) == (2, True), errors


def test_unreachable_database_is_told(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    command: Callable[[Any], None],
) -> None:
    """A database that does not answer is exit code 1: it may be there again later."""
    with database(monkeypatch, tmp_path / "no folder" / "airflow.db"):
        code, errors = run(capsys, command)
    assert (code, "cannot be reached" in errors) == (1, True), errors


def test_malformed_connection_of_the_environment_is_told(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: Callable[[Any], None],
) -> None:
    """An environment variable that is no connection is exit code 2, and its text is not shown."""
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", f'{{"password": "{SECRET}"')
    code, errors = run(capsys, command)
    assert (code, "EnvironmentVariablesBackend" in errors) == (2, True), errors
    assert SECRET not in errors


def test_extra_that_is_no_object_is_told(
    capsys: pytest.CaptureFixture[str], command: Callable[[Any], None]
) -> None:
    """An extra that Airflow itself refuses to read is exit code 2, and its text is not shown."""
    with create_session() as session:
        session.execute(
            update(Connection)
            .where(Connection.conn_id == CONN_ID)
            .values(_extra=f'["{SECRET}"]', is_extra_encrypted=False)
        )
    code, errors = run(capsys, command)
    assert (code, "not a JSON object" in errors) == (2, True), errors
    assert SECRET not in errors
