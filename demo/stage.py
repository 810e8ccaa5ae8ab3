# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The stage of the demo: an authorization server, an IMAP server with mail, and an Airflow."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hooks import connections
from tests.mailbox import small_mailbox
from tests.servers.airflow_stack import AirflowStack, sign_in
from tests.servers.authorization.dialects import IMAP_SCOPE
from tests.servers.authorization_server import AuthorizationServer
from tests.servers.certificates import CertificateAuthority
from tests.servers.embedded_imap import EmbeddedImapServer, introspection

ROOT = Path(__file__).resolve().parent.parent
CONN_ID = "imap_oauth_default"
DAG_ID = "example_imap_oauth"
LOGIN = "alice@example.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """
    What runs, all of it on loopback; ``airflow`` has its database but no process yet.

    :param home: The demo's own files.
    :param output: Where mail lands.
    """

    home: Path
    output: Path
    airflow: AirflowStack
    server: AuthorizationServer
    mail: EmbeddedImapServer

    def sign_in(self) -> None:
        """
        Authorize the connection as a person would.

        The access token that comes along ends at once, so that the first run must refresh.
        """
        self.server.access_token_lifetime_seconds = 1
        login = sign_in(self.airflow, CONN_ID, lambda url: self.server.consent(url, LOGIN))
        self.server.access_token_lifetime_seconds = 3600
        if login.returncode:
            raise RuntimeError(login.stdout)


@contextmanager
def stage(folder: Path = ROOT) -> Iterator[Stage]:
    """
    Start the servers, fill the mailbox, and give Airflow a home and the connection.

    :param folder: Gets the folders ``.demo`` and ``demo-output``, in place of those of last time.
    """
    home, output = folder / ".demo", folder / "demo-output"
    for made in (home, output):
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
    ca = CertificateAuthority.create(home / "ca")
    with (
        AuthorizationServer(ca) as server,
        EmbeddedImapServer(introspection(server), ca) as mail,
    ):
        for raw in small_mailbox():
            mail.deliver(LOGIN, raw)
        airflow = AirflowStack(
            home / "airflow",
            dags_folder=ROOT / "example_dags",
            options={"logging.logging_level": "INFO"},
            environment={"AIRFLOW_VAR_IMAP_OAUTH_EXAMPLE_DESTINATION": f"file://{output}/mail"},
        )
        airflow.migrate()
        airflow.add_connection(CONN_ID, _connection(server, mail))
        yield Stage(home=home, output=output, airflow=airflow, server=server, mail=mail)


def _connection(server: AuthorizationServer, mail: EmbeddedImapServer) -> dict[str, Any]:
    """Return the connection, as the form would store it."""
    return {
        "conn_type": "imap_oauth",
        "host": mail.host,
        "port": mail.port,
        "login": LOGIN,
        "extra": json.dumps(connections.custom(server, scopes=f"{IMAP_SCOPE} openid email")),
    }
