# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The control endpoint: what tests do to a server in their own process, for one in another.

``GET /control/{settings,counters,secrets}``, and ``POST /control/VERB`` with the arguments of the
method of that name as a JSON object. It hands out secrets: the server listens on loopback only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tests.servers.authorization.messages import Answer, Request, json_answer

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

PREFIX = "/control/"
_READS = ("settings", "counters", "secrets")
_VERBS = (
    "add_client",
    "add_service_account",
    "advance_clock",
    "decide_device",
    "fail_next",
    "mint_access_token",
    "mint_refresh_token",
    "new_service_account",
    "next_id_token",
    "reset",
    "reset_counters",
    "revoke_all",
    "rotate_signing_key",
    "switch",
)


def answer(server: AuthorizationServer, request: Request) -> Answer:
    """Answer one request to the control endpoint."""
    name = request.path.removeprefix(PREFIX)
    if request.method == "GET" and name in _READS:
        return json_answer(_read(server, name))
    if request.method != "POST" or name not in _VERBS:
        return json_answer({"error": "there is no such control"}, 404)
    # A page in a browser cannot send this type to another origin without asking first.
    if request.headers.get_content_type() != "application/json":
        return json_answer({"error": "the content type must be application/json"}, 415)
    try:
        result = getattr(server, name)(**json.loads(request.body or b"{}"))
    except (TypeError, ValueError, AttributeError) as error:
        return json_answer({"error": str(error)}, 400)
    return json_answer({"result": result if isinstance(result, str) else None})


def _read(server: AuthorizationServer, name: str) -> Mapping[str, object]:
    if name == "settings":
        return server.settings()
    if name == "counters":
        return server.counters()
    return {"secrets": sorted(server.secrets_issued())}
