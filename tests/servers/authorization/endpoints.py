# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""From paths to endpoints, and from endpoints to Authlib."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error

from tests.servers.authorization import pages, parameters
from tests.servers.authorization.dialects import DIALECTS, Dialect
from tests.servers.authorization.messages import (
    Answer,
    OAuthRequest,
    Pairs,
    Request,
    html_answer,
    json_answer,
)
from tests.servers.authorization.protocol import ProtocolServer
from tests.servers.authorization.responses import metadata
from tests.servers.authorization.state import Pending, State


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


# --- Authorization endpoint -----------------------------------------------------------------------


def _authorize(server: ProtocolServer, request: Request) -> Answer:
    if request.method != "GET":
        return _not_allowed("GET")
    try:
        pairs = parameters.query(request)
        redirect_uri = _redirect_uri(server, pairs)
    except OAuth2Error as error:
        return html_answer(pages.refusal(error.error, error.description), 400)
    states = [value for name, value in pairs if name == "state"]
    try:
        parameters.AUTHORIZE.check(pairs, server.dialect.authorize_extra)
        values = dict(pairs)
        _check_response(values["response_type"], values.get("response_mode", "query"))
        server.get_consent_grant(OAuthRequest(request, pairs))
    except OAuth2Error as error:
        error.redirect_uri = redirect_uri
        error.state = states[0] if len(states) == 1 else None
        return _with_issuer(server, server.handle_error_response(None, error))
    return _consent_page(server, pairs)


def _check_response(response_type: str, response_mode: str) -> None:
    if response_type != "code":
        raise OAuth2Error(error="unsupported_response_type")
    if response_mode != "query":
        raise InvalidRequestError("The only response mode is query.")


def _redirect_uri(server: ProtocolServer, pairs: Pairs) -> str:
    # Nobody is redirected before client and redirect URI are known to belong together
    # (RFC 6749 section 4.1.2.1).
    found = {
        name: [value for one, value in pairs if one == name]
        for name in ("client_id", "redirect_uri")
    }
    if any(len(values) != 1 for values in found.values()):
        raise InvalidRequestError("client_id and redirect_uri must be given once.")
    client = server.query_client(found["client_id"][0])
    if client is None:
        raise OAuth2Error(error="unauthorized_client", description="The client is not known.")
    if not client.check_redirect_uri(found["redirect_uri"][0]):
        raise InvalidRequestError("The redirect URI is not registered for this client.")
    return found["redirect_uri"][0]


def _consent_page(server: ProtocolServer, pairs: Pairs) -> Answer:
    values = dict(pairs)
    pending = Pending(dialect_name=server.dialect.name, tenant=server.tenant, pairs=pairs)
    page = pages.consent(
        client=values["client_id"],
        scopes=values["scope"].split(),
        action=server.dialect.paths["consent"].format(tenant=server.tenant),
        transaction=server.state.add_pending(pending),
        login=values.get("login_hint"),
    )
    return html_answer(page)


def _consent(server: ProtocolServer, request: Request) -> Answer:
    try:
        pairs = parameters.form(request)
        parameters.CONSENT.check(pairs)
        values = dict(pairs)
        login = _decided_login(values["decision"], values.get("login"))
        pending = _pending(server, values["transaction"])
    except OAuth2Error as error:
        return html_answer(pages.refusal(error.error, error.description), 400)
    oauth_request = OAuthRequest(request, pending.pairs)
    grant = server.get_authorization_grant(oauth_request)
    redirect = server.create_authorization_response(oauth_request, grant_user=login, grant=grant)
    return _with_issuer(server, redirect)


def _decided_login(decision: str, login: str | None) -> str | None:
    if decision == "deny":
        return None
    if decision != "allow" or login is None:
        raise InvalidRequestError("The decision is allow, with a login, or deny.")
    return login


def _pending(server: ProtocolServer, transaction: str) -> Pending:
    pending = server.state.take_pending(transaction)
    here = (server.dialect.name, server.tenant)
    if pending is None or (pending.dialect_name, pending.tenant) != here:
        raise InvalidRequestError("The page was sent before, or is not of this server.")
    return pending


def _with_issuer(server: ProtocolServer, redirect: Answer) -> Answer:
    # RFC 9207 section 2: success and error alike.
    if server.dialect.iss_parameter and redirect.location:
        redirect.headers["Location"] = add_params_to_uri(
            redirect.location, [("iss", server.issuer)]
        )
    return redirect


# --- Endpoints that clients call themselves -------------------------------------------------------


def _token(server: ProtocolServer, request: Request) -> Answer:
    try:
        pairs = parameters.form(request)
        parameters.check_client_authentication(request, pairs)
        parameters.check_token_request(pairs, server.dialect.token_extra)
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
        parameters.LOOK_UP.check(pairs)
    except OAuth2Error as error:
        return server.handle_error_response(None, error)
    with server.state.lock:
        made: Answer = server.create_endpoint_response(name, OAuthRequest(request, pairs))
    return made


def _introspection(server: ProtocolServer, request: Request) -> Answer:
    return _look_up(server, request, "introspection")


def _revocation(server: ProtocolServer, request: Request) -> Answer:
    return _look_up(server, request, "revocation")


def _discovery(server: ProtocolServer, request: Request) -> Answer:
    if request.method != "GET":
        return _not_allowed("GET")
    return json_answer(metadata(server))


def _jwks(server: ProtocolServer, request: Request) -> Answer:
    if request.method != "GET":
        return _not_allowed("GET")
    key = server.state.signing_key.as_dict(private=False, alg="RS256")
    return json_answer({"keys": [key]})


def _not_allowed(method: str) -> Answer:
    error = {"error": "invalid_request", "error_description": f"Only {method} is accepted here."}
    return json_answer(error, 405, [("Allow", method)])


_ENDPOINTS: dict[str, Callable[[ProtocolServer, Request], Answer]] = {
    "authorize": _authorize,
    "consent": _consent,
    "token": _token,
    "introspection": _introspection,
    "revocation": _revocation,
    "discovery": _discovery,
    "jwks": _jwks,
}
