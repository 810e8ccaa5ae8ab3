# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Signing in by a code that is entered on any device, where no redirect can come back."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Annotated, Any

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse

from airflow_imap_oauth.admin import pending
from airflow_imap_oauth.exceptions import ImapOAuthError
from airflow_imap_oauth.hooks.mailbox import Mailbox, open_mailbox
from airflow_imap_oauth.oauth import device_authorization, discovery
from airflow_imap_oauth.oauth.clock import utc_now
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.ui import signing_in
from airflow_imap_oauth.ui.access import EditableConnection
from airflow_imap_oauth.ui.found import found_or_404
from airflow_imap_oauth.ui.limits import RateLimit
from airflow_imap_oauth.ui.protection import CheckedForm
from airflow_imap_oauth.ui.rendering import render

router = APIRouter()

#: Names a sign-in that waits; of use to one user in one browser.
Flow = Annotated[str, Query(min_length=20, max_length=100)]

_SIGN_INS_A_MINUTE = 10
_limit = RateLimit(_SIGN_INS_A_MINUTE)
#: A process that has not come back with an answer by then has died.
_LONGEST_POLL_SECONDS = 60.0


@router.post("/device")
def begin(
    request: Request, user: GetUserDep, conn_id: EditableConnection, form: CheckedForm
) -> HTMLResponse:
    """Ask for a code, and show it."""
    _limit.count(user)
    mailbox = open_mailbox(found_or_404(conn_id).for_use())
    oauth = mailbox.settings.oauth
    if oauth.grant != "user_consent":
        raise HTTPException(400, "Nobody signs in: this connection gets its tokens by itself.")
    with Transport(oauth.transport) as transport:
        complete = discovery.complete(
            oauth, transport, "token_url", wanted=("device_url", "jwks_url")
        )
        device = device_authorization.start(complete, transport)
    sign_in = pending.SignIn(
        conn_id=conn_id,
        binding=mailbox.binding,
        login=oauth.login,
        other_account="other_account" in form,
        ends_at=pending.lifetime(device.lifetime_seconds),
        device=pending.WaitingDevice(
            authorization=device,
            endpoints=complete.endpoints,
            next_poll_at=pending.lifetime(device.interval_seconds),
        ),
    )
    flow = secrets.token_urlsafe(32)
    pending.keep(sign_in, flow, person=signing_in.person(request, user), sealer=mailbox.sealer)
    return _waiting(request, user, sign_in, flow)


@router.get("/device")
def look(request: Request, user: GetUserDep, flow: Flow) -> HTMLResponse:
    """See whether the code was entered; the page asks this of itself again and again."""
    sign_in = signing_in.looked_at(request, user, flow)
    mailbox = signing_in.unchanged(sign_in, user)
    device = sign_in.device
    if device is None:
        raise HTTPException(400, "That belongs to another way to sign in.")
    person = signing_in.person(request, user)

    def put(before: pending.SignIn, after: pending.WaitingDevice) -> pending.SignIn | None:
        changed = replace(before, device=after)
        same = pending.replace_if_same(before, changed, flow, person=person, sealer=mailbox.sealer)
        return changed if same else None

    mine = None
    if utc_now() >= device.next_poll_at:
        # However many look at once, one of them asks the server.
        busy = max(device.authorization.interval_seconds, _LONGEST_POLL_SECONDS)
        mine = put(sign_in, replace(device, next_poll_at=pending.lifetime(busy)))
    if mine is None:
        return _waiting(request, user, sign_in, flow)
    outcome = _polled(mailbox, device, flow)
    if isinstance(outcome, TokenResponse):
        signing_in.taken(request, user, flow)
        return signing_in.kept(request, user, sign_in, mailbox, outcome)
    waiting = replace(device.authorization, interval_seconds=outcome)
    later = replace(device, authorization=waiting, next_poll_at=pending.lifetime(outcome))
    return _waiting(request, user, put(mine, later) or sign_in, flow)


def _polled(mailbox: Mailbox, device: pending.WaitingDevice, flow: str) -> TokenResponse | float:
    """Ask the server that the sign-in was begun with, wherever its endpoints are by now."""
    oauth = replace(mailbox.settings.oauth, endpoints=device.endpoints)
    try:
        with Transport(oauth.transport) as transport:
            return device_authorization.poll(oauth, device.authorization, transport)
    except ImapOAuthError:
        # It was refused, or came too late: no later question mends that.
        pending.drop(flow)
        raise


def _waiting(request: Request, user: Any, sign_in: pending.SignIn, flow: str) -> HTMLResponse:
    device = sign_in.device and sign_in.device.authorization
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
