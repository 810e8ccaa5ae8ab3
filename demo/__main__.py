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
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.mailbox import small_mailbox
from tests.servers.airflow_stack import USERS, AirflowStack, sign_in
from tests.servers.authorization_server import IMAP_SCOPE, AuthorizationServer
from tests.servers.certificates import CertificateAuthority
from tests.servers.embedded_imap import EmbeddedImapServer, introspection

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".demo"
OUTPUT = ROOT / "demo-output"
CONN_ID = "imap_oauth_default"
DAG_ID = "example_imap_oauth"
LOGIN = "alice@example.com"


def main() -> int:
    """Run the demo and return the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--ui", action="store_true", help="leave Airflow's UI running")
    arguments = parser.parse_args()
    began = time.monotonic()
    for folder in (HOME, OUTPUT):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    with ExitStack() as running:
        ca = CertificateAuthority.create(HOME / "ca")
        server = running.enter_context(AuthorizationServer(ca))
        mail = running.enter_context(EmbeddedImapServer(introspection(server), ca))
        for raw in small_mailbox():
            mail.deliver(LOGIN, raw)
        say(f"Authorization server at {server.issuer}, IMAP server at {mail.host}:{mail.port}")
        airflow = AirflowStack(
            HOME / "airflow",
            dags_folder=ROOT / "example_dags",
            options={"logging.logging_level": "INFO"},
            environment={"AIRFLOW_VAR_IMAP_OAUTH_EXAMPLE_DESTINATION": f"file://{OUTPUT}/mail"},
        )
        airflow.migrate()
        airflow.add_connection(CONN_ID, connection(server, mail))
        say(f"Airflow has a home in {HOME.relative_to(ROOT)} and the connection '{CONN_ID}'")
        # The access token of the sign-in has ended when the first run begins: it must refresh.
        server.access_token_lifetime_seconds = 1
        login = sign_in(airflow, CONN_ID, lambda url: server.consent(url, LOGIN))
        server.access_token_lifetime_seconds = 3600
        if login.returncode:
            say(login.stdout)
            return 1
        say(f"'airflow imap-oauth login {CONN_ID}' stored a sealed refresh token")
        return show(airflow) if arguments.ui else run_twice(airflow, server, began)


def connection(server: AuthorizationServer, mail: EmbeddedImapServer) -> dict[str, Any]:
    """Return the connection, as the form would store it."""
    return {
        "conn_type": "imap_oauth",
        "host": mail.host,
        "port": mail.port,
        "login": LOGIN,
        "extra": json.dumps(
            {
                "mail_provider": "custom",
                "client_id": server.client_id,
                "client_secret": server.client_secret,
                "issuer": server.issuer,
                "scopes": IMAP_SCOPE,
                "ca_file": str(server.ca_file),
            }
        ),
    }


def run_twice(airflow: AirflowStack, server: AuthorizationServer, began: float) -> int:
    """Run the example DAG twice and tell what landed."""
    say("First run of the example DAG")
    airflow.cli("dags", "test", DAG_ID)
    first = landed()
    say("Second run: its sensor would wait for new mail, so it is passed over")
    airflow.cli("dags", "test", DAG_ID, "--mark-success-pattern", "wait_for_mail")
    second = landed()
    summary = {
        "messages": first["messages"],
        "attachments": first["attachments"],
        "second_run_messages": second["messages"] - first["messages"],
        "token_requests": server.token_requests,
    }
    (OUTPUT / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    for file in sorted(files(OUTPUT / "mail")):
        say(f"  {file.relative_to(ROOT)}  {file.stat().st_size} bytes")
    say(f"{summary['messages']} messages and {summary['attachments']} attachments landed;")
    say(f"the second run landed {summary['second_run_messages']} messages;")
    say(f"{summary['token_requests']} token requests: one for the sign-in, one to refresh.")
    say(f"See {OUTPUT.name}/summary.json. This took {time.monotonic() - began:.0f} seconds.")
    return 0 if summary["messages"] and not summary["second_run_messages"] else 1


def show(airflow: AirflowStack) -> int:
    """Leave Airflow running until interrupted."""
    with airflow:
        say(f"Airflow: {airflow.base_url}  (user admin, password {USERS['admin']})")
        say(f"Unpause and trigger the DAG '{DAG_ID}': its mail lands in {OUTPUT.name}/mail.")
        say("Admin, Connections shows the connection; Browse, IMAP mailboxes its state.")
        say("Ctrl-C ends it.")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return 0
    return 0


def landed() -> dict[str, int]:
    """Add up the commits of every mail folder."""
    totals = {"messages": 0, "attachments": 0}
    for file in (OUTPUT / "mail").glob("ledger/*/commits/*.json"):
        counts = json.loads(file.read_text())["counts"]
        for name in totals:
            totals[name] += counts[name]
    return totals


def files(folder: Path) -> Iterator[Path]:
    """Yield what a person would look for: not the ledger's own files."""
    for kind in ("mail", "attachments", "records", "runs"):
        yield from (file for file in (folder / kind).rglob("*") if file.is_file())


def say(text: str) -> None:
    """Tell the user, at once."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
