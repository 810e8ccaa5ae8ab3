# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What importing the layer costs, and what it must not need."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = ("airflow", "msal", "google.auth", "requests", "httpx", "fastapi", "imapclient", "jwt")

_LOADED = """
import json, sys
sys.modules["airflow"] = None
import {module}
print(json.dumps([name for name in {heavy!r} if sys.modules.get(name)]))
"""


def loaded_by(module: str) -> list[str]:
    """Return which heavy packages a fresh interpreter without Airflow loads with a module."""
    code = _LOADED.format(module=module, heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    loaded: list[str] = json.loads(done.stdout)
    return loaded


def test_package_loads_nothing_heavy() -> None:
    """The layer, its profiles and its settings load no client library."""
    assert loaded_by("airflow_imap_oauth.oauth") == []
    assert loaded_by("airflow_imap_oauth.oauth.profiles") == []
    assert loaded_by("airflow_imap_oauth.oauth.settings") == []


def test_engines_load_when_they_are_used() -> None:
    """Neither MSAL nor google-auth is loaded before a refresh needs it."""
    assert loaded_by("airflow_imap_oauth.oauth.engines") == []


def test_transport_and_sign_in_need_httpx_alone() -> None:
    """The sign-in is ours and needs no token library, nor Airflow."""
    assert loaded_by("airflow_imap_oauth.oauth.authorization_code") == ["httpx"]


def test_engines_need_no_airflow() -> None:
    """Each engine loads its own library where Airflow cannot be imported."""
    assert "msal" in loaded_by("airflow_imap_oauth.oauth.engines.msal")
    assert "google.auth" in loaded_by("airflow_imap_oauth.oauth.engines.google")
