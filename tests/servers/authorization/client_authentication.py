# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""How clients prove who they are (RFC 6749 section 2.3, RFC 7523 section 2.2)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from tests.servers.authorization.assertions import Assertion, AssertionRefusedError, thumbprints
from tests.servers.authorization.errors import invalid_client
from tests.servers.authorization.messages import OAuthRequest
from tests.servers.authorization.model import Client

if TYPE_CHECKING:
    from tests.servers.authorization.protocol import ProtocolServer

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA")
_ENTRA_ALGORITHMS = ("PS256", "RS256")
_ENTRA_CODES = {"form": 50027, "signature": 700027, "time": 700024, "claims": 700023}


def basic(query_client: Any, request: OAuthRequest) -> Client | None:
    """Authenticate by the header Authorization."""
    # Id and secret are form-encoded before base64 (RFC 6749 section 2.3.1): "+" means a blank,
    # which Authlib's own method does not know.
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return None
    client_id, colon, secret = text.partition(":")
    client_id = unquote_plus(client_id)
    in_form = request.form.get("client_id", client_id)
    client: Client | None = query_client(client_id)
    if (
        client
        and colon
        and in_form == client_id
        and client.check_client_secret(unquote_plus(secret))
    ):
        return client
    return None


def private_key_jwt(server: ProtocolServer) -> Callable[[Any, OAuthRequest], Client | None]:
    """Return the method that authenticates by a signed assertion."""

    def method(query_client: Any, request: OAuthRequest) -> Client | None:
        del query_client
        text = request.form.get("client_assertion")
        if text is None:
            return None
        server.state.other_secrets.add(text)
        try:
            return _client(server, Assertion.read(text), request)
        except AssertionRefusedError as refused:
            raise invalid_client(refused.problem, _ENTRA_CODES[refused.part]) from None

    return method


def _client(server: ProtocolServer, assertion: Assertion, request: OAuthRequest) -> Client:
    if request.form.get("client_assertion_type") != ASSERTION_TYPE:
        raise AssertionRefusedError("form", "The client_assertion_type is not known.")
    client_id = assertion.claims.get("sub")
    client = server.query_client(client_id) if isinstance(client_id, str) else None
    if client is None or client.assertion_key is None:
        raise AssertionRefusedError("claims", "The assertion is of no client that has a key.")
    if not client.check_endpoint_auth_method("private_key_jwt", "token"):
        raise AssertionRefusedError("claims", "The client may not authenticate by assertion.")
    if assertion.claims.get("iss") != client_id:
        raise AssertionRefusedError("claims", "iss and sub of the assertion differ.")
    if request.form.get("client_id", client_id) != client_id:
        raise AssertionRefusedError("claims", "The assertion is of another client.")
    if server.dialect.name == "microsoft":
        _check_entra(server, assertion, client.assertion_key)
    else:
        assertion.verify(client.assertion_key, ALGORITHMS)
        assertion.check_audience(server.issuer, server.endpoint_url("token"))
        _check_once(server, assertion, client)
    assertion.check_times(server.state.now())
    return client


def _check_entra(server: ProtocolServer, assertion: Assertion, certificate: str) -> None:
    # As "Certificate credentials" of the Microsoft identity platform says. An assertion may come
    # again: MSAL uses one for nine minutes.
    registered = thumbprints(certificate)
    named = {name: str(assertion.header.get(name, "")).rstrip("=") for name in registered}
    if not any(named[name] == value for name, value in registered.items()):
        raise AssertionRefusedError("signature", "The assertion names no registered certificate.")
    if any(value and value != registered[name] for name, value in named.items()):
        raise AssertionRefusedError("signature", "The assertion names another certificate.")
    assertion.verify(certificate, _ENTRA_ALGORITHMS)
    assertion.check_audience(server.endpoint_url("token"))


def _check_once(server: ProtocolServer, assertion: Assertion, client: Client) -> None:
    jti = assertion.claims.get("jti")
    if not isinstance(jti, str) or not jti:
        raise AssertionRefusedError("claims", "The assertion has no jti.")
    with server.state.lock:
        if (client.client_id, jti) in server.state.assertion_ids:
            raise AssertionRefusedError("claims", "The assertion was used before.")
        server.state.assertion_ids.add((client.client_id, jti))
