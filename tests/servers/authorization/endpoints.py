# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""From paths to endpoints, and from endpoints to Authlib."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from authlib.oauth2.rfc6749 import OAuth2Error

from tests.servers.authorization import device, pages, parameters
from tests.servers.authorization.authorize import authorize, consent
from tests.servers.authorization.dialects import DIALECTS, Dialect
from tests.servers.authorization.lookups import revoke_by_token_alone
from tests.servers.authorization.messages import (
    Answer,
    OAuthRequest,
    Request,
    html_answer,
    json_answer,
    not_allowed,
)
from tests.servers.authorization.protocol import ProtocolServer
from tests.servers.authorization.responses import jwks, metadata
from tests.servers.authorization.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Which endpoint of which mail provider a path is."""

    endpoint: str
    dialect: Dialect
    tenant: str = ""


def route(path: str) -> Route | None:
    """Return what a path leads to, or None."""
    for dialect in DIALECTS:
        for pattern, endpoint in _PATTERNS[dialect.name]:
            found = pattern.fullmatch(path)
            if found:
                tenant = found.groupdict().get("tenant", "")
                return Route(endpoint=endpoint, dialect=dialect, tenant=tenant)
    return None


def _patterns(dialect: Dialect) -> list[tuple[re.Pattern[str], str]]:
    # RFC 8414 section 3.1 puts the well-known part before the issuer's path, OpenID Connect
    # Discovery section 4 behind it.
    paths = [(path, endpoint) for endpoint, path in dialect.paths.items()]
    if dialect.discovery:
        paths.append((f"{dialect.issuer_path}/.well-known/openid-configuration", "discovery"))
        paths.append((f"/.well-known/oauth-authorization-server{dialect.issuer_path}", "discovery"))
    return [
        (re.compile(re.escape(path).replace(r"\{tenant\}", "(?P<tenant>[^/]+)")), endpoint)
        for path, endpoint in paths
    ]


_PATTERNS = {dialect.name: _patterns(dialect) for dialect in DIALECTS}


def answer(state: State, to: Route, request: Request) -> Answer:
    """Answer one request."""
    server = ProtocolServer(state, to.dialect, to.tenant)
    return _ENDPOINTS[to.endpoint](server, request)


# --- Endpoints that clients call themselves -------------------------------------------------------


def _token(server: ProtocolServer, request: Request) -> Answer:
    dialect = server.dialect
    try:
        pairs = parameters.form(request)
        parameters.check_client_authentication(request, pairs)
        parameters.check_token_request(
            pairs, dialect.token_extra | dialect.assertion, dialect.device_token_extra
        )
    except OAuth2Error as error:
        return server.handle_error_response(None, error)
    with server.state.lock:
        made: Answer = server.create_token_response(OAuthRequest(request, pairs))
    return made


def _look_up(server: ProtocolServer, request: Request, name: str) -> Answer:
    try:
        pairs = parameters.form(request)
        if name == "introspection":
            # Mail servers call this, not clients: Dovecot 2.3 sends an empty client_id and
            # client_secret beside its Basic authentication.
            pairs = tuple((key, value) for key, value in pairs if value)
        parameters.check_client_authentication(request, pairs)
        parameters.LOOK_UP.check(pairs, server.dialect.assertion)
    except OAuth2Error as error:
        return server.handle_error_response(None, error)
    with server.state.lock:
        made: Answer = server.create_endpoint_response(name, OAuthRequest(request, pairs))
    return made


def _introspection(server: ProtocolServer, request: Request) -> Answer:
    return _look_up(server, request, "introspection")


def _revocation(server: ProtocolServer, request: Request) -> Answer:
    if server.dialect.revocation == "client":
        return _look_up(server, request, "revocation")
    try:
        pairs = parameters.form(request)
        parameters.REVOKE_BY_TOKEN.check(pairs)
    except OAuth2Error as error:
        return server.handle_error_response(None, error)
    return revoke_by_token_alone(server, dict(pairs)["token"])


def _device(server: ProtocolServer, request: Request) -> Answer:
    dialect = server.dialect
    try:
        pairs = parameters.form(request)
        parameters.check_client_authentication(request, pairs)
        expected = parameters.YANDEX_DEVICE if dialect.name == "yandex" else parameters.DEVICE
        expected.check(pairs, dialect.device_extra | dialect.assertion)
        with server.state.lock:
            return device.authorize_device(server, OAuthRequest(request, pairs))
    except OAuth2Error as error:
        return server.handle_error_response(None, error)


def _verification(server: ProtocolServer, request: Request) -> Answer:
    if request.method == "GET":
        given = dict(parse_qsl(request.query)).get("user_code", "")
        return html_answer(pages.verification(request.path, given))
    try:
        values = dict(parameters.form(request))
        allow = values.get("decision") == "allow"
        device.decide(
            server.state, values.get("user_code", ""), values.get("login", ""), allow=allow
        )
    except OAuth2Error as error:
        return html_answer(pages.refusal(error.error, error.description), 400)
    except ValueError as error:
        return html_answer(pages.refusal("invalid_request", str(error)), 400)
    return html_answer(pages.decided())


def _discovery(server: ProtocolServer, request: Request) -> Answer:
    if request.method != "GET":
        return not_allowed("GET")
    return json_answer(metadata(server))


def _jwks(server: ProtocolServer, request: Request) -> Answer:
    if request.method != "GET":
        return not_allowed("GET")
    return json_answer(jwks(server))


_ENDPOINTS: dict[str, Callable[[ProtocolServer, Request], Answer]] = {
    "authorize": authorize,
    "consent": consent,
    "token": _token,
    "device": _device,
    "verification": _verification,
    "introspection": _introspection,
    "revocation": _revocation,
    "discovery": _discovery,
    "jwks": _jwks,
}
