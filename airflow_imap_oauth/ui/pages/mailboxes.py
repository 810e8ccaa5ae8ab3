# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""*Mailboxes*: every connection the user may see, as a page and as JSON."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from airflow_imap_oauth.admin.mailboxes import Listing, list_mailboxes
from airflow_imap_oauth.ui.access import may_read_connections
from airflow_imap_oauth.ui.rendering import render

router = APIRouter(dependencies=[may_read_connections])


def _readable(user: Any, session: Any) -> Listing:
    readable = get_auth_manager().get_authorized_connections(
        user=user, method="GET", session=session
    )
    return list_mailboxes(session, readable)


@router.get("/")
def mailboxes(request: Request, user: GetUserDep, session: SessionDep) -> HTMLResponse:
    """Show the page."""
    return render(request, "mailboxes.html", user=user, listing=_readable(user, session))
