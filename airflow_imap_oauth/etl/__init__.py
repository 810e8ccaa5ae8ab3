# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Mailbox to object storage, exactly once: plan, ledger and sinks.

::

    destination = open_destination(ObjectStoragePath("s3://aws_default@bucket/mail"))
    with hook.session() as session:
        result = fetch(session, destination, FetchOptions(), account=hook.account, run_id="one")
"""

from __future__ import annotations

from airflow_imap_oauth.etl.fetching import (
    FetchOptions,
    RunResult,
    fetch,
    read_position,
)
from airflow_imap_oauth.etl.landing import Choice
from airflow_imap_oauth.etl.paths import Destination, DestinationPath, open_destination
from airflow_imap_oauth.etl.position import Position

__all__ = [
    "Choice",
    "Destination",
    "DestinationPath",
    "FetchOptions",
    "Position",
    "RunResult",
    "fetch",
    "open_destination",
    "read_position",
]
