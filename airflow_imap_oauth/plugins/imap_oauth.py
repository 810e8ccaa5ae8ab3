# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The Airflow plugin: the pages under ``/imap-oauth`` and their entry in the Admin menu.

Every Airflow component imports this module, workers too, so it imports neither FastAPI nor the
pages: the application is built when the first request arrives.
"""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

URL_PREFIX = "/imap-oauth"


class LazyApp:
    """
    An ASGI application that is built on its first request.

    The API server mounts any ASGI callable. Lifespan events never reach a mounted application
    that is not FastAPI's, so only requests arrive here.
    """

    def __init__(self) -> None:
        self._app: Any = None
        self._lock = threading.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if self._app is None:
            with self._lock:
                if self._app is None:
                    # Only the API server pays for it, and only once somebody looks.
                    from airflow_imap_oauth.ui.app import create_app  # noqa: PLC0415

                    self._app = create_app()
        await self._app(scope, receive, send)


def page_path() -> str:
    """Return the path of the first page, below the base path that ``[api] base_url`` may have."""
    base_url = conf.get("api", "base_url", fallback="")
    return f"{urlsplit(base_url).path.rstrip('/')}{URL_PREFIX}/"


class ImapOAuthPlugin(AirflowPlugin):
    """Registers the pages. Its menu entry opens a tab of its own, not a frame."""

    name = "imap_oauth"

    def __init__(self) -> None:
        super().__init__()
        self.fastapi_apps = [{"app": LazyApp(), "url_prefix": URL_PREFIX, "name": "IMAP mailboxes"}]
        self.external_views = [
            {
                "name": "IMAP mailboxes",
                "href": page_path(),
                "destination": "nav",
                "category": "admin",
            }
        ]
