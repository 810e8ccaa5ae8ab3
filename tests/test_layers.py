# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What holds for every file: the core needs no Airflow and loads nothing early; the house rules."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ("exceptions", "oauth", "tokens", "imap", "etl")
#: Client libraries that take long to load, or that only one seam may know.
HEAVY = (
    *("msal", "google.auth", "imapclient", "httpx", "requests", "cryptography", "filelock"),
    *("python_socks", "jwt", "sqlalchemy"),
)
#: What some modules need themselves, and what they load only for a connection that needs it.
ONLY_WHERE_NEEDED = {
    "oauth.http": ("python_socks", "jwt", "msal", "google.auth", "requests", "sqlalchemy"),
    "oauth.client_authentication": ("jwt", "cryptography"),
    "imap.connect": ("python_socks", "httpx", "jwt", "sqlalchemy"),
    "tokens.manager": ("httpx", "python_socks", "jwt", "sqlalchemy"),
}
FOLDERS = ("airflow_imap_oauth", "benchmarks", "demo", "example_dags", "tests")
SPDX = (
    "# SPDX-FileCopyrightText: The airflow-imap-oauth authors",
    "# SPDX-License-Identifier: Apache-2.0",
)
MAX_LINES = 350
MAX_TEST_LINES = 450  # tables are long, and are read one row at a time

_HEAVY_AFTER = """
import importlib, json, sys
sys.modules["airflow"] = None
importlib.import_module({name!r})
print(json.dumps([name for name in {heavy!r} if name in sys.modules]))
"""
_ALL_MODULES = """
import importlib, json, pkgutil, sys
sys.modules["airflow"] = None
failed = {{}}
count = 0
for name in {core!r}:
    found = importlib.import_module("airflow_imap_oauth." + name)
    for module in pkgutil.walk_packages(getattr(found, "__path__", ()), found.__name__ + "."):
        count += 1
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            failed[module.name] = str(error)
loaded = [name for name in sys.modules if name.partition(".")[0] == "airflow"]
print(json.dumps({{"failed": failed, "count": count, "airflow": loaded}}))
"""


def _run(program: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=ROOT,
    )
    return json.loads(done.stdout)


@cache
def _sources() -> tuple[Path, ...]:
    return tuple(
        sorted(
            file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py") if _is_ours(file)
        )
    )


def _is_ours(file: Path) -> bool:
    return not {"node_modules", "build", ".venv"} & set(file.parts)


@pytest.mark.parametrize("name", CORE)
def test_a_core_package_loads_nothing_heavy(name: str) -> None:
    """Importing a package of the core, without Airflow, loads no client library."""
    program = _HEAVY_AFTER.format(name=f"airflow_imap_oauth.{name}", heavy=HEAVY)
    assert _run(program) == []


@pytest.mark.parametrize("name", ONLY_WHERE_NEEDED)
def test_rare_needs_load_nothing_early(name: str) -> None:
    """Proxies, signed assertions and databases cost those connections that have them, no others."""
    heavy = ONLY_WHERE_NEEDED[name]
    assert _run(_HEAVY_AFTER.format(name=f"airflow_imap_oauth.{name}", heavy=heavy)) == []


def test_the_core_needs_no_airflow() -> None:
    """Every module of the core imports where Airflow cannot be imported."""
    found = _run(_ALL_MODULES.format(core=CORE))
    assert found["failed"] == {}
    assert found["airflow"] == ["airflow"]  # what blocks it
    assert found["count"] > 50


def test_every_file_names_its_licence() -> None:
    """Each Python file begins with the two SPDX lines, then says what it is for."""
    assert len(_sources()) > 150
    odd = []
    for file in _sources():
        lines = file.read_text(encoding="utf-8").splitlines()
        if tuple(lines[:2]) != SPDX or not lines[2].startswith(('"""', 'r"""')):
            odd.append(str(file.relative_to(ROOT)))
    assert odd == []


def test_no_file_is_long() -> None:
    """A module that outgrows its bound is cut in two; a module of tests may be a little longer."""
    lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in _sources()}
    too_long = {
        str(file.relative_to(ROOT)): length
        for file, length in lengths.items()
        if length > (MAX_TEST_LINES if file.name.startswith("test_") else MAX_LINES)
    }
    assert too_long == {}
