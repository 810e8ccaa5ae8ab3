# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Reading the records of many connections at once."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from airflow_imap_oauth.exceptions import TokenStoreError
from airflow_imap_oauth.tokens.preloaded import PreloadedStore
from airflow_imap_oauth.tokens.sql_store import SqlTokenStore
from tests.tokens.store_contract import AWKWARD_CONN_IDS


class Store:
    """Counts what it is asked for; ``torn`` cannot be read together with others."""

    name = "memory"

    def __init__(self, failure: Exception | None = None) -> None:
        self.texts: dict[str, str] = {"mail": "{}", "torn": "{}"}
        self.loads: list[str] = []
        self._failure = failure

    def load(self, conn_id: str) -> str | None:
        """Return one record."""
        self.loads.append(conn_id)
        return self.texts.get(conn_id)

    def save(self, conn_id: str, text: str) -> None:
        """Keep a record."""
        self.texts[conn_id] = text

    def delete(self, conn_id: str) -> None:
        """Drop a record."""
        del self.texts[conn_id]

    def load_many(self, conn_ids: Collection[str]) -> dict[str, str | None]:
        """Return all but the torn one."""
        if self._failure is not None:
            raise self._failure
        return {conn_id: self.texts.get(conn_id) for conn_id in conn_ids if conn_id != "torn"}


def test_what_was_read_ahead_is_not_read_again() -> None:
    """Neither a record nor its absence costs a read of its own."""
    store = Store()
    preloaded = PreloadedStore(store, ["mail", "missing"])
    assert (preloaded.load("mail"), preloaded.load("missing")) == ("{}", None)
    assert store.loads == []


def test_what_could_not_be_read_ahead_is_read_alone() -> None:
    """One record that makes trouble hides no other."""
    store = Store()
    assert PreloadedStore(store, ["mail", "torn"]).load("torn") == "{}"
    assert store.loads == ["torn"]


@pytest.mark.parametrize("failure", [TokenStoreError("Down."), RuntimeError("canary")])
def test_a_store_that_is_down_is_asked_once(failure: Exception) -> None:
    """Its failure is told of every connection, without the texts of other libraries."""
    store = Store(failure)
    preloaded = PreloadedStore(store, ["mail", "other"])
    for conn_id in ("mail", "other"):
        with pytest.raises(TokenStoreError) as caught:
            preloaded.load(conn_id)
        assert "canary" not in str(caught.value)
    assert store.loads == []


def test_what_is_written_is_read_anew() -> None:
    """A record that is saved or deleted after it was read ahead is not stale."""
    store = Store()
    preloaded = PreloadedStore(store, ["mail", "torn"])
    preloaded.save("mail", "new")
    assert preloaded.load("mail") == "new"
    preloaded.delete("mail")
    assert preloaded.load("mail") is None


def test_the_store_sql_reads_many_at_once(tmp_path: Path) -> None:
    """Awkward ids, missing ones, and more than a database takes parameters."""
    store = SqlTokenStore(f"sqlite:///{tmp_path}/tokens.db")
    for number, conn_id in enumerate(AWKWARD_CONN_IDS):
        store.save(conn_id, str(number))
    found = store.load_many([*AWKWARD_CONN_IDS, *(f"missing{number}" for number in range(1500))])
    assert [found[conn_id] for conn_id in AWKWARD_CONN_IDS] == [
        str(number) for number in range(len(AWKWARD_CONN_IDS))
    ]
    assert found["missing1499"] is None
