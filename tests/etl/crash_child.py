# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
A process that fetches, and kills itself where it is told.

``python -m tests.etl.crash_child DESTINATION RUN_ID MESSAGES KILL_AT`` dies at step number KILL_AT
of those that change or read anything; 0 lets it live. It prints how many steps there were.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_imap_oauth.etl import FetchOptions, fetch, open_destination
from tests.etl.memory_mailbox import MemoryMailbox, mail


class Steps:
    """Counts steps, and dies before or after one."""

    def __init__(self, kill_at: int) -> None:
        self.kill_at = kill_at
        self.count = 0

    def step(self) -> None:
        """Count one."""
        self.count += 1
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Count before and after a call."""

        def counted(*arguments: Any, **options: Any) -> Any:
            self.step()
            result = function(*arguments, **options)
            self.step()
            return result

        return counted


def mailbox(messages: int) -> MemoryMailbox:
    """Make the folder as it is when so many messages have arrived."""
    return MemoryMailbox(*(mail(f"number {n}", a_csv=b"%d" % n * 50) for n in range(messages)))


def main(root: str, run_id: str, messages: int, kill_at: int) -> None:
    """Fetch."""
    steps = Steps(kill_at)
    os.link, os.fsync = steps.around(os.link), steps.around(os.fsync)
    Path.replace = steps.around(Path.replace)  # type: ignore[method-assign]  # to count
    Path.unlink = steps.around(Path.unlink)  # type: ignore[method-assign]  # as above
    source = mailbox(messages)
    source.before_parts = steps.step
    options = FetchOptions(commit_messages=2)
    destination = open_destination(Path(root))
    fetch(source, destination, options, account="ann@example.test", run_id=run_id)
    sys.stdout.write(str(steps.count))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
