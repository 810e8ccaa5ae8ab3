# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What all ways to sign in share: whose it is, that nothing changed, what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import HTTPException
from fastapi.responses import HTMLResponse

from airflow_imap_oauth.admin import authorization, pending
from airflow_imap_oauth.exceptions import AuthorizationFlowError
from airflow_imap_oauth.hooks.config import read_options
from airflow_imap_oauth.hooks.keys import sealer as configured_sealer
from airflow_imap_oauth.hooks.mailbox import Mailbox, open_mailbox
from airflow_imap_oauth.oauth.expiry import expiry_warning
from airflow_imap_oauth.oauth.scopes import surplus_warning
from airflow_imap_oauth.tokens.manager import utc_now
from airflow_imap_oauth.ui.access import may_edit
from airflow_imap_oauth.ui.found import found_or_404
from airflow_imap_oauth.ui.protection import browser_of
from airflow_imap_oauth.ui.rendering import render

if TYPE_CHECKING:
    from fastapi import Request

    from airflow_imap_oauth.oauth.responses import TokenResponse


def person(request: Request, user: Any) -> pending.Person:
    """Return who sits at the browser."""
    return pending.Person(user=str(user.get_id()), browser=browser_of(request))


def taken(request: Request, user: Any, secret: str) -> pending.SignIn:
    """
    Take the sign-in that the browser came back from.

    :raises AuthorizationFlowError: If there is none for this user in this browser. Start again.
    """
    sealer = configured_sealer(read_options())
    return pending.take(secret, person=person(request, user), sealer=sealer)


def looked_at(request: Request, user: Any, secret: str) -> pending.SignIn:
    """
    Return the sign-in that the browser waits for.

    :raises AuthorizationFlowError: If there is none for this user in this browser. Start again.
    """
    sealer = configured_sealer(read_options())
    return pending.look(secret, person=person(request, user), sealer=sealer)


def unchanged(sign_in: pending.SignIn, user: Any) -> Mailbox:
    """
    Open the connection, if the user may still change it and it is what the sign-in was begun for.

    :raises HTTPException: 403 or 404, if he may not, or if it is gone.
    :raises AuthorizationFlowError: If it was changed meanwhile. Nothing was sent anywhere.
    """
    if not may_edit(user, sign_in.conn_id):
        raise HTTPException(403, "You may no longer change this connection. Nothing was saved.")
    mailbox = open_mailbox(found_or_404(sign_in.conn_id).for_use())
    now = (dict(mailbox.binding), mailbox.settings.oauth.login)
    if now != (dict(sign_in.binding), sign_in.login):
        raise AuthorizationFlowError(
            "The connection was changed while you signed in, so nothing was saved.",
            hint="Look at it, then start again.",
            conn_id=sign_in.conn_id,
            step="sign-in",
        )
    return mailbox


def kept(
    request: Request,
    user: Any,
    sign_in: pending.SignIn,
    mailbox: Mailbox,
    response: TokenResponse,
) -> HTMLResponse:
    """Keep what the sign-in brought, and say what was granted to whom."""
    if not sign_in.other_account:
        remedy = "start again and allow another account."
        authorization.refuse_another_account(mailbox, response, remedy=remedy)
    oauth = mailbox.settings.oauth
    sealed = failure = None
    if found_or_404(sign_in.conn_id).defined_by:
        sealed = authorization.sealed_token(mailbox, response)
    else:
        failure = authorization.keep(mailbox, response, owner=user.get_name()).store_failure
    warnings = (
        authorization.other_name_warning(mailbox, response),
        surplus_warning(oauth, response.scopes),
        expiry_warning(oauth, utc_now().date()),
        failure and f"The token store does not work yet; tasks will need it. {failure.advice}",
    )
    return render(
        request,
        "authorized.html",
        user=user,
        conn_id=sign_in.conn_id,
        oauth=oauth,
        account=response.account.shown if response.account else None,
        granted=response.scopes or (),
        sealed=sealed,
        warnings=[warning for warning in warnings if warning],
    )
