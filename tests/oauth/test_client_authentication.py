# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""How our own client says who it is (RFC 6749 section 2.3), and how MSAL and google-auth do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airflow_imap_oauth.exceptions import ClientRejectedError, ConfigurationError, OAuthError
from airflow_imap_oauth.oauth.engines import refresh
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.settings import OAuthSettings
from tests.oauth.clients import CONN_ID, LOGIN, TENANT, Client, custom, google, microsoft

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

# Each of these is changed by form encoding, and the colon would split Basic credentials.
AWKWARD = "a:b+c d%2F&=é~/"


def spend(server: AuthorizationServer, settings: OAuthSettings) -> TokenResponse:
    token = server.mint_refresh_token(
        LOGIN, client_id=settings.client_id, scopes=(*settings.scopes, *settings.extra_scopes)
    )
    with Transport(settings.transport) as transport:
        return refresh(settings, token, transport)


@pytest.mark.parametrize("method", ["post", "basic"])
def test_rfc6749_2_3_1_awkward_credentials(
    authorization_server: AuthorizationServer, method: str
) -> None:
    """Id and secret of any characters arrive as they are, by form and by header."""
    client_id = f"id {AWKWARD} {method}"
    authorization_server.add_client(client_id, client_secret=AWKWARD)
    settings = custom(
        authorization_server,
        client_id=client_id,
        client_secret=AWKWARD,
        client_auth_method=method,
    )
    assert spend(authorization_server, settings).access_token


def test_rfc6749_2_3_one_method_per_request(authorization_server: AuthorizationServer) -> None:
    """With Basic neither id nor secret is in the form, which the strict server would refuse."""
    settings = custom(authorization_server, client_auth_method="basic")
    assert spend(authorization_server, settings).access_token


@pytest.mark.parametrize("secret", [None, ""])
def test_rfc6749_3_1_empty_secret_is_not_sent(
    authorization_server: AuthorizationServer, secret: str
) -> None:
    """An empty secret means a public client, with every engine."""
    for make in (custom, microsoft):
        settings = make(
            authorization_server,
            client_id=authorization_server.public_client_id,
            client_secret=secret,
        )
        assert spend(authorization_server, settings).access_token


def test_method_none_keeps_the_secret(authorization_server: AuthorizationServer) -> None:
    """With method none the secret stays here although there is one."""
    settings = custom(authorization_server, client_auth_method="none")
    with pytest.raises(ClientRejectedError):
        spend(authorization_server, settings)


def test_basic_without_secret_is_refused_here(authorization_server: AuthorizationServer) -> None:
    """Basic needs a secret; without one nothing is sent."""
    settings = custom(authorization_server, client_auth_method="basic", client_secret=None)
    with pytest.raises(ConfigurationError, match="client secret") as caught:
        spend(authorization_server, settings)
    assert caught.value.conn_id == CONN_ID
    assert authorization_server.token_requests == 0


def test_profile_that_demands_a_secret(authorization_server: AuthorizationServer) -> None:
    """A mail provider that demands a secret is not asked without one."""
    settings = custom(authorization_server, client_secret=None)
    settings = replace(settings, profile=replace(settings.profile, client_secret_required=True))
    with pytest.raises(ConfigurationError, match="demands a client secret"):
        spend(authorization_server, settings)
    assert authorization_server.token_requests == 0


def test_secret_that_is_no_text(client: Client) -> None:
    """Stray bytes in a secret are reported without the secret."""
    client = client.with_settings(client_secret="secret\udcff")
    with (
        Transport(client.settings.transport) as transport,
        pytest.raises((ConfigurationError, OAuthError)) as caught,
    ):
        refresh(client.settings, client.mint(), transport)
    assert "secret\udcff" not in str(caught.value)
    assert caught.value.__context__ is None


def test_msal_asks_for_metadata_once_per_process(
    authorization_server: AuthorizationServer,
) -> None:
    """Fresh applications do not each fetch the tenant's metadata."""
    settings = microsoft(authorization_server)
    for _ in range(3):
        spend(authorization_server, settings)
    assert authorization_server.token_requests == 3
    path = f"/{TENANT}/v2.0/.well-known/openid-configuration"
    assert authorization_server.requests[path] <= 1


def test_msal_is_not_given_scopes_it_reserves(authorization_server: AuthorizationServer) -> None:
    """A connection that lists offline_access among its scopes still refreshes."""
    settings = microsoft(authorization_server)
    settings = replace(settings, scopes=("offline_access", "openid", "profile", *settings.scopes))
    assert spend(authorization_server, settings).access_token


def test_region_of_the_environment_does_not_move_the_endpoint(
    authorization_server: AuthorizationServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MSAL's region variable has no say."""
    monkeypatch.setenv("MSAL_FORCE_REGION", "westeurope")
    assert spend(authorization_server, microsoft(authorization_server)).access_token


def test_unknown_tenant_names_the_setting(authorization_server: AuthorizationServer) -> None:
    """A tenant without metadata is answered with the setting to check."""
    settings = microsoft(authorization_server)
    issuer = f"{authorization_server.base_url}/unknown/tenant/v2.0"
    settings = replace(settings, endpoints=replace(settings.endpoints, issuer=issuer))
    with pytest.raises(OAuthError, match="no metadata") as caught:
        spend(authorization_server, settings)
    assert "tenant_id" in caught.value.hint
    assert not caught.value.retry_helps


def test_metadata_cannot_send_the_secret_elsewhere(
    authorization_server: AuthorizationServer,
) -> None:
    """Metadata that name a token endpoint on another host do not get the refresh token there."""
    path = "/astray/v2.0/.well-known/openid-configuration"
    body = (
        f'{{"issuer":"{authorization_server.base_url}/astray/v2.0",'
        '"authorization_endpoint":"https://evil.example/a/authorize",'
        '"token_endpoint":"https://evil.example/a/token"}'
    )
    authorization_server.fail_next(path, "body", status=200, body=body)
    settings = microsoft(authorization_server)
    issuer = f"{authorization_server.base_url}/astray/v2.0"
    settings = replace(settings, endpoints=replace(settings.endpoints, issuer=issuer))
    with pytest.raises(OAuthError, match="another server"):
        spend(authorization_server, settings)
    assert authorization_server.token_requests == 0


def test_google_without_secret_reaches_the_server(
    authorization_server: AuthorizationServer,
) -> None:
    """google-auth refuses a missing secret by itself; here a public client still asks."""
    settings = google(
        authorization_server,
        client_id=authorization_server.public_client_id,
        client_secret=None,
    )
    assert spend(authorization_server, settings).access_token


def test_new_refresh_token_survives_a_library_that_chokes(
    authorization_server: AuthorizationServer,
) -> None:
    """MSAL fails on a senseless id_token; the new refresh token is handed on all the same."""
    body = (
        '{"access_token":"a","token_type":"Bearer","refresh_token":"next","id_token":"senseless"}'
    )
    authorization_server.fail_next("token", "body", status=200, body=body)
    assert spend(authorization_server, microsoft(authorization_server)).refresh_token == "next"
