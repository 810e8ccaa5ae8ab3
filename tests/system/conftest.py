# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""One whole Airflow for all system tests, and mailboxes for it."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.hooks import connections
from tests.servers.airflow_stack import AirflowStack, sign_in
from tests.servers.dovecot import dovecot_available
from tests.servers.proxy import Proxy

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer
    from tests.servers.mail_server import MailServer

ROOT = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.system)


@pytest.fixture(scope="session")
def system_mail(request: pytest.FixtureRequest) -> MailServer:
    """Give Dovecot where it is installed, else the embedded server."""
    name = "dovecot" if dovecot_available() else "embedded_imap"
    server: MailServer = request.getfixturevalue(name)
    return server


@pytest.fixture(scope="session")
def destination(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder that the example DAG writes to."""
    return tmp_path_factory.mktemp("destination")


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedAirflow:
    """An Airflow, and the proxy by which its tasks and triggers reach the API server."""

    stack: AirflowStack
    execution_api: Proxy


@pytest.fixture(scope="session")
def watched_airflow(
    tmp_path_factory: pytest.TempPathFactory,
    authorization_server: AuthorizationServer,
    destination: Path,
) -> Iterator[WatchedAirflow]:
    """Start a whole Airflow with the example DAGs and those of the tests."""
    folder = tmp_path_factory.mktemp("airflow")
    dags = folder / "dags"
    shutil.copytree(ROOT / "example_dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(Path(__file__).parent / "dags", dags, dirs_exist_ok=True)
    stack = AirflowStack(
        folder / "home",
        dags_folder=dags,
        options={"logging.logging_level": "DEBUG"},
        environment={
            "AIRFLOW_VAR_IMAP_OAUTH_EXAMPLE_DESTINATION": f"file://{destination}",
            "IMAP_OAUTH_TEST_BASE_URL": authorization_server.base_url,
            # Triggers are imported from the DAG folder.
            "PYTHONPATH": f"{dags}:{ROOT}",
        },
    )
    with Proxy(stack.port) as proxy:
        url = f"http://localhost:{proxy.port}/execution/"
        stack.environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] = url
        with stack:
            yield WatchedAirflow(stack=stack, execution_api=proxy)


@pytest.fixture(scope="session")
def airflow(watched_airflow: WatchedAirflow) -> AirflowStack:
    """Give a whole Airflow with the example DAGs and those of the tests."""
    return watched_airflow.stack


@pytest.fixture
def execution_api(watched_airflow: WatchedAirflow) -> Iterator[Proxy]:
    """Give what stands between tasks and the API server; it does no harm before and after."""
    yield watched_airflow.execution_api
    watched_airflow.execution_api.http_status = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailboxes:
    """Makes connections to new accounts of the mail server."""

    airflow: AirflowStack
    server: AuthorizationServer
    mail: MailServer

    def add(self, *, conn_id: str | None = None, password: str | None = None, **extra: Any) -> str:
        """
        Store a connection and return its id; the account is ``CONN_ID@example.com``.

        :param password: The refresh token; None: nobody has signed in yet.
        """
        conn_id = conn_id or f"mail_{secrets.token_hex(4)}"
        fields = {
            "conn_type": "imap_oauth",
            "host": self.mail.host,
            "port": self.mail.port,
            "login": self.login(conn_id),
            "password": password,
            "extra": json.dumps(connections.custom(self.server, **extra)),
        }
        self.airflow.add_connection(conn_id, {k: v for k, v in fields.items() if v is not None})
        return conn_id

    @staticmethod
    def login(conn_id: str) -> str:
        """Return the account of a connection."""
        return f"{conn_id}@example.com"

    def sign_in(self, conn_id: str) -> None:
        """Run ``airflow imap-oauth login`` and consent."""
        done = sign_in(
            self.airflow, conn_id, lambda url: self.server.consent(url, self.login(conn_id))
        )
        assert done.returncode == 0, done.stdout


@pytest.fixture
def mailboxes(
    airflow: AirflowStack, authorization_server: AuthorizationServer, system_mail: MailServer
) -> Mailboxes:
    """Give a maker of connections."""
    return Mailboxes(airflow=airflow, server=authorization_server, mail=system_mail)


@pytest.fixture
def fetch(airflow: AirflowStack, tmp_path: Path) -> Callable[[str], Any]:
    """Give a function that runs the DAG ``fetch_once`` for a connection."""

    def run(conn_id: str) -> Any:
        return airflow.run_dag(
            "fetch_once", conf={"conn_id": conn_id, "destination": f"file://{tmp_path}/landed"}
        )

    return run
