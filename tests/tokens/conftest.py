# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the token tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tokens.support import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Give a connection with a store in memory, a clock and a strict grant."""
    return Rig(tmp_path)
