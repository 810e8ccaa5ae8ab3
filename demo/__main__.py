# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Mail from an OAuth-only mailbox lands in a folder, without an account anywhere.

An authorization server and an IMAP server run on loopback, over TLS, inside this process. Airflow
runs the example DAG against them twice, in a home of its own; the second run lands nothing twice.
With ``--ui`` Airflow's web interface is left running beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from demo.ending import Ended, ended_by_signals
from demo.environment import environment_file
from demo.stage import CONN_ID, DAG_ID, LOGIN, ROOT, Stage, stage
from tests.servers.airflow_stack import USERS


def main() -> int:
    """Run the demo and return the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--ui", action="store_true", help="leave Airflow's UI running")
    parser.add_argument(
        "--folder", type=Path, default=ROOT, help="where .demo and demo-output are made"
    )
    arguments = parser.parse_args()
    began = time.monotonic()
    with ended_by_signals(), stage(arguments.folder.resolve()) as running:
        mail = f"{running.mail.host}:{running.mail.port}"
        say(f"Authorization server at {running.server.issuer}, IMAP server at {mail}")
        say(f"Airflow has a home in {shown(running.home)} and the connection '{CONN_ID}'")
        running.sign_in()
        say(f"'airflow imap-oauth login {CONN_ID}' stored a sealed refresh token")
        return show(running) if arguments.ui else run_twice(running, began)


def run_twice(running: Stage, began: float) -> int:
    """Run the example DAG twice and tell what landed."""
    say("First run of the example DAG")
    running.airflow.cli("dags", "test", DAG_ID)
    first = landed(running.output)
    say("Second run: its sensor would wait for new mail, so it is passed over")
    running.airflow.cli("dags", "test", DAG_ID, "--mark-success-pattern", "wait_for_mail")
    second = landed(running.output)
    summary = {
        "messages": first["messages"],
        "attachments": first["attachments"],
        "second_run_messages": second["messages"] - first["messages"],
        "token_requests": running.server.token_requests,
    }
    (running.output / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    for file in sorted(files(running.output / "mail")):
        say(f"  {shown(file)}  {file.stat().st_size} bytes")
    say(f"{summary['messages']} messages and {summary['attachments']} attachments landed;")
    say(f"the second run landed {summary['second_run_messages']} messages;")
    say(f"{summary['token_requests']} token requests: one for the sign-in, one to refresh.")
    say(f"See {shown(running.output)}/summary.json.")
    say(f"This took {time.monotonic() - began:.0f} seconds.")
    return 0 if summary["messages"] and not summary["second_run_messages"] else 1


def show(running: Stage) -> int:
    """Leave Airflow running until somebody ends it."""
    file = running.home / "environment.sh"
    commands = Path(sys.executable).parent
    with (
        running.airflow as airflow,
        environment_file(file, airflow.environment, commands_folder=commands),
    ):
        say(f"Airflow: {airflow.base_url}  (user admin, password {USERS['admin']})")
        say(f"Unpause and trigger the DAG '{DAG_ID}':")
        say(f"its mail lands in {shown(running.output)}/mail.")
        say("Admin, Connections shows the connection; IMAP mailboxes its state.")
        say("To use the command airflow, in another terminal:")
        say(f"    . {shown(file)}")
        say(f"    airflow dags unpause {DAG_ID} && airflow dags trigger {DAG_ID}")
        say(f"    airflow imap-oauth revoke {CONN_ID}")
        say(f"    airflow imap-oauth login {CONN_ID}")
        say(
            f"Sign in there as {LOGIN}. The browser warns of the certificate: the demo's own "
            "authority signed it."
        )
        say("Ctrl-C ends it.")
        try:
            threading.Event().wait()
        except Ended:
            say("Ending.")
    return 0


def landed(output: Path) -> dict[str, int]:
    """Add up the commits of every mail folder."""
    totals = {"messages": 0, "attachments": 0}
    for file in (output / "mail").glob("ledger/*/commits/*.json"):
        counts = json.loads(file.read_text())["counts"]
        for name in totals:
            totals[name] += counts[name]
    return totals


def files(folder: Path) -> Iterator[Path]:
    """Yield what a person would look for: not the ledger's own files."""
    for kind in ("mail", "attachments", "records", "runs"):
        yield from (file for file in (folder / kind).rglob("*") if file.is_file())


def shown(path: Path) -> str:
    """Return a path as the user types it: from the folder in which the demo was started."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def say(text: str) -> None:
    """Tell the user, at once."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
