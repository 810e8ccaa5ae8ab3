# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""``airflow imap-oauth check``: one connection, step by step, as a task would use it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow.utils.cli import suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

from airflow_imap_oauth.admin.connections import look_up
from airflow_imap_oauth.cli.exit_codes import EXIT_CONFIGURATION, EXIT_FAILED, exit_codes
from airflow_imap_oauth.cli.labels import hint_for
from airflow_imap_oauth.cli.output import Row, show
from airflow_imap_oauth.hooks.check import CheckStep
from airflow_imap_oauth.hooks.check import check as steps_of

_INTERRUPTED = "Stopped; tokens that were renewed until then are saved."

#: What these find wrong is wrong in this Airflow; all others ask a server.
_OWN_STEPS = ("settings", "token_keys")
_OUTCOME_WIDTH = len("skipped") + 2


@suppress_logs_and_warning
@providers_configuration_loaded
def check(args: Any) -> None:
    """Run the command."""
    with exit_codes(args.conn_id, interrupted=_INTERRUPTED):
        _check(args.conn_id, args.output)


def _check(conn_id: str, output: str) -> None:
    steps = steps_of(look_up(conn_id))
    taken = [*(_told(conn_id, steps) if output == "table" else steps)]
    failed = [step.name for step in taken if step.outcome == "failed"]
    if output != "table":
        show([_row(conn_id, step) for step in taken], output)
    elif not failed:
        print(f"The connection '{conn_id}' works.")
    else:
        print(f"The connection '{conn_id}' does not work.")
    if failed:
        own = any(name in _OWN_STEPS for name in failed)
        raise SystemExit(EXIT_CONFIGURATION if own else EXIT_FAILED)


def _told(conn_id: str, steps: Iterator[CheckStep]) -> Iterator[CheckStep]:
    """Print each step as soon as it is over: some of them wait for servers."""
    for step in steps:
        row = _row(conn_id, step)
        print(f"{row['outcome']:{_OUTCOME_WIDTH}}{row['title']}: {row['text']}", flush=True)
        if row["hint"]:
            print(f"{'':{_OUTCOME_WIDTH}}What to do: {row['hint']}", flush=True)
        yield step


def _row(conn_id: str, step: CheckStep) -> Row:
    return {
        "step": step.name,
        "title": step.title,
        "outcome": step.outcome,
        "text": step.text,
        "hint": hint_for(conn_id, step.text, step.hint) or None
        if step.outcome == "failed"
        else None,
    }
