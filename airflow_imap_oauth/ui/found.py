# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The connection that a page is about."""

from __future__ import annotations

from fastapi import HTTPException

from airflow_imap_oauth.admin.mailbox import Found, find


def found_or_404(conn_id: str) -> Found:
    """
    Look a connection up.

    :raises HTTPException: 404, if there is none of this type.
    """
    found = find(conn_id)
    if found is None:
        raise HTTPException(404, "There is no connection of this id and of the type imap_oauth.")
    return found
