# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""*Check*: try a connection step by step, as a task would use it."""

from __future__ import annotations

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from airflow_imap_oauth.hooks.check import check
from airflow_imap_oauth.ui.access import EditableConnection
from airflow_imap_oauth.ui.found import found_or_404
from airflow_imap_oauth.ui.limits import RateLimit
from airflow_imap_oauth.ui.protection import CheckedForm
from airflow_imap_oauth.ui.rendering import render

router = APIRouter()

_CHECKS_A_MINUTE = 10
_limit = RateLimit(_CHECKS_A_MINUTE)


@router.get("/check")
def ask(request: Request, user: GetUserDep, conn_id: EditableConnection) -> HTMLResponse:
    """Show the form."""
    found_or_404(conn_id)
    return render(request, "check.html", user=user, conn_id=conn_id, steps=())


# Who may look at a connection may not check it: a check may renew its tokens.
@router.post("/check")
def run(
    request: Request, user: GetUserDep, conn_id: EditableConnection, form: CheckedForm
) -> HTMLResponse:
    """Check, within the connection's time limits, and show every step."""
    del form
    _limit.count(user)
    steps = tuple(check(found_or_404(conn_id).for_use()))
    return render(request, "check.html", user=user, conn_id=conn_id, steps=steps)
