# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
A whole Airflow on loopback: API server, scheduler, DAG processor and triggerer as processes.

Use::

    with AirflowStack(folder, dags_folder=...) as airflow:
        airflow.add_connection("imap_oauth_default", {...})
        run = airflow.run_dag("example_imap_oauth")
        assert run.state == "success"
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
USERS = {"admin": "admin", "viewer": "viewer"}
_POLL_SECONDS = 0.5


def free_port() -> int:
    """Return a port on loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class DagRun:
    """How a DAG run ended: its state, and each task's state and number of tries."""

    dag_id: str
    run_id: str
    state: str
    tasks: dict[str, str]
    tries: dict[str, int]


class AirflowStack:
    """
    One Airflow installation in one folder.

    :param folder: Becomes AIRFLOW_HOME; made if missing.
    :param dags_folder: Where the DAG files are.
    :param options: Airflow options by ``section.option``, over the defaults below.
    :param environment: Additional environment variables for every process.
    :param base_path: Below which it is reached, as behind a reverse proxy: ``/team/a``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        dags_folder: Path,
        options: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        base_path: str = "",
    ) -> None:
        self.home = folder
        self.port = free_port()
        self.base_url = f"http://localhost:{self.port}{base_path}"
        self.environment = {
            **without_airflow(os.environ),
            "AIRFLOW_HOME": str(folder),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONUNBUFFERED": "1",
            **_as_environment({**self._defaults(dags_folder), **(options or {})}),
            **(environment or {}),
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._client = httpx.Client(base_url=self.base_url, timeout=30, trust_env=False)

    def _defaults(self, dags_folder: Path) -> dict[str, str]:
        return {
            "core.dags_folder": str(dags_folder),
            "core.load_examples": "False",
            "core.executor": "LocalExecutor",
            "core.parallelism": "8",
            "core.fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "core.execution_api_server_url": f"{self.base_url}/execution/",
            "core.simple_auth_manager_users": ",".join(f"{user}:{user}" for user in USERS),
            "core.test_connection": "Enabled",
            "database.sql_alchemy_conn": f"sqlite:///{self.home / 'airflow.db'}",
            "api.base_url": self.base_url,
            "api.port": str(self.port),
            "api.host": "127.0.0.1",
            "api.workers": "1",
            "api_auth.jwt_secret": secrets.token_urlsafe(32),
            "logging.base_log_folder": str(self.home / "logs"),
            "logging.worker_log_server_port": str(free_port()),
            "logging.trigger_log_server_port": str(free_port()),
            "logging.logging_level": "INFO",
            "dag_processor.refresh_interval": "5",
            "scheduler.scheduler_heartbeat_sec": "1",
            "scheduler.enable_health_check": "False",
        }

    def __enter__(self) -> AirflowStack:
        """Make the database and start every component."""
        try:
            self.migrate()
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop what was started."""
        self.stop()

    def migrate(self) -> None:
        """Make the metadata database and the users (password = name)."""
        self.home.mkdir(parents=True, exist_ok=True)
        passwords = self.home / "simple_auth_manager_passwords.json.generated"
        passwords.write_text(json.dumps(USERS))
        self.cli("db", "migrate")

    def start(self, components: Sequence[str] = COMPONENTS) -> None:
        """Start the components and wait until the API server answers."""
        for component in components:
            with (self.home / f"{component}.log").open("wb") as log:
                self._processes[component] = subprocess.Popen(
                    [sys.executable, "-m", "airflow", component],
                    env=self.environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
        if "api-server" in components:
            self._wait(self._healthy, timeout_seconds=120, what="the API server")

    @contextmanager
    def another_api_server(self) -> Iterator[str]:
        """Start a second API server on the same database; give its address."""
        port = str(free_port())
        with (self.home / "api-server-2.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "airflow", "api-server", "--port", port],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        try:
            address = f"http://localhost:{port}"
            self._wait(lambda: _answers(address), timeout_seconds=120, what="API server 2")
            yield address
        finally:
            for last in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.killpg(process.pid, last)
                    process.wait(15)

    def stop(self) -> None:
        """End every process that was started, with all its children."""
        for stop_signal, patience_seconds in ((signal.SIGTERM, 15.0), (signal.SIGKILL, 10.0)):
            for process in self._processes.values():
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, stop_signal)
            deadline = time.monotonic() + patience_seconds
            for process in self._processes.values():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.1, deadline - time.monotonic()))
        self._processes.clear()

    def cli(
        self, *arguments: str, input_text: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run ``airflow ARGUMENTS`` and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self.environment,
            input=input_text,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(f"airflow {' '.join(arguments)}: {done.stdout}\n{done.stderr}")
        return done

    def add_connection(self, conn_id: str, fields: Mapping[str, Any]) -> None:
        """
        Store a connection (fields as in ``airflow connections add --conn-json``).

        Not by that command: Airflow's audit log keeps its arguments, secrets and all.
        """
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "connections.json")
            file.write_text(json.dumps({conn_id: dict(fields)}))
            self.cli("connections", "import", str(file), "--overwrite")

    def api(
        self, method: str, path: str, *, user: str = "admin", **arguments: Any
    ) -> httpx.Response:
        """Call the REST API as a user."""
        token = self._client.post("/auth/token", json={"username": user, "password": USERS[user]})
        headers = {"Authorization": f"Bearer {token.json()['access_token']}"}
        return self._client.request(method, path, headers=headers, **arguments)

    def run_dag(
        self, dag_id: str, *, conf: Mapping[str, Any] | None = None, timeout_seconds: float = 180
    ) -> DagRun:
        """Trigger a DAG, wait for the end of the run and return how it ended."""
        run_id = self.trigger(dag_id, conf=conf)
        return self.wait_for_run(dag_id, run_id, timeout_seconds=timeout_seconds)

    def trigger(self, dag_id: str, *, conf: Mapping[str, Any] | None = None) -> str:
        """Unpause and trigger a DAG; return the run's id."""
        path = f"/api/v2/dags/{dag_id}"
        self._wait(
            lambda: self.api("GET", path).status_code == httpx.codes.OK,
            timeout_seconds=90,
            what=f"DAG {dag_id}",
        )
        self.api("PATCH", path, json={"is_paused": False}).raise_for_status()
        run_id = f"test-{secrets.token_hex(4)}"
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(conf or {})}
        self.api("POST", f"{path}/dagRuns", json=body).raise_for_status()
        return run_id

    def wait_for_run(self, dag_id: str, run_id: str, *, timeout_seconds: float = 180) -> DagRun:
        """Wait until a run is over."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"
        self._wait(
            lambda: self.api("GET", path).json()["state"] in ("success", "failed"),
            timeout_seconds=timeout_seconds,
            what=f"run {run_id} of {dag_id}",
        )
        rows = self.api("GET", f"{path}/taskInstances").json()["task_instances"]
        return DagRun(
            dag_id=dag_id,
            run_id=run_id,
            state=self.api("GET", path).json()["state"],
            tasks={row["task_id"]: row["state"] for row in rows},
            tries={row["task_id"]: row["try_number"] for row in rows},
        )

    def wait_for_task(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Wait until a task is in a state."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        self._wait(
            lambda: self.api("GET", path).json().get("state") == state,
            timeout_seconds=90,
            what=f"{state} of {task_id}",
        )

    def xcom(self, run: DagRun, task_id: str, key: str = "return_value") -> Any:
        """Return a value that a task left in XCom."""
        path = (
            f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task_id}"
            f"/xcomEntries/{key}"
        )
        return self.api("GET", path).json()["value"]

    def task_log(self, run: DagRun, task_id: str) -> str:
        """Return the log files of a task, as they stand on disk."""
        pattern = f"dag_id={run.dag_id}/run_id={run.run_id}/task_id={task_id}/**/*.log"
        files = sorted((self.home / "logs").glob(pattern))
        return "\n".join(file.read_text(errors="replace") for file in files)

    def _healthy(self) -> bool:
        for name, process in self._processes.items():
            if process.poll() is not None:
                log = (self.home / f"{name}.log").read_text(errors="replace")
                raise RuntimeError(f"airflow {name} ended: {log[-2000:]}")
        with suppress(httpx.TransportError):
            answer = self._client.get("/api/v2/monitor/health")
            return bool(answer.status_code == httpx.codes.OK)
        return False

    def _wait(self, condition: Any, *, timeout_seconds: float, what: str) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {timeout_seconds} s for {what}")
            time.sleep(_POLL_SECONDS)


def _answers(address: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{address}/api/v2/monitor/health", trust_env=False).is_success
    return False


def without_airflow(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment that says nothing to Airflow."""
    return {name: value for name, value in environment.items() if not name.startswith("AIRFLOW")}


def _as_environment(options: Mapping[str, str]) -> dict[str, str]:
    return {
        "AIRFLOW__{}__{}".format(*(part.upper() for part in name.split(".", 1))): value
        for name, value in options.items()
    }


def sign_in(
    airflow: AirflowStack, conn_id: str, consent: Callable[[str], str]
) -> subprocess.CompletedProcess[str]:
    """
    Run ``airflow imap-oauth login CONN_ID --no-browser`` as a person would.

    :param consent: Opens the address that the command prints, agrees, and returns the address that
        the browser ends at.
    """
    command = [sys.executable, "-m", "airflow", "imap-oauth", "login", conn_id, "--no-browser"]
    process = subprocess.Popen(
        command,
        env=airflow.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        printed = []
        for line in process.stdout:
            printed.append(line)
            if found := re.search(r"https://\S+", line):
                process.stdin.write(consent(found.group()) + "\n")
                process.stdin.close()
                break
        printed.append(process.stdout.read())
    return subprocess.CompletedProcess(command, process.returncode, "".join(printed), "")
