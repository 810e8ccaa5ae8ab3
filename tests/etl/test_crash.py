# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Processes killed with SIGKILL, and what their successors make of it."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.etl.conftest import Landed
from tests.etl.crash_child import mailbox

MESSAGES = 5


def child(root: Path, run_id: str, messages: int, kill_at: int = 0) -> tuple[int, str]:
    """Run the fetching process and return its exit code and output."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.etl.crash_child",
            str(root),
            run_id,
            str(messages),
            str(kill_at),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Count the steps of a run that nobody kills."""
    _, output = child(tmp_path_factory.mktemp("whole") / "x", "run", MESSAGES)
    return int(output)


@pytest.mark.parametrize("seed", range(8))
def test_a_killed_run_loses_and_repeats_nothing(landed: Landed, steps: int, seed: int) -> None:
    """Killed at random steps, with mail arriving in between: each message is committed once."""
    chance = random.Random(seed)  # noqa: S311  # a plan, not a secret
    arrived, run = MESSAGES, 0
    # The first kill of each seed lies in another part of the run, so that all parts are met.
    kill_at = int((seed + chance.random()) * steps / 8) + 1
    for _ in range(2):
        code, _ = child(landed.root, f"run-{run}", arrived, kill_at)
        run += code == 0
        arrived += chance.randrange(2)
        kill_at = chance.randrange(1, steps)
    for last in (f"run-{run}", "at last"):
        assert child(landed.root, last, arrived)[0] == 0

    records = landed.records()
    assert sorted(record["uid"] for record in records) == list(range(1, arrived + 1))
    expected = mailbox(arrived).messages
    for record in records:
        assert landed.content(record["eml"]) == expected[record["uid"]].raw
        (attachment,) = record["attachments"]
        assert landed.content(attachment) == b"%d" % (record["uid"] - 1) * 50


def test_the_record_of_a_killed_run_names_the_commits_of_all_its_tries(
    landed: Landed, steps: int
) -> None:
    """Killed half-way, the run's record and counts hold what both tries committed."""
    child(landed.root, "run", MESSAGES, steps * 2 // 3)
    before = len(landed.commits())
    assert 0 < before < 3

    child(landed.root, "run", MESSAGES)

    (record,) = landed.root.glob("runs/*.json")
    assert [commit["seq"] for commit in landed.commits()] == [1, 2, 3]
    assert all(f"{seq:010d}.json" in record.read_text() for seq in (1, 2, 3))
    assert f'"messages": {MESSAGES}' in record.read_text()
