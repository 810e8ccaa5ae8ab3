# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""*Mailboxes*: every connection the user may see, as a page and as JSON."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse

from airflow_imap_oauth.admin.mailboxes import STATES, Listing, MailboxRow, list_mailboxes
from airflow_imap_oauth.tokens.manager import utc_now
from airflow_imap_oauth.ui.access import may_read_connections
from airflow_imap_oauth.ui.rendering import render

router = APIRouter(dependencies=[may_read_connections])

#: Part of an id, an account or a mail provider's name.
Text = Annotated[str, Query(alias="q", max_length=250)]
#: One of :data:`STATES`, or empty: all.
StateName = Annotated[str, Query(alias="state", max_length=30)]


def _readable(user: Any, session: Any) -> Listing:
    readable = get_auth_manager().get_authorized_connections(
        user=user, method="GET", session=session
    )
    return list_mailboxes(session, readable)


def _filtered(listing: Listing, text: str, state: str) -> Listing:
    if state and state not in STATES:
        raise HTTPException(422, f"There is no such state. Choose: {', '.join(STATES)}.")
    rows = (row for row in listing.rows if row.is_found_by(text))
    return replace(listing, rows=tuple(row for row in rows if state in ("", row.state)))


@router.get("/")
def mailboxes(
    request: Request, user: GetUserDep, session: SessionDep, text: Text = "", state: StateName = ""
) -> HTMLResponse:
    """Show the page."""
    listing = _readable(user, session)
    return render(
        request,
        "mailboxes.html",
        user=user,
        listing=_filtered(listing, text, state),
        total=len(listing.rows),
        states=STATES,
        text=text,
        state=state,
    )


@router.get("/mailboxes.json")
def mailboxes_json(
    user: GetUserDep, session: SessionDep, text: Text = "", state: StateName = ""
) -> dict[str, Any]:
    """
    Return the same for monitoring, by the keys of ``airflow imap-oauth status``.

    They are described in ``docs/mailboxes_json.md``. Where the states cannot be told, it is no
    error either: ``problem`` says why.
    """
    listing = _readable(user, session)
    return {
        "generated_at": utc_now(),
        "problem": listing.problem or None,
        "total": len(listing.rows),
        "mailboxes": [_as_json(row) for row in _filtered(listing, text, state).rows],
    }


def _as_json(row: MailboxRow) -> dict[str, Any]:
    failure = row.last_error
    return {
        "conn_id": row.conn_id,
        "mail_provider": row.mail_provider or None,
        "account": row.login or None,
        "mailbox": row.user or None,
        "grant": row.grant or None,
        "state": row.state,
        "since_at": row.since_at,
        "access_token_expires_at": row.access_token_expires_at,
        "refresh_token_since_at": row.refresh_token_since_at,
        "last_refresh_at": row.last_refresh_at,
        "credential_expires_on": row.credential_expires_on,
        "last_error": failure.text if failure else None,
        "last_error_hint": failure.hint.replace("CONN_ID", row.conn_id) if failure else None,
        "last_error_at": failure.at if failure else None,
        "note": row.note or None,
    }
