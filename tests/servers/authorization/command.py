# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The authorization server as a command: ``python -m tests.servers.authorization_server``."""

from __future__ import annotations

import argparse
import json
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

from tests.servers.authorization_server import AuthorizationServer
from tests.servers.certificates import CertificateAuthority


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    chosen = _parser().parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    ca = CertificateAuthority.create(chosen.ca_folder)
    with AuthorizationServer(ca, port=chosen.port) as server:
        server.access_token_lifetime_seconds = chosen.access_token_lifetime_seconds
        server.rotate_refresh_tokens = not chosen.keep_refresh_tokens
        print(json.dumps(server.settings()), flush=True)  # noqa: T201
        stop.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.servers.authorization_server",
        description=(
            "A test authorization server on loopback. Its first line of output is a JSON object "
            "with its settings; GET /control/counters counts requests."
        ),
    )
    parser.add_argument(
        "--ca-folder",
        type=Path,
        required=True,
        help="of the test authority; made if missing",
    )
    parser.add_argument("--port", type=int, default=0, help="0 for any that is free")
    parser.add_argument("--access-token-lifetime-seconds", type=int, default=3600)
    parser.add_argument(
        "--keep-refresh-tokens", action="store_true", help="do not rotate them at each refresh"
    )
    return parser
