# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A connection that Airflow does not hand out: whether it is missing, or why it cannot be read."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow import settings
from airflow.models.connection import Connection
from airflow.models.crypto import get_fernet
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ErrorResponse
from airflow.utils.session import create_session
from sqlalchemy import create_engine, update
from sqlalchemy.orm import sessionmaker

from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    ConnectionUnavailableError,
    ImapOAuthError,
)
from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from tests.hooks import connections

CONN_ID = "mail_to_be_read"
SECRET = secrets.token_hex(16)
ANOTHER_KEY = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


@pytest.fixture(autouse=True)
def _stored(airflow_server: None) -> Iterator[None]:
    """Give a connection that Airflow has encrypted, and let Airflow read its key anew."""
    del airflow_server
    extra = {"mail_provider": "google", "client_id": "app", "client_secret": SECRET}
    connections.add(CONN_ID, login="a@example.test", password=SECRET, extra=extra)
    get_fernet.cache_clear()
    yield
    get_fernet.cache_clear()
    connections.remove(CONN_ID)


def failure(conn_id: str = CONN_ID) -> ImapOAuthError:
    """Return how a hook fails that needs the connection."""
    with pytest.raises(ImapOAuthError) as caught:
        ImapOAuthHook(conn_id).get_access_token()
    assert caught.value.conn_id == conn_id
    assert caught.value.hint
    assert SECRET not in str(caught.value)
    return caught.value


def test_missing_connection_is_told() -> None:
    """Where there is none, that is said, and no key is blamed."""
    error = failure("nobody_added_it")
    assert type(error) is ConfigurationError
    assert error.message == "There is no such connection."
    assert "fernet" not in error.hint


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
    monkeypatch: pytest.MonkeyPatch, key: str, told: str
) -> None:
    """A connection that cannot be decrypted is not called missing."""
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", key)
    error = failure()
    assert type(error) is ConfigurationError
    assert told in error.message
    assert "[core] fernet_key" in error.hint


@pytest.mark.parametrize(
    ("file", "kind", "told"),
    [
        ("empty.db", ConfigurationError, "airflow db migrate"),
        ("no folder/airflow.db", ConnectionUnavailableError, "cannot be reached"),
    ],
)
def test_database_that_does_not_work_is_told(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    file: str,
    kind: type[ImapOAuthError],
    told: str,
) -> None:
    """A database that was not set up is for a human, one that does not answer for a retry."""
    engine = create_engine(f"sqlite:///{tmp_path / file}")
    with monkeypatch.context() as changed:
        changed.setattr(settings, "engine", engine)
        changed.setattr(settings, "Session", sessionmaker(engine, expire_on_commit=False))
        error = failure()
    assert type(error) is kind
    assert told in str(error)
    assert "SELECT" not in str(error)


def test_extra_that_is_no_object_is_told() -> None:
    """An extra that Airflow itself refuses to read is told, and not shown."""
    with create_session() as session:
        session.execute(
            update(Connection)
            .where(Connection.conn_id == CONN_ID)
            .values(_extra=f'["{SECRET}"]', is_extra_encrypted=False)
        )
    assert "not a JSON object" in failure().message


@pytest.mark.parametrize(
    "text",
    [f'{{"password": "{SECRET}"', f'{{"host": 7, "password": "{SECRET}"}}'],
    ids=["cut", "types"],
)
def test_malformed_environment_variable_is_told(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """An environment variable that is no connection is named, and its text is not shown."""
    monkeypatch.setenv("AIRFLOW_CONN_MAIL_OF_THE_ENVIRONMENT", text)
    assert "AIRFLOW_CONN_MAIL_OF_THE_ENVIRONMENT" in failure("mail_of_the_environment").message


ANSWERS = [
    ("CONNECTION_NOT_FOUND", ConfigurationError, "knows no such connection"),
    ("API_SERVER_ERROR", ConnectionUnavailableError, "API_SERVER_ERROR"),
    ("GENERIC_ERROR", ConnectionUnavailableError, "GENERIC_ERROR"),
    ("PERMISSION_DENIED", ConfigurationError, "may not read"),
]


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    # Airflow 3.2 does not know all of them.
    [answer for answer in ANSWERS if answer[0] in ErrorType.__members__],
)
def test_answer_of_the_api_server_decides_about_a_retry(
    monkeypatch: pytest.MonkeyPatch, answer: str, kind: type[ImapOAuthError], told: str
) -> None:
    """In a task, only an API server in trouble is worth a retry; a missing connection is not."""
    comms = SimpleNamespace(send=lambda _: ErrorResponse(error=ErrorType[answer]))
    monkeypatch.delenv("_AIRFLOW_PROCESS_CONTEXT")
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)
    error = failure("mail_of_a_task")
    assert type(error) is kind
    assert told in error.message
