# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""*Mailbox*: one connection in full, and what may be done with it."""

from __future__ import annotations

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from airflow_imap_oauth.admin.mailbox import details
from airflow_imap_oauth.ui.access import ReadableConnection, may_edit
from airflow_imap_oauth.ui.found import found_or_404
from airflow_imap_oauth.ui.rendering import render

router = APIRouter()


@router.get("/mailbox")
def mailbox(request: Request, user: GetUserDep, conn_id: ReadableConnection) -> HTMLResponse:
    """Show the page."""
    return render(
        request,
        "mailbox.html",
        user=user,
        details=details(found_or_404(conn_id)),
        may_edit=may_edit(user, conn_id),
    )
