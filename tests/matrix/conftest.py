# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures: one oidc-provider for all of these tests, which run only where asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.matrix.clients import registrations
from tests.servers.oidc_provider import OidcProvider

if TYPE_CHECKING:
    from tests.servers.certificates import CertificateAuthority


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what needs Node.js, unless the command line names the marker."""
    if "matrix" in config.getoption("markexpr"):
        return
    left_out = [item for item in items if item.get_closest_marker("matrix")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def oidc_provider(ca: CertificateAuthority) -> Iterator[OidcProvider]:
    """Give the server; it keeps what it knows, so every test signs in anew."""
    with OidcProvider(ca, registrations()) as server:
        yield server
