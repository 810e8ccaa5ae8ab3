# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""*Revoke* takes access back at the mail provider, too; *Forget* only deletes the tokens here."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from airflow_imap_oauth.admin.revocation import revoke as take_back
from airflow_imap_oauth.hooks.mailbox import open_mailbox
from airflow_imap_oauth.ui.access import EditableConnection
from airflow_imap_oauth.ui.found import found_or_404
from airflow_imap_oauth.ui.limits import RateLimit
from airflow_imap_oauth.ui.protection import CheckedForm
from airflow_imap_oauth.ui.rendering import render

router = APIRouter()

_REVOCATIONS_A_MINUTE = 10
_limit = RateLimit(_REVOCATIONS_A_MINUTE)


@router.get("/revoke")
def ask_to_revoke(request: Request, user: GetUserDep, conn_id: EditableConnection) -> HTMLResponse:
    """Say what will happen, and ask."""
    return _ask(request, user, conn_id, "/revoke")


@router.get("/forget")
def ask_to_forget(request: Request, user: GetUserDep, conn_id: EditableConnection) -> HTMLResponse:
    """Say what will happen, and ask."""
    return _ask(request, user, conn_id, "/forget")


@router.post("/revoke")
def revoke(
    request: Request, user: GetUserDep, conn_id: EditableConnection, form: CheckedForm
) -> HTMLResponse:
    """Do it, and say what is left to do."""
    del form
    return _do(request, user, conn_id, "/revoke")


@router.post("/forget")
def forget(
    request: Request, user: GetUserDep, conn_id: EditableConnection, form: CheckedForm
) -> HTMLResponse:
    """Do it, and say what is left to do."""
    del form
    return _do(request, user, conn_id, "/forget")


def _ask(request: Request, user: Any, conn_id: str, action: str) -> HTMLResponse:
    found = found_or_404(conn_id)
    if found.defined_by:
        return _cannot(request, user, conn_id, found.defined_by, status_code=200)
    oauth = open_mailbox(found.for_use()).settings.oauth
    return render(
        request, "revocation.html", user=user, conn_id=conn_id, action=action, oauth=oauth
    )


def _do(request: Request, user: Any, conn_id: str, action: str) -> HTMLResponse:
    _limit.count(user)
    found = found_or_404(conn_id)
    if found.defined_by:
        return _cannot(request, user, conn_id, found.defined_by, status_code=409)
    mailbox = open_mailbox(found.for_use())
    done = take_back(mailbox, at_mail_provider=action == "/revoke", owner=user.get_name())
    return render(
        request,
        "revoked.html",
        user=user,
        conn_id=conn_id,
        action=action,
        done=done,
        oauth=mailbox.settings.oauth,
    )


def _cannot(
    request: Request, user: Any, conn_id: str, defined_by: str, *, status_code: int
) -> HTMLResponse:
    return render(
        request,
        "unwritable.html",
        user=user,
        status_code=status_code,
        conn_id=conn_id,
        defined_by=defined_by,
    )
