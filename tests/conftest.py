# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Fixtures: one authorization server and one of each mail server for all tests, an account per test.

Tests that need Dovecot, PostgreSQL or Chromium carry its marker. Where it is not installed they are
deselected, and named at the end of the run.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests import airflow_home
from tests.servers.dovecot import Dovecot, dovecot_available
from tests.servers.postgresql import PostgreSQL, postgresql_available

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer
    from tests.servers.certificates import CertificateAuthority
    from tests.servers.embedded_imap import EmbeddedImapServer
    from tests.servers.mail_server import MailServer

#: Markers, with what they need and whether it is here.
_NEEDS: dict[str, tuple[str, Callable[[], bool]]] = {
    "dovecot": ("dovecot-imapd", dovecot_available),
    "postgresql": ("postgresql", postgresql_available),
    "chromium": ("chromium", lambda: shutil.which("chromium") is not None),
}
_cannot_run = pytest.StashKey[dict[str, list[str]]]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what cannot run here; what uses the fixture of a server is marked for it."""
    for item in items:
        for name in {"dovecot", "postgresql"}.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(name)
    missing = [marker for marker, (_, is_here) in _NEEDS.items() if not is_here()]
    left_out: dict[str, list[str]] = {}
    for item in list(items):
        marker = next((name for name in missing if item.get_closest_marker(name)), None)
        if marker is not None:
            items.remove(item)
            config.hook.pytest_deselected(items=[item])
            left_out.setdefault(marker, []).append(item.nodeid)
    config.stash[_cannot_run] = left_out


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Name the tests that could not run on this machine."""
    for marker, names in config.stash.get(_cannot_run, {}).items():
        package, _ = _NEEDS[marker]
        terminalreporter.section(f"not run: {package} is not installed")
        for name in names:
            terminalreporter.write_line(name)
        terminalreporter.write_line(f"{len(names)} tests need the Debian package {package}")


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """Give the test authority; no server certificate of the tests is trusted without its file."""
    from tests.servers.certificates import CertificateAuthority

    return CertificateAuthority.create(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def authorization_server(ca: CertificateAuthority) -> Iterator[AuthorizationServer]:
    """Give the authorization server; counters, faults and switches are fresh in every test."""
    from tests.servers.authorization_server import AuthorizationServer

    with AuthorizationServer(ca) as server:
        yield server


@pytest.fixture(scope="session")
def dovecot(
    authorization_server: AuthorizationServer, ca: CertificateAuthority
) -> Iterator[Dovecot]:
    """Give a Dovecot whose accounts sign in with tokens of ``authorization_server``."""
    with Dovecot(authorization_server, ca) as server:
        yield server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """Give a PostgreSQL; a test makes a database of its own."""
    with PostgreSQL() as server:
        yield server


@pytest.fixture(scope="session")
def embedded_imap(
    authorization_server: AuthorizationServer, ca: CertificateAuthority
) -> Iterator[EmbeddedImapServer]:
    """Give the embedded mail server; records, faults and switches are fresh in every test."""
    from tests.servers.embedded_imap import EmbeddedImapServer, introspection

    with EmbeddedImapServer(introspection(authorization_server), ca) as server:
        yield server


@pytest.fixture(params=[pytest.param("dovecot", marks=pytest.mark.dovecot), "embedded_imap"])
def mail_server(request: pytest.FixtureRequest) -> MailServer:
    """Give each mail server in turn; both look tokens up at ``authorization_server``."""
    server: MailServer = request.getfixturevalue(request.param)
    if request.param == "embedded_imap":
        request.getfixturevalue(request.param).reset()
    return server


@pytest.fixture(autouse=True)
def _fresh_servers(request: pytest.FixtureRequest) -> None:
    """Set the shared servers back before a test that uses them."""
    for name in ("authorization_server", "embedded_imap"):
        if name in request.fixturenames:
            request.getfixturevalue(name).reset()


@pytest.fixture
def imap_login() -> Callable[[], str]:
    """Give a function that returns a new account's name at every call."""
    return lambda: f"user-{secrets.token_hex(5)}@example.test"


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Make the metadata database of this test run's own Airflow."""
    airflow_home.make_database()
