# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Whoever ends the demo ends what it has started, too."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]

_PROGRAM = """
import signal, sys, threading
from demo.ending import ended_by_signals
# The tests themselves may run where one of them is ignored, under nohup or in the background.
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
with ended_by_signals():
    try:
        print("begun", flush=True)
        threading.Event().wait()
    finally:
        print("stopping", flush=True)
        sys.stdin.readline()
        print("stopped", flush=True)
"""


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start Python, and do not leave it running."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def read_until(output: IO[str] | None, word: str) -> str:
    """Return what was printed up to the line that holds a word."""
    assert output is not None
    lines = []
    for line in output:
        lines.append(line)
        if word in line:
            return "".join(lines)
    raise AssertionError(f"ended without '{word}': {''.join(lines)}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopping_is_not_stopped(number: signal.Signals) -> None:
    """The first signal ends the program in good order, and a second does not cut that short."""
    with started("-c", _PROGRAM) as process:
        read_until(process.stdout, "begun")
        process.send_signal(number)
        read_until(process.stdout, "stopping")
        process.send_signal(number)
        output, _ = process.communicate("\n", timeout=30)
    assert output == "stopped\n"
    assert process.returncode == 128 + number


@pytest.mark.system
def test_newcomer_uses_the_running_demo_and_ends_it(tmp_path: Path) -> None:
    """What the demo prints works in another shell; SIGTERM ends it with all its processes."""
    with started("-m", "demo", "--ui", "--folder", str(tmp_path)) as process:
        printed = read_until(process.stdout, "Ctrl-C ends it")
        family = psutil.Process(process.pid).children(recursive=True)
        file = tmp_path / ".demo" / "environment.sh"
        assert f". {file}\n" in printed
        commands = [line.strip() for line in printed.splitlines() if line.startswith("    airflow")]
        outputs = [
            subprocess.run(
                ["sh", "-c", f". '{file}' && {command}"],
                capture_output=True,
                text=True,
                check=True,
                timeout=120,
            ).stdout
            for command in commands
            if "login" not in command
        ]
        process.terminate()
        assert process.wait(60) == 0
    assert len(family) >= 4
    assert psutil.wait_procs(family, timeout=5)[1] == []
    assert not file.exists()
    assert "no longer accepts" in outputs[-1]
