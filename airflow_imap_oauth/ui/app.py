# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The pages under ``/imap-oauth``, inside Airflow's API server.

Every route demands what Airflow itself demands of a user who looks at connections. Nothing here
reaches a mail server or an authorization server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode, urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.common.db.common import SessionDep  # noqa: TC002  # FastAPI reads it
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_connection
from airflow.configuration import conf
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from airflow_imap_oauth.admin.mailboxes import list_mailboxes

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

_UNAUTHORIZED = 401
_READ_CONNECTIONS = Depends(requires_access_connection("GET"))

_HEADERS = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
            b"frame-ancestors 'none'"
        ),
    ),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


class SecurityHeaders:
    """
    Adds the security headers to every answer, errors too.

    :param app: The application whose answers get them.
    """

    def __init__(self, app: Callable[[Any, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            await send(message)

        await self._app(scope, receive, send_with_headers)


def create_app() -> SecurityHeaders:
    """Build the application."""
    app = FastAPI(title="IMAP mailboxes", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(HTTPException, _ask_to_sign_in)
    pages = files("airflow_imap_oauth.ui")
    templates = Environment(
        loader=FileSystemLoader(str(pages / "templates")),
        autoescape=True,
        undefined=StrictUndefined,
    )
    style_sheet = (pages / "static" / "style.css").read_text(encoding="utf-8")

    @app.get("/", dependencies=[_READ_CONNECTIONS])
    def mailboxes(user: GetUserDep, session: SessionDep) -> HTMLResponse:
        readable = get_auth_manager().get_authorized_connections(
            user=user, method="GET", session=session
        )
        listing = list_mailboxes(session, readable)
        page = templates.get_template("mailboxes.html")
        return HTMLResponse(page.render(listing=listing, base_path=_base_path()))

    @app.get("/style.css", dependencies=[_READ_CONNECTIONS])
    def style() -> Response:
        return Response(style_sheet, media_type="text/css")

    return SecurityHeaders(app)


def _base_path() -> str:
    return urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")


async def _ask_to_sign_in(request: Request, error: Exception) -> Response:
    """Send a person who is not signed in to Airflow's sign-in; others get the error."""
    if not isinstance(error, HTTPException):
        raise error
    wants_page = request.method == "GET" and "text/html" in request.headers.get("accept", "")
    if error.status_code != _UNAUTHORIZED or not wants_page:
        return await http_exception_handler(request, error)
    query = urlencode({"next": f"{_base_path()}/imap-oauth/"})
    return RedirectResponse(f"{_base_path()}/api/v2/auth/login?{query}", status_code=303)
