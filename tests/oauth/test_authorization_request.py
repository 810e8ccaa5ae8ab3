# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What a connection may add to the authorization request, and answers that are no text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from airflow_imap_oauth.exceptions import AuthorizationFlowError, ConfigurationError
from airflow_imap_oauth.oauth import device_authorization
from airflow_imap_oauth.oauth.authorization_code import finish
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.settings import OAuthSettings
from tests.oauth.clients import CONN_ID, custom
from tests.oauth.dialects.clients import REDIRECT_URI, begun, sign_in

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

OWN = [
    "client_id",
    "Client_ID",
    "client%5Fid",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "redirect_uri",
    "RESPONSE_MODE",
    "response_type",
    "scope",
    "state",
]


def at(settings: OAuthSettings, authorize_url: str) -> OAuthSettings:
    """Return the same client with another address to send browsers to."""
    endpoints = replace(settings.endpoints, authorize_url=authorize_url)
    return replace(settings, endpoints=endpoints)


def refused(settings: OAuthSettings) -> ConfigurationError:
    """Return why no sign-in can begin."""
    with pytest.raises(ConfigurationError) as caught:
        begun(settings)
    assert (caught.value.conn_id, caught.value.step) == (CONN_ID, "authorization")
    return caught.value


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("value", ["", "=", "=x"])
def test_query_of_the_endpoint_must_not_hold_ours(
    authorization_server: AuthorizationServer, name: str, value: str
) -> None:
    """A parameter that each sign-in sets cannot come from the configured URL as well."""
    url = f"{authorization_server.authorize_url}?tenant=a&{name}{value}"
    error = refused(at(custom(authorization_server), url))
    assert f"authorize_url of the connection holds {unquote(name).lower()}." in error.message


@pytest.mark.parametrize("name", ["state", "Client_ID", "SCOPE"])
def test_further_parameters_must_not_be_ours(
    authorization_server: AuthorizationServer, name: str
) -> None:
    """No further parameter can have the name of one that each sign-in sets, in any case."""
    error = refused(custom(authorization_server, authorize_params={name: "x"}))
    assert f"authorize_params of the connection holds {name.lower()}." in error.message


def test_rfc6749_3_1_no_parameter_comes_twice(authorization_server: AuthorizationServer) -> None:
    """What the configured URL holds already is not added once more."""
    settings = custom(authorization_server, extra_scopes=("offline_access",))
    url = f"{authorization_server.authorize_url}?prompt=login&login_hint="
    query = parse_qs(urlsplit(begun(at(settings, url)).url).query, keep_blank_values=True)
    assert (query["prompt"], query["login_hint"]) == (["login"], [""])
    assert all(len(values) == 1 for values in query.values())


def test_parameter_that_is_configured_twice(authorization_server: AuthorizationServer) -> None:
    """Of two values that the connection gives to one parameter, none is chosen silently."""
    url = f"{authorization_server.authorize_url}?prompt=login"
    settings = custom(authorization_server, authorize_params={"prompt": "consent"})
    assert "both hold prompt" in refused(at(settings, url)).message


def test_configured_scope_that_is_none_begins_no_sign_in(
    authorization_server: AuthorizationServer,
) -> None:
    """A scope with typographic quotes is refused before anything is sent anywhere."""
    settings = custom(authorization_server, scopes=("\u201cimap\u201d",))
    assert "U+201C" in refused(settings).message
    with (
        Transport(settings.transport) as way,
        pytest.raises(ConfigurationError, match=r"U\+201C"),
    ):
        device_authorization.start(settings, way)
    assert authorization_server.recorded("device") == ()


@pytest.mark.parametrize("raw", ["\udce9", "%ED%B3%A9", "\x00", "\U0010ffff"])
def test_state_of_bytes_that_are_no_text(
    authorization_server: AuthorizationServer, raw: str
) -> None:
    """What a POSIX locale makes of pasted bytes is a foreign state like any other."""
    settings = custom(authorization_server)
    pending = begun(settings)
    for state in (raw, f"{pending.state}{raw}"):
        query = f"code=c&state={state}"
        for pasted in (query, f"{REDIRECT_URI}?{query}"):
            with (
                Transport(settings.transport) as way,
                pytest.raises(AuthorizationFlowError, match="another sign-in"),
            ):
                finish(settings, pending, pasted, way)
    assert authorization_server.token_requests == 0
    assert sign_in(authorization_server, settings).refresh_token
