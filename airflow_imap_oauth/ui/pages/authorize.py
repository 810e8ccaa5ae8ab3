# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""*Authorize*: somebody signs in at the mail provider and consents, by redirect or by pasting."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import parse_qs, urlsplit

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse

from airflow_imap_oauth.admin import pending
from airflow_imap_oauth.admin.authorization import prove_own_access
from airflow_imap_oauth.exceptions import AuthorizationFlowError
from airflow_imap_oauth.hooks.mailbox import Mailbox, open_mailbox
from airflow_imap_oauth.oauth import authorization_code, discovery
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.ui import signing_in
from airflow_imap_oauth.ui.access import EditableConnection
from airflow_imap_oauth.ui.addresses import callback_problem, callback_url
from airflow_imap_oauth.ui.found import found_or_404
from airflow_imap_oauth.ui.limits import RateLimit
from airflow_imap_oauth.ui.protection import CheckedForm
from airflow_imap_oauth.ui.rendering import render

router = APIRouter()

_SIGN_INS_A_MINUTE = 10
_limit = RateLimit(_SIGN_INS_A_MINUTE)
# Nobody listens there, as the person copies the address at which the browser ends; a random port of
# these makes it unlikely that anybody else does.
_DYNAMIC_PORTS = range(49152, 65536)


@router.get("/authorize")
def ask(request: Request, user: GetUserDep, conn_id: EditableConnection) -> HTMLResponse:
    """Say what will happen, and offer the ways to sign in."""
    found = found_or_404(conn_id)
    mailbox = open_mailbox(found.for_use())
    oauth = mailbox.settings.oauth
    return render(
        request,
        "authorize.html",
        user=user,
        conn_id=conn_id,
        oauth=oauth,
        mailbox_user=mailbox.settings.imap.user,
        scopes=(*oauth.scopes, *oauth.extra_scopes),
        defined_by=found.defined_by,
        callback_url=callback_url(),
        problem=callback_problem(),
        by_device=_may_have_device_codes(oauth),
    )


@router.post("/authorize")
def begin(
    request: Request, user: GetUserDep, conn_id: EditableConnection, form: CheckedForm
) -> HTMLResponse:
    """Begin a sign-in, and send the browser to the mail provider."""
    _limit.count(user)
    found = found_or_404(conn_id)
    mailbox = open_mailbox(found.for_use())
    oauth = mailbox.settings.oauth
    if oauth.grant != "user_consent":
        if found.defined_by:
            raise HTTPException(409, f"It is defined by {found.defined_by}: nothing can be sealed.")
        prove_own_access(mailbox, owner=user.get_name())
        return render(request, "own_access.html", user=user, conn_id=conn_id, oauth=oauth)
    pasted = form.get("way") == "paste"
    redirect_uri = _loopback_uri(oauth) if pasted else _callback_uri(conn_id)
    started = _started(mailbox, redirect_uri)
    pending.keep(
        pending.SignIn(
            conn_id=conn_id,
            binding=mailbox.binding,
            login=oauth.login,
            other_account="other_account" in form,
            ends_at=started.started_at + authorization_code.LIFETIME,
            code=started,
        ),
        started.state,
        person=signing_in.person(request, user),
        sealer=mailbox.sealer,
    )
    return render(
        request,
        "paste.html" if pasted else "leaving.html",
        user=user,
        conn_id=conn_id,
        oauth=oauth,
        address=started.url,
        redirect_uri=redirect_uri,
    )


@router.get("/callback")
def callback(request: Request, user: GetUserDep) -> HTMLResponse:
    """Take the answer of the mail provider, as the browser brings it back."""
    # As a whole address: what was to come back elsewhere, to a loopback address, does not count.
    return _finished(request, user, f"{callback_url()}?{request.url.query}")


@router.post("/paste")
def paste(
    request: Request, user: GetUserDep, conn_id: EditableConnection, form: CheckedForm
) -> HTMLResponse:
    """Take the answer of the mail provider, as somebody has pasted it."""
    del conn_id
    _limit.count(user)
    return _finished(request, user, form.get("address", "").strip())


def _callback_uri(conn_id: str) -> str:
    problem = callback_problem()
    if problem:
        raise AuthorizationFlowError(
            f"The mail provider cannot send a browser back here: {problem}",
            hint="Sign in with a device code, or paste the address in the end.",
            conn_id=conn_id,
            step="sign-in",
        )
    return callback_url()


def _loopback_uri(oauth: OAuthSettings) -> str:
    return f"http://{oauth.profile.loopback_redirect_host}:{secrets.choice(_DYNAMIC_PORTS)}"


def _may_have_device_codes(oauth: OAuthSettings) -> bool:
    if oauth.endpoints.device_url is not None:
        return True
    # The metadata will tell, and are not fetched only to show a page.
    return oauth.profile.token_url is None and oauth.endpoints.issuer is not None


def _started(mailbox: Mailbox, redirect_uri: str) -> authorization_code.PendingAuthorization:
    oauth = mailbox.settings.oauth
    with Transport(oauth.transport) as transport:
        complete = discovery.complete(
            oauth, transport, "token_url", "authorize_url", wanted=("jwks_url",)
        )
    return authorization_code.start(complete, redirect_uri)


def _finished(request: Request, user: Any, answer: str) -> HTMLResponse:
    sign_in = signing_in.taken(request, user, _state(answer))
    if sign_in.code is None:
        raise HTTPException(400, "That belongs to a sign-in by device code.")
    mailbox = signing_in.unchanged(sign_in, user)
    oauth = mailbox.settings.oauth
    with Transport(oauth.transport) as transport:
        response = authorization_code.finish(oauth, sign_in.code, answer, transport)
    return signing_in.kept(request, user, sign_in, mailbox, response)


def _state(answer: str) -> str:
    """Find what names the sign-in; everything else of the answer is checked when that is found."""
    try:
        query = urlsplit(answer).query if "?" in answer else answer
        states = parse_qs(query, max_num_fields=50, errors="surrogateescape").get("state", [])
    except ValueError:
        states = []
    if len(states) != 1:
        raise AuthorizationFlowError(
            "The address does not say which sign-in it belongs to.",
            hint="Paste the whole address at which the browser ended, or start again.",
            step="sign-in",
        )
    return states[0]
