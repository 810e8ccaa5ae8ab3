# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
A PostgreSQL of one's own: own folder, ephemeral port on loopback, started and stopped.

Use::

    with PostgreSQL() as server:
        SqlTokenStore(server.url(server.create_database()))
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_ATTEMPTS = 5
_USER = "tests"
#: Nothing has to survive a power failure: what these cost is most of the time of a test.
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "16MB",
    "max_connections": "100",
}


def postgresql_available() -> bool:
    """Whether a PostgreSQL server is installed."""
    return _binaries() is not None


def _binaries() -> Path | None:
    # Debian keeps them beside the PATH, a folder for each version.
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = sorted(versions, key=lambda file: float(file.parents[1].name), reverse=True)
    found = shutil.which("initdb")
    return next((file.parent for file in [*newest, *([Path(found)] if found else [])]), None)


class PostgreSQL:
    """
    One PostgreSQL, whose folder is removed at the end.

    It refuses to be run by root, so then it runs as the user ``postgres`` or ``nobody``.
    """

    host = "127.0.0.1"

    def __init__(self) -> None:
        self.port = 0
        self.password = secrets.token_urlsafe(24)
        self._folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        self._owner = _ordinary_user()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> PostgreSQL:
        """Start it and wait until it answers."""
        try:
            self._lay_out()
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it and remove its folder."""
        self.stop()

    def stop(self) -> None:
        """End it, and with it the processes that it started; remove its folder."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)  # at once: nobody needs the data
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
            self._process.kill()
            self._process.wait()
            self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)

    # --- Databases ------------------------------------------------------------------------------

    def create_database(self) -> str:
        """Make an empty database and return its name."""
        name = f"tests_{secrets.token_hex(5)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def url(
        self,
        database: str,
        *,
        user: str = _USER,
        password: str | None = None,
        port: int | None = None,
    ) -> str:
        """Return the URL of a database for SQLAlchemy, as a superuser unless said otherwise."""
        login = f"{user}:{password or self.password}"
        return f"postgresql+pg8000://{login}@{self.host}:{port or self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run one statement, outside of any transaction."""
        with self.connect(database) as connection:
            connection.run(statement)

    def connect(self, database: str) -> Any:
        """Return a connection as a superuser."""
        from pg8000.native import Connection

        return Connection(
            _USER, host=self.host, port=self.port, database=database, password=self.password
        )

    # --- Life -----------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        password_file = self._folder / "password"
        password_file.write_text(self.password)
        if self._owner is not None:
            for path in (self._folder, password_file):
                os.chown(path, self._owner.pw_uid, self._owner.pw_gid)
        done = subprocess.run(
            [
                *self._command("initdb", "--no-sync", "--no-locale", "--encoding=UTF8"),
                *(f"--username={_USER}", "--auth=scram-sha-256", f"--pwfile={password_file}"),
            ],
            capture_output=True,
            text=True,
            timeout=_START_SECONDS,
            check=False,
            cwd="/",
        )
        if done.returncode:
            raise RuntimeError(f"initdb: {done.stderr}")

    def _start(self) -> None:
        # A port that was free may be taken by the time it is bound: take another one then.
        if not any(self._start_once() for _ in range(_ATTEMPTS)):
            raise RuntimeError(f"PostgreSQL does not start: {self._log_text()[-2000:]}")

    def _start_once(self) -> bool:
        self.port = _free_port()
        options = {**_OPTIONS, "port": str(self.port)}
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self._command("postgres"),
                    *(
                        part
                        for name, value in options.items()
                        for part in ("-c", f"{name}={value}")
                    ),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._is_ready():
                return True
            time.sleep(0.02)
        self._process.kill()
        self._process.wait()
        return False

    def _is_ready(self) -> bool:
        # It says so in the last line of this file, which its own tools wait for as well.
        with suppress(OSError):
            lines = (self._folder / "data" / "postmaster.pid").read_text().splitlines()
            return bool(lines) and lines[-1].strip() == "ready"
        return False

    def _command(self, name: str, *arguments: str) -> list[str]:
        binaries = _binaries()
        if binaries is None:
            raise FileNotFoundError("PostgreSQL is not installed")
        prefix: list[str] = []
        if self._owner is not None:
            prefix = ["setpriv", f"--reuid={self._owner.pw_uid}", f"--regid={self._owner.pw_gid}"]
            prefix.append("--clear-groups")
        return [*prefix, str(binaries / name), "-D", str(self._folder / "data"), *arguments]

    def _log_text(self) -> str:
        log = self._folder / "log"
        return log.read_text(errors="replace") if log.exists() else ""


def _ordinary_user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
