# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""From templates to answers."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from airflow_imap_oauth.exceptions import ImapOAuthError
from airflow_imap_oauth.ui.addresses import base_path, page_path
from airflow_imap_oauth.ui.instants import relative
from airflow_imap_oauth.ui.protection import TOKEN_FIELD, browser_of, form_token, remember


def render(
    request: Request, template: str, *, user: Any, status_code: int = 200, **context: Any
) -> HTMLResponse:
    """
    Render a page.

    Every text in it is escaped. A template gets ``base_path``, ``page_path(page, **query)`` and,
    for forms, ``form_token(action, conn_id)`` besides.

    :param user: Whom it is for; his forms work for nobody else. None: it has no forms.
    """

    def token(action: str, conn_id: str | None = None) -> str:
        return form_token(request, user, action, conn_id)

    browser_of(request)
    text = (
        _environment()
        .get_template(template)
        .render(
            base_path=base_path(),
            page_path=page_path,
            form_token=token,
            token_field=TOKEN_FIELD,
            user_name=user.get_name() if user else "",
            **context,
        )
    )
    response = HTMLResponse(text, status_code=status_code)
    remember(request, response)
    return response


def render_error(
    request: Request, error: ImapOAuthError, *, user: Any, heading: str, status_code: int = 400
) -> HTMLResponse:
    """Render what failed and what to do next."""
    return render(
        request,
        "error.html",
        user=user,
        status_code=status_code,
        heading=heading,
        message=error.message,
        hint=error.hint,
        conn_id=error.conn_id or "",
    )


@lru_cache(maxsize=1)
def style_sheet() -> str:
    """Return the style sheet of all pages."""
    return (files("airflow_imap_oauth.ui") / "static" / "style.css").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(str(files("airflow_imap_oauth.ui") / "templates")),
        autoescape=True,
        undefined=StrictUndefined,
    )
    made.filters["relative"] = relative
    return made
