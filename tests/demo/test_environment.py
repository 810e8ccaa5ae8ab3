# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The file by which a shell becomes one of the demo's Airflow."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from demo.environment import environment_file

QUOTED = "a 'quoted' $HOME `value`"


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_shell_that_reads_it_uses_that_airflow(tmp_path: Path, shell: str) -> None:
    """The shell has Airflow's variables of the demo, none of another Airflow, and its command."""
    file = tmp_path / "the environment.sh"
    commands = tmp_path / "the commands"
    commands.mkdir()
    airflow = commands / "airflow"
    airflow.write_text('#!/bin/sh\necho "$AIRFLOW__A__B|$AIRFLOW__OLD__ONE|$HOME"\n')
    airflow.chmod(0o700)
    environment = {"AIRFLOW__A__B": QUOTED, "HOME": "/elsewhere"}
    with environment_file(file, environment, commands_folder=commands):
        done = subprocess.run(
            [shell, "-c", f". '{file}' && airflow"],
            env={"PATH": "/usr/bin:/bin", "HOME": "/home", "AIRFLOW__OLD__ONE": "old"},
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    assert done.stdout == f"{QUOTED}||/home\n"


def test_file_is_for_its_owner_and_for_the_time_being(tmp_path: Path) -> None:
    """Only the owner may read the keys in it, and once the demo has ended it is gone."""
    with environment_file(
        tmp_path / "environment.sh", {"AIRFLOW_HOME": "/home"}, commands_folder=tmp_path
    ) as file:
        assert file.stat().st_mode & 0o777 == 0o600
    assert not file.exists()
