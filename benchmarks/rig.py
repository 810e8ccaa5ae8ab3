# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The servers and the mailbox of one run, and the processes that work on them."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import mailbox
from benchmarks.mailbox import MailboxFacts
from tests.hooks import connections
from tests.servers.airflow_stack import without_airflow
from tests.servers.authorization_server import AuthorizationServer
from tests.servers.certificates import CertificateAuthority
from tests.servers.dovecot import Dovecot

ROOT = Path(__file__).resolve().parent.parent
LOGIN = "bench@example.test"
LARGE_LOGIN = "large@example.test"
_CACHE = ROOT / ".cache" / "benchmarks"
_TOKEN_SECONDS = 24 * 3600
_CHILD_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """
    What is measured on.

    :param facts: What the mailbox of :data:`LOGIN` holds.
    :param large_sha256: Of the one attachment in the mailbox of :data:`LARGE_LOGIN`.
    :param folder: For whatever a measure writes; removed at the end.
    :param environment: Of the child processes: a fresh Airflow home, the connections ``ours`` and
        ``peer`` to the one mailbox, ``ours_large`` and ``peer_large`` to the other.
    """

    facts: MailboxFacts
    large_sha256: str
    folder: Path
    environment: Mapping[str, str] = field(repr=False)

    def run(self, module: str, **arguments: object) -> dict[str, Any]:
        """
        Let a fresh process do a measure's work (see :func:`benchmarks.child.answer`).

        :raises RuntimeError: If it fails.
        """
        return run_child(module, self.environment, **arguments)


def run_child(module: str, environment: Mapping[str, str], **arguments: object) -> dict[str, Any]:
    """
    Let a fresh process do a measure's work (see :func:`benchmarks.child.answer`).

    :raises RuntimeError: If it fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, json.dumps(arguments)],
        cwd=ROOT,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=_CHILD_SECONDS,
        check=False,
    )
    if done.returncode:
        told = f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        raise RuntimeError(f"{module} {arguments} ended with {done.returncode}:\n{told}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@contextmanager
def running(*, messages: int) -> Iterator[Rig]:
    """Start the servers with a mailbox of so many messages; all of it ends with the context."""
    source = _CACHE / f"mailbox-{messages}"
    facts = mailbox.generate(source, messages=messages)
    with tempfile.TemporaryDirectory(prefix="imap-oauth-bench-") as name:
        folder = Path(name)
        ca = CertificateAuthority.create(folder / "ca")
        with AuthorizationServer(ca) as authorization, Dovecot(authorization, ca) as dovecot:
            dovecot.import_maildir(LOGIN, source)
            yield Rig(
                facts=facts,
                large_sha256=_deliver_large(dovecot, folder),
                folder=folder,
                environment={
                    **airflow_environment(folder),
                    # Whom the peer trusts: it has no setting of its own for that.
                    "SSL_CERT_FILE": str(ca.ca_file),
                    **_connections(authorization, dovecot),
                },
            )


def _deliver_large(dovecot: Dovecot, folder: Path) -> str:
    source = folder / "large"
    (source / "cur").mkdir(parents=True)
    file = source / "cur" / "1735689600.M0P1.bench:2,"
    digest = mailbox.write_large_message(file)
    dovecot.import_maildir(LARGE_LOGIN, source)
    file.unlink()
    return digest


def airflow_environment(folder: Path) -> dict[str, str]:
    """Return the environment of a process with a fresh Airflow home, in a folder."""
    home = folder / "airflow"
    return {
        **without_airflow(os.environ),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        # The peer writes a line for each attachment: that is not what is measured.
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AIRFLOW__IMAP_OAUTH__TOKEN_STORE": "file",
        "AIRFLOW__IMAP_OAUTH__LOCK_FOLDER": str(home / "locks"),
    }


def _connections(authorization: AuthorizationServer, dovecot: Dovecot) -> dict[str, str]:
    """Ours gets a refresh token as a person would have it; the peer is handed an access token."""
    # Whoever starts a token's life early in a run must not see it end in the middle of it.
    authorization.access_token_lifetime_seconds = _TOKEN_SECONDS
    made: dict[str, dict[str, Any]] = {}
    for suffix, login in (("", LOGIN), ("_large", LARGE_LOGIN)):
        server = {"host": dovecot.host, "port": dovecot.port, "login": login}
        made[f"ours{suffix}"] = {
            **server,
            "conn_type": "imap_oauth",
            "password": authorization.mint_refresh_token(login),
            "extra": connections.custom(authorization),
        }
        made[f"peer{suffix}"] = {
            **server,
            "conn_type": "imap",
            "password": authorization.mint_access_token(login, lifetime_seconds=_TOKEN_SECONDS),
        }
    return {
        f"AIRFLOW_CONN_{name.upper()}": json.dumps(connection) for name, connection in made.items()
    }
