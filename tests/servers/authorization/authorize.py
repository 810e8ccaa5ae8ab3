# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The authorization endpoint and the user's consent."""

from __future__ import annotations

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error

from tests.servers.authorization import pages, parameters
from tests.servers.authorization.messages import (
    Answer,
    OAuthRequest,
    Pairs,
    Request,
    html_answer,
    not_allowed,
)
from tests.servers.authorization.protocol import ProtocolServer
from tests.servers.authorization.state import Pending


def authorize(server: ProtocolServer, request: Request) -> Answer:
    """Ask for consent, or refuse the request."""
    if request.method != "GET":
        return not_allowed("GET")
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
        return _with_members(server, server.handle_error_response(None, error))
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


def consent(server: ProtocolServer, request: Request) -> Answer:
    """Take the user's decision, and send the browser back to the client."""
    try:
        pairs = parameters.form(request)
        parameters.CONSENT.check(pairs)
        values = dict(pairs)
        login = _decided_login(values["decision"], values.get("login"))
        pending = _pending(server, values["transaction"])
        granted = _granted(server, pending.pairs, values.get("scope"))
    except OAuth2Error as error:
        return html_answer(pages.refusal(error.error, error.description), 400)
    oauth_request = OAuthRequest(request, granted or pending.pairs)
    grant = server.get_authorization_grant(oauth_request)
    redirect = server.create_authorization_response(
        oauth_request, grant_user=login if granted else None, grant=grant
    )
    return _with_members(server, redirect)


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


def _granted(server: ProtocolServer, pairs: Pairs, chosen: str | None) -> Pairs:
    # What is left of the request after a user took scopes away; nothing if none is left.
    switched = server.state.switches.granted_scopes
    kept = switched if chosen is None else tuple(chosen.split())
    if kept is None:
        return pairs
    scope = " ".join(one for one in dict(pairs)["scope"].split() if one in kept)
    return tuple((name, scope if name == "scope" else value) for name, value in pairs if scope)


def _with_members(server: ProtocolServer, redirect: Answer) -> Answer:
    members = []
    if server.dialect.iss_parameter:
        # RFC 9207 section 2: success and error alike.
        members = [("iss", server.issuer)]
    elif server.dialect.name == "zoho":
        location = server.state.switches.zoho_location
        here = f"{server.state.base_url}/zoho"
        accounts = here if location == "us" else f"https://accounts.zoho.{location}"
        members = [("location", location), ("accounts-server", accounts)]
    if redirect.location:
        redirect.headers["Location"] = add_params_to_uri(redirect.location, members)
    return redirect
