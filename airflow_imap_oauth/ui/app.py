# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The pages under ``/imap-oauth``, inside Airflow's API server.

Every route demands what Airflow itself demands of a user who looks at connections, or changes them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from fastapi.responses import Response

from airflow_imap_oauth.ui.access import may_read_connections
from airflow_imap_oauth.ui.errors import add_error_pages
from airflow_imap_oauth.ui.pages import (
    authorize,
    check,
    device,
    guide,
    mailbox,
    mailboxes,
    revocation,
)
from airflow_imap_oauth.ui.rendering import style_sheet

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

_HEADERS = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; "
            b"frame-ancestors 'none'"
        ),
    ),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
)
#: Their queries name a sign-in, or hold the code that it brought. They have no forms.
_SECRET_QUERIES = ("/callback", "/device")


class SecurityHeaders:
    """
    Adds the security headers to every answer, errors too, and keeps secrets out of access logs.

    :param app: The application whose answers get them.
    """

    def __init__(self, app: Callable[[Any, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                # Elsewhere not "no-referrer": with that, browsers hide from ourselves where a form
                # comes from.
                policy = b"same-origin"
                if scope["path"].endswith(_SECRET_QUERIES):
                    policy = b"no-referrer"
                    # Servers and Airflow write their access logs from the same scope, afterwards.
                    scope["query_string"] = b""
                own = (*_HEADERS, (b"referrer-policy", policy))
                message = {**message, "headers": [*message.get("headers", ()), *own]}
            await send(message)

        await self._app(scope, receive, send_with_headers)


def create_app() -> SecurityHeaders:
    """Build the application."""
    app = FastAPI(title="IMAP mailboxes", docs_url=None, redoc_url=None, openapi_url=None)
    add_error_pages(app)
    for page in (mailboxes, mailbox, authorize, device, check, revocation, guide):
        app.include_router(page.router)

    @app.get("/style.css", dependencies=[may_read_connections])
    def style() -> Response:
        return Response(style_sheet(), media_type="text/css")

    return SecurityHeaders(app)
