# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Protection of changes against other sites (CSRF), which Airflow itself leaves to SameSite cookies.

Every form carries a sealed token for one user, one browser, one action and one connection. The
browser is known by a cookie of its own, which also ties an authorization to the browser that began
it.
"""

from __future__ import annotations

import secrets
import time
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Depends, HTTPException, Request
from fastapi.responses import Response

from airflow_imap_oauth.exceptions import ImapOAuthError
from airflow_imap_oauth.hooks.config import read_options
from airflow_imap_oauth.hooks.keys import sealer as configured_sealer
from airflow_imap_oauth.ui.addresses import base_path, base_url

BROWSER_COOKIE = "imap_oauth_browser"
TOKEN_FIELD = "form_token"  # noqa: S105  # the name of a field
#: How long a form may stay open.
_LIFETIME_SECONDS = 12 * 3600
_PURPOSE = "form of a page"
_MAX_BODY_BYTES = 64 * 1024


def browser_of(request: Request) -> str:
    """Return what tells this browser from others; made, and set by :func:`remember`, if need be."""
    known = request.cookies.get(BROWSER_COOKIE)
    if known and 20 <= len(known) <= 100 and known.isascii():  # noqa: PLR2004  # as made below
        return known
    made = getattr(request.state, "imap_oauth_browser", None) or secrets.token_urlsafe(32)
    request.state.imap_oauth_browser = made
    return str(made)


def remember(request: Request, response: Response) -> None:
    """Set the browser's cookie, if it is new."""
    made = getattr(request.state, "imap_oauth_browser", None)
    if made:
        response.set_cookie(
            BROWSER_COOKIE,
            made,
            path=f"{base_path()}/imap-oauth",
            httponly=True,
            # Lax: it has to come along when the authorization server sends the browser back.
            samesite="lax",
            secure=base_url().startswith("https:"),
        )


def form_token(request: Request, user: Any, action: str, conn_id: str | None = None) -> str:
    """
    Return the token for a form.

    :param action: Path of what the form is sent to, below the pages' own.
    :param conn_id: The ``connection_id`` in the query of what it is sent to; None: that of this
        request.
    :raises ImapOAuthError: If there is no key to seal with.
    """
    sealer = configured_sealer(read_options())
    return sealer.seal(
        str(int(time.time())), purpose=_PURPOSE, binding=_binding(request, user, action, conn_id)
    )


async def checked_form(request: Request, user: GetUserDep) -> dict[str, str]:
    """Return the fields of a form that this site has made for this user, in this browser."""
    _check_origin(request)
    fields = await _fields(request)
    action = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    try:
        sealer = configured_sealer(read_options())
        made_at = sealer.open(
            fields.pop(TOKEN_FIELD, ""),
            purpose=_PURPOSE,
            binding=_binding(request, user, action, None),
        )
    except ImapOAuthError:
        raise _forged("The form is not of this page, browser or user.") from None
    if time.time() - int(made_at) > _LIFETIME_SECONDS:
        raise _forged("The form was open for too long.")
    return fields


#: The fields of a form, checked.
CheckedForm = Annotated[dict[str, str], Depends(checked_form)]


def _binding(request: Request, user: Any, action: str, conn_id: str | None) -> dict[str, str]:
    return {
        "user": str(user.get_id()),
        "browser": browser_of(request),
        "action": action,
        "connection": request.query_params.get("connection_id", "") if conn_id is None else conn_id,
    }


def _check_origin(request: Request) -> None:
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site not in ("same-origin", "none"):
        raise _forged("The request comes from another site.")
    origin = request.headers.get("origin")
    if origin is None:
        return  # the form's token speaks for itself
    own = {f"{request.url.scheme}://{request.url.netloc}"}
    if base_url():
        parts = urlsplit(base_url())
        own.add(f"{parts.scheme}://{parts.netloc}")
    if origin not in own:
        raise _forged("The request comes from another site.")


async def _fields(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise HTTPException(413, "The form is too large.")
    try:
        text = body.decode("ascii")
    except UnicodeDecodeError:
        raise HTTPException(400, "The form is malformed.") from None
    return dict(parse_qsl(text, keep_blank_values=True, errors="replace"))


def _forged(why: str) -> HTTPException:
    return HTTPException(403, f"{why} Go back, load the page again, and repeat what you did.")
