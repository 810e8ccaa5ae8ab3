# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Which token store the options choose, and which options none can be made of."""

from __future__ import annotations

import secrets
import sys
import traceback
from pathlib import Path

import pytest

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.hooks.config import read_options
from airflow_imap_oauth.hooks.stores import token_store
from airflow_imap_oauth.tokens.store import TokenStore

CANARY = f"canary-{secrets.token_hex(12)}"


def chosen(monkeypatch: pytest.MonkeyPatch, **options: str) -> TokenStore:
    """Return the store that these options choose."""
    for name, value in options.items():
        monkeypatch.setenv(f"AIRFLOW__IMAP_OAUTH__{name.upper()}", value)
    return token_store(read_options())


@pytest.mark.parametrize("name", ["variable", "file"])
def test_each_store_by_its_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The option names the store."""
    assert chosen(monkeypatch, token_store=name).name == name


def test_variable_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an option, tokens are kept in Variables."""
    assert chosen(monkeypatch).name == "variable"


def test_sql_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store ``sql`` keeps tokens in the database that its option names."""
    store = chosen(
        monkeypatch, token_store="sql", sql_alchemy_conn=f"sqlite:///{tmp_path}/tokens.db"
    )
    store.save("mail", "{}")
    assert store.name == "sql"
    assert (tmp_path / "tokens.db").exists()


def test_sql_store_without_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the option that names its database, the store ``sql`` is refused."""
    with pytest.raises(ConfigurationError, match=r"token store: .*'sql' has no database") as caught:
        chosen(monkeypatch, token_store="sql")
    assert "[imap_oauth] sql_alchemy_conn" in caught.value.hint


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"mysql://tokens:{CANARY}@db.example.test/tokens", "is for 'mysql'"),
        (f"oracle+oracledb://tokens:{CANARY}@db.example.test/tokens", "is for 'oracle'"),
        (f"postgresql+none://tokens:{CANARY}@db.example.test/tokens", "does not know"),
        (f"postgres://tokens:{CANARY}@db.example.test/tokens", "is for 'postgres'"),
        (f"postgresql+pg8000://tokens:{CANARY}@db.example.test:port/tokens", "is no URL"),
        (f"postgresql+pg8000://tokens:p@ss:{CANARY}@db.example.test/tokens", "is no URL"),
        (f"postgresql+pg8000://db.example.test/tokens?timeout={CANARY}", "is no URL"),
        (f"db.example.test tokens {CANARY}", "is no URL"),
        (f"postgresql:{CANARY}", "is no URL"),
        ("sqlite://", "absolute path"),
        ("sqlite:///:memory:", "absolute path"),
        ("sqlite:///tokens.db", "absolute path"),
        ("sqlite:///file:tokens?mode=memory&uri=true", "absolute path"),
        ("sqlite+aiosqlite:////tmp/tokens.db", "asynchronous"),
    ],
)
def test_unfit_databases(url: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no URL of a database that serves is refused, and not quoted."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        chosen(monkeypatch, token_store="sql", sql_alchemy_conn=url)
    error = caught.value
    assert not error.retry_helps
    assert (error.__cause__, error.__context__) == (None, None)
    assert CANARY not in "".join(traceback.format_exception(error)) + repr(error)


def test_missing_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver that is to be installed is named."""
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(ConfigurationError, match="needs the driver 'psycopg2'"):
        chosen(
            monkeypatch,
            token_store="sql",
            sql_alchemy_conn="postgresql+psycopg2://db.example.test/tokens",
        )


@pytest.mark.parametrize(
    "executor",
    [
        "CeleryExecutor",
        "LocalExecutor,KubernetesExecutor",
        "LocalExecutor;team=alias:example.executors.FarExecutor",
    ],
)
def test_file_store_is_for_one_host(executor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tasks run on other hosts, a folder of this one is refused, unless it is shared."""
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    with pytest.raises(ConfigurationError, match="for one host"):
        chosen(monkeypatch, token_store="file")
    assert chosen(monkeypatch, file_folder_shared="True").name == "file"
