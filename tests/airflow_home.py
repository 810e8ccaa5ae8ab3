# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
An Airflow home for this test run alone.

Airflow reads its environment when it is first imported, so the root ``conftest.py`` imports this
module before anything else; whoever runs the tests keeps his own Airflow untouched.
"""

from __future__ import annotations

import atexit
import base64
import os
import secrets
import shutil
import tempfile
from pathlib import Path


def _made() -> Path:
    home = Path(tempfile.mkdtemp(prefix="airflow-imap-oauth-tests-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        del os.environ[name]
    key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    os.environ.update(
        {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__FERNET_KEY": key,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(48),
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(48),
            "AIRFLOW__IMAP_OAUTH__LOCK_FOLDER": str(home / "locks"),
            # One host: whose processes take turns by the lock folder.
            "AIRFLOW__IMAP_OAUTH__LEASE_DELAY_SECONDS": "0",
        }
    )
    return home


AIRFLOW_HOME = _made()


def make_database() -> None:
    """Make Airflow's metadata database."""
    from airflow.utils.db import initdb

    initdb()
