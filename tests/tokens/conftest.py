# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the token tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.tokens.support import Rig

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer
    from tests.tokens.world import World


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the long series of seeds, unless the command line names the marker."""
    if "soak" in config.getoption("markexpr"):
        return
    left_out = [item for item in items if item.get_closest_marker("soak")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Give a connection with a store in memory, a clock and a strict grant."""
    return Rig(tmp_path)


@pytest.fixture
def world(authorization_server: AuthorizationServer, tmp_path: Path) -> World:
    """Give a maker of hosts at the real authorization server."""
    from tests.tokens.world import World

    return World(authorization_server, tmp_path)
