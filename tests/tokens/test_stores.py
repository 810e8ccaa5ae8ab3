# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Token stores of other distributions, by entry points of real (if tiny) distributions."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.tokens.stores import load_store, store_names

_MODULE = """
class Vault:
    name = "vault"
    def load(self, conn_id): return None
    def save(self, conn_id, text): pass
    def delete(self, conn_id): pass

class Half:
    def load(self, conn_id): return None

def broken():
    raise RuntimeError("canary")
"""


def _install(folder: Path, distribution: str, entry_points: str) -> None:
    (folder / "imap_oauth_test_stores.py").write_text(_MODULE)
    metadata = folder / f"{distribution}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
    )
    (metadata / "entry_points.txt").write_text(
        f"[airflow_imap_oauth.token_stores]\n{entry_points}\n"
    )


@pytest.fixture
def distributions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder whose distributions count as installed."""
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return tmp_path


def test_a_store_of_another_distribution(distributions: Path) -> None:
    """A store is found by the name of its entry point."""
    _install(distributions, "vaults", "vault = imap_oauth_test_stores:Vault")
    assert "vault" in store_names()
    assert load_store("vault").load("mail") is None


def test_an_unknown_store(distributions: Path) -> None:
    """An unknown name is refused, and the message lists those that work."""
    _install(distributions, "vaults", "vault = imap_oauth_test_stores:Vault")
    with pytest.raises(
        ConfigurationError, match=r"no token store 'valut'.*variable, sql, file, vault"
    ):
        load_store("valut")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("imap_oauth_test_stores:broken", "cannot be made .RuntimeError"),
        ("imap_oauth_test_stores:missing", "cannot be made .AttributeError"),
        ("imap_oauth_missing_stores:Vault", "cannot be made .ModuleNotFoundError"),
        ("imap_oauth_test_stores:Half", "lacks one of: load, save, delete"),
    ],
)
def test_an_unfit_store(distributions: Path, target: str, message: str) -> None:
    """A store that cannot be made, or does not do what stores do, is a clear error."""
    _install(distributions, "vaults", f"vault = {target}")
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_store("vault")
    assert "canary" not in str(caught.value)


def test_two_distributions_with_one_name(distributions: Path) -> None:
    """Which of two stores is meant is not guessed."""
    _install(distributions, "vaults", "vault = imap_oauth_test_stores:Vault")
    _install(distributions, "halves", "vault = imap_oauth_test_stores:Half")
    with pytest.raises(ConfigurationError, match="Several installed distributions"):
        load_store("vault")
