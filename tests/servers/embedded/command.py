# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Run the embedded server as a process; once it listens, it says where in one line of JSON."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.mailbox import small_mailbox
from tests.servers.certificates import CertificateAuthority
from tests.servers.embedded import sasl
from tests.servers.embedded_imap import EmbeddedImapServer

_SECRET = "IMAP_CLIENT_SECRET"


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    options = _parser().parse_args(arguments)
    # Before any thread starts: only then is it sigwait() below that takes them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    ca = CertificateAuthority.create(options.ca_folder)
    check = sasl.introspection(
        options.introspection_url,
        client_id=options.client_id,
        client_secret=os.environ[_SECRET],
        ca_file=str(ca.ca_file),
    )
    with EmbeddedImapServer(
        check, ca, port=options.port, starttls_port=options.starttls_port
    ) as server:
        for raw in _mail(options):
            server.deliver(options.login, raw)
        where = {
            "host": server.host,
            "port": server.port,
            "starttls_port": server.starttls_port,
            "ca_file": str(ca.ca_file),
        }
        sys.stdout.write(json.dumps(where) + "\n")
        sys.stdout.flush()
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


def _mail(options: argparse.Namespace) -> list[bytes]:
    if options.eml_folder is not None:
        return [file.read_bytes() for file in sorted(options.eml_folder.glob("*.eml"))]
    return small_mailbox(options.messages, seed=options.seed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.servers.embedded_imap",
        description="A small IMAP server on loopback that signs in with OAuth 2.0 tokens.",
        epilog=f"The secret of the client comes from the environment variable {_SECRET}.",
    )
    parser.add_argument("--port", type=int, default=0, help="for implicit TLS (0: any)")
    parser.add_argument("--starttls-port", type=int, default=0, help="for STARTTLS (0: any)")
    parser.add_argument(
        "--ca-folder", type=Path, required=True, help="folder of the test authority, made if new"
    )
    parser.add_argument("--introspection-url", required=True, help="where tokens are looked up")
    parser.add_argument("--client-id", required=True, help="as which client")
    parser.add_argument("--login", default="alice@example.test", help="whose mailbox is filled")
    parser.add_argument("--eml-folder", type=Path, help="fill it with these .eml files")
    parser.add_argument("--messages", type=int, default=12, help="else with so many made-up mails")
    parser.add_argument("--seed", type=int, default=1, help="of the made-up mails")
    return parser
