# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the ledger's tests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_imap_oauth.etl import FetchOptions, RunResult, fetch, open_destination
from tests.etl.memory_mailbox import MemoryMailbox

ACCOUNT = "ann@example.test"


class Landed:
    """A destination on the local disk, and what is committed there."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def fetch(
        self,
        mailbox: MemoryMailbox,
        run_id: str,
        *,
        account: str = ACCOUNT,
        options: FetchOptions | None = None,
    ) -> RunResult:
        """Carry out one try of a run."""
        options = options or FetchOptions(mail_folder=mailbox.name)
        destination = open_destination(self.root)
        return fetch(mailbox, destination, options, account=account, run_id=run_id)

    def commits(self) -> list[dict[str, Any]]:
        """Read all commits of all folders."""
        return [json.loads(f.read_text()) for f in sorted(self.root.glob("ledger/*/commits/*"))]

    def records(self) -> list[dict[str, Any]]:
        """Read the committed records, as someone without our code would."""
        return [
            json.loads(line)
            for commit in self.commits()
            if commit["records"]
            for line in (self.root / commit["records"]).read_text().splitlines()
        ]

    def uids(self) -> list[int]:
        """UIDs of the committed records, in order of commit."""
        return [record["uid"] for record in self.records()]

    def content(self, stored: dict[str, Any]) -> bytes:
        """Read an object and check it against its record."""
        data = (self.root / stored["path"]).read_bytes()
        assert len(data) == stored["bytes"]
        assert hashlib.sha256(data).hexdigest() == stored["sha256"]
        return data


@pytest.fixture
def landed(tmp_path: Path) -> Iterator[Landed]:
    """Give a destination; whatever a test does, nothing may be written beside it."""
    root = tmp_path / "outer" / "destination"
    yield Landed(root)
    assert [path.name for path in tmp_path.iterdir()] in ([], ["outer"])
    assert not root.parent.exists() or [path.name for path in root.parent.iterdir()] in (
        [],
        ["destination"],
    )
