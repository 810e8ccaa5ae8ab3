# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What people see where a page cannot be shown. Programs get FastAPI's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, HTTPException, Request
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from airflow_imap_oauth.exceptions import ImapOAuthError
from airflow_imap_oauth.ui.addresses import base_path, page_path
from airflow_imap_oauth.ui.rendering import render

_UNAUTHORIZED = 401
_HEADINGS = {
    400: "That was not understood",
    401: "Please sign in",
    403: "Not allowed",
    404: "Not found",
    405: "Not found",
    413: "Too large",
    422: "That was not understood",
    429: "Too often",
    503: "It does not work at the moment",
}
_MESSAGES = {
    401: "You are not signed in to Airflow.",
    403: "Your role in Airflow does not allow that.",
    404: "There is no such page.",
    405: "There is no such page.",
}
#: What of a query is kept over the sign-in.
_KEPT = ("connection_id", "mail_provider", "q")
#: Texts of Airflow, FastAPI and Starlette that help nobody.
_EMPTY = frozenset({"", "Not authenticated", "Forbidden", "Not Found", "Method Not Allowed"})


def add_error_pages(app: FastAPI) -> None:
    """Let an application answer people with pages, whatever goes wrong."""
    app.add_exception_handler(StarletteHTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(ImapOAuthError, _failed)


async def _refused(request: Request, error: Any) -> Response:
    if not _wants_page(request):
        return await http_exception_handler(request, error)
    if error.status_code == _UNAUTHORIZED and request.method == "GET":
        query = urlencode({"next": _here(request)})
        return RedirectResponse(f"{base_path()}/api/v2/auth/login?{query}", status_code=303)
    told = str(error.detail)
    message = _MESSAGES.get(error.status_code, "") if told in _EMPTY else told
    return _page(request, error.status_code, message, headers=error.headers)


async def _malformed(request: Request, error: Any) -> Response:
    if not _wants_page(request):
        return await request_validation_exception_handler(request, error)
    names = dict.fromkeys(str(found["loc"][-1]) for found in error.errors())
    return _page(request, 422, f"Missing or wrong in the address: {', '.join(names)}.")


async def _failed(request: Request, error: Any) -> Response:
    # What is told of Airflow's database is of no class of its own.
    status_code = 503 if error.retry_helps or type(error) is ImapOAuthError else 400
    if not _wants_page(request):
        refusal = HTTPException(status_code, str(error))
        return await http_exception_handler(request, refusal)
    return _page(request, status_code, error.message, hint=error.hint, conn_id=error.conn_id or "")


def _page(
    request: Request,
    status_code: int,
    message: str,
    *,
    hint: str = "",
    conn_id: str = "",
    headers: Mapping[str, str] | None = None,
) -> Response:
    response = render(
        request,
        "error.html",
        user=None,
        status_code=status_code,
        heading=_HEADINGS.get(status_code, "It did not work"),
        message=message,
        hint=hint.replace("CONN_ID", conn_id) if conn_id else hint,
        conn_id=conn_id,
    )
    response.headers.update(headers or {})
    return response


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _here(request: Request) -> str:
    """Return where to come back to after the sign-in: a page of ours."""
    page = str(request.scope["path"]).removeprefix(request.scope.get("root_path", ""))
    # Not the whole query: that of an authorization's answer is nothing for another address.
    query = {name: request.query_params[name] for name in _KEPT if name in request.query_params}
    return page_path(page, **query)
