# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What importing the token layer costs."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import importlib, pkgutil, sys
sys.modules["airflow"] = None
import airflow_imap_oauth.tokens as package
for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
print(*sorted({"airflow.sdk", "httpx", "filelock", "msal", "google.auth"} & set(sys.modules)))
"""


def test_the_layer_needs_no_airflow_and_loads_nothing_heavy() -> None:
    """The whole layer imports without Airflow, and loads no HTTP client and no lock library."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == ""
