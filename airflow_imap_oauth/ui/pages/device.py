# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Signing in by a code that is entered on any device, where no redirect can come back."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Literal

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse

from airflow_imap_oauth.admin import pending
from airflow_imap_oauth.hooks.mailbox import open_mailbox
from airflow_imap_oauth.oauth import device_authorization, discovery
from airflow_imap_oauth.oauth.clock import utc_now
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.ui import signing_in
from airflow_imap_oauth.ui.access import EditableConnection, may_edit
from airflow_imap_oauth.ui.found import found_or_404
from airflow_imap_oauth.ui.limits import RateLimit
from airflow_imap_oauth.ui.protection import CheckedForm
from airflow_imap_oauth.ui.rendering import render

router = APIRouter()

_SIGN_INS_A_MINUTE = 10
_limit = RateLimit(_SIGN_INS_A_MINUTE)
_WANTED: tuple[Literal["device_url", "jwks_url"], ...] = ("device_url", "jwks_url")
Flow = Annotated[str, Query(min_length=20, max_length=100)]


@router.post("/device")
def begin(
    request: Request, user: GetUserDep, conn_id: EditableConnection, form: CheckedForm
) -> HTMLResponse:
    """Ask for a code, and show it."""
    _limit.count(user)
    mailbox = open_mailbox(found_or_404(conn_id).for_use())
    oauth = mailbox.settings.oauth
    with Transport(oauth.transport) as transport:
        complete = discovery.complete(oauth, transport, "token_url", wanted=_WANTED)
        device = device_authorization.start(complete, transport)
    sign_in = pending.SignIn(
        conn_id=conn_id,
        binding=mailbox.binding,
        other_account="other_account" in form,
        ends_at=pending.lifetime(device.lifetime_seconds),
        device=device,
        next_poll_at=pending.lifetime(device.interval_seconds),
    )
    flow = secrets.token_urlsafe(32)
    pending.keep(sign_in, flow, person=signing_in.person(request, user), sealer=mailbox.sealer)
    return _waiting(request, user, sign_in, flow)


@router.get("/device")
def look(request: Request, user: GetUserDep, flow: Flow) -> HTMLResponse:
    """See whether the code was entered; the page asks this of itself again and again."""
    sign_in = signing_in.taken(request, user, flow)
    if sign_in.device is None:
        raise HTTPException(400, "That belongs to another way to sign in.")
    if not may_edit(user, sign_in.conn_id):
        raise HTTPException(403, "You may no longer change this connection.")
    mailbox = signing_in.unchanged(sign_in)
    oauth = mailbox.settings.oauth
    if sign_in.next_poll_at is None or utc_now() >= sign_in.next_poll_at:
        with Transport(oauth.transport) as transport:
            complete = discovery.complete(oauth, transport, "token_url", wanted=_WANTED)
            outcome = device_authorization.poll(complete, sign_in.device, transport)
        if isinstance(outcome, TokenResponse):
            return signing_in.kept(request, user, sign_in, mailbox, outcome)
        sign_in = replace(
            sign_in,
            device=replace(sign_in.device, interval_seconds=outcome),
            next_poll_at=utc_now() + timedelta(seconds=outcome),
        )
    pending.keep(sign_in, flow, person=signing_in.person(request, user), sealer=mailbox.sealer)
    return _waiting(request, user, sign_in, flow)


def _waiting(request: Request, user: Any, sign_in: pending.SignIn, flow: str) -> HTMLResponse:
    device = sign_in.device
    return render(
        request,
        "device.html",
        user=user,
        conn_id=sign_in.conn_id,
        device=device,
        flow=flow,
        # One second more than the server wants: then it surely is time.
        wait_seconds=int(device.interval_seconds if device else 0) + 1,
        ends_at=sign_in.ends_at,
    )
