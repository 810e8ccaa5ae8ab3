# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What the child processes of a run have in common."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.servers.proxy import Proxy


def answer(work: Callable[..., dict[str, Any]]) -> None:
    """Do the work that the command line asks for; the last line of output is its result."""
    result = work(**json.loads(sys.argv[1]))
    print(json.dumps(result), flush=True)


@contextmanager
def counted(conn_id: str) -> Iterator[Proxy]:
    """Lead a connection of the environment through a proxy that counts, TLS untouched."""
    name = f"AIRFLOW_CONN_{conn_id.upper()}"
    before = os.environ[name]
    connection = json.loads(before)
    with Proxy(connection["port"]) as proxy:
        os.environ[name] = json.dumps({**connection, "port": proxy.port})
        try:
            yield proxy
        finally:
            os.environ[name] = before
