# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Endpoints from the issuer's metadata (RFC 8414, OpenID Connect Discovery)."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airflow_imap_oauth.exceptions import ConfigurationError, OAuthError, TransientOAuthError
from airflow_imap_oauth.oauth.discovery import complete, metadata_urls
from airflow_imap_oauth.oauth.engines import refresh
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.metadata import MetadataCache
from airflow_imap_oauth.oauth.settings import Endpoints, OAuthSettings
from tests.oauth.clients import CONN_ID, LOGIN, TENANT, custom

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

OPENID_PATH = "/.well-known/openid-configuration"
OAUTH_PATH = "/.well-known/oauth-authorization-server"


def issuer_only(server: AuthorizationServer, issuer: str | None = None) -> OAuthSettings:
    return custom(server, endpoints=Endpoints(issuer=issuer or server.issuer))


def completed(settings: OAuthSettings) -> Endpoints:
    with Transport(settings.transport) as transport:
        return complete(settings, transport, "token_url", "authorize_url").endpoints


def fresh_issuer(server: AuthorizationServer) -> str:
    # A tenant of its own for each test: the cache of the process never saw it.
    return f"{server.base_url}/tenant{secrets.token_hex(8)}/v2.0"


def test_endpoints_come_from_the_metadata(authorization_server: AuthorizationServer) -> None:
    """All endpoints, and whether the issuer is named in answers, are found at the issuer."""
    endpoints = completed(issuer_only(authorization_server))
    assert endpoints.issuer == authorization_server.issuer
    assert endpoints.token_url == authorization_server.token_url
    assert endpoints.authorize_url == authorization_server.authorize_url
    assert endpoints.revoke_url == authorization_server.revoke_url
    assert endpoints.iss_parameter_supported is True


def test_known_endpoints_are_not_asked_for(authorization_server: AuthorizationServer) -> None:
    """Where both are configured there is no request."""
    settings = custom(
        authorization_server,
        endpoints=Endpoints(
            issuer="https://127.0.0.1:9",
            token_url="https://a.example/t",
            authorize_url="https://a.example/a",
        ),
    )
    assert completed(settings) == settings.endpoints


def test_token_endpoint_alone_is_enough_to_refresh(
    authorization_server: AuthorizationServer,
) -> None:
    """A pasted refresh token needs no issuer and no authorization endpoint."""
    endpoints = Endpoints(token_url=authorization_server.token_url)
    settings = custom(authorization_server, endpoints=endpoints)
    assert completed(settings) == endpoints


def test_refresh_discovers_the_token_endpoint(authorization_server: AuthorizationServer) -> None:
    """A connection that names the issuer alone refreshes."""
    settings = issuer_only(authorization_server)
    token = authorization_server.mint_refresh_token(LOGIN)
    with Transport(settings.transport) as transport:
        assert refresh(settings, token, transport).access_token
    assert authorization_server.token_requests == 1


def test_configured_endpoint_wins(authorization_server: AuthorizationServer) -> None:
    """What the connection names itself is not replaced by the metadata."""
    endpoints = Endpoints(issuer=authorization_server.issuer, token_url="https://127.0.0.1:9/token")
    found = completed(custom(authorization_server, endpoints=endpoints))
    assert found.token_url == "https://127.0.0.1:9/token"
    assert found.authorize_url == authorization_server.authorize_url


def test_neither_issuer_nor_endpoint(authorization_server: AuthorizationServer) -> None:
    """Without any of them the missing setting is named."""
    with pytest.raises(ConfigurationError, match="exchange_url nor issuer") as caught:
        completed(custom(authorization_server, endpoints=Endpoints()))
    assert caught.value.conn_id == CONN_ID


@pytest.mark.parametrize("change", ["/", "other"])
def test_rfc8414_3_3_issuer_must_be_identical(
    authorization_server: AuthorizationServer, change: str
) -> None:
    """Metadata of another issuer, be it by a slash, are refused."""
    issuer = fresh_issuer(authorization_server)
    path = issuer.removeprefix(authorization_server.base_url) + OPENID_PATH
    document = {"issuer": issuer + change, "token_endpoint": authorization_server.token_url}
    authorization_server.fail_next(path, "body", status=200, body=json.dumps(document))
    with pytest.raises(OAuthError, match="another issuer") as caught:
        completed(issuer_only(authorization_server, issuer))
    assert not caught.value.retry_helps
    assert (caught.value.conn_id, caught.value.step) == (CONN_ID, "discovery")


def test_rfc8414_3_1_path_is_tried_second(authorization_server: AuthorizationServer) -> None:
    """A server without OpenID Connect is found by the path of RFC 8414."""
    issuer = fresh_issuer(authorization_server)
    path = issuer.removeprefix(authorization_server.base_url)
    authorization_server.fail_next(path + OPENID_PATH, "body", status=404, body="{}")
    document = {"issuer": issuer, "token_endpoint": f"{authorization_server.base_url}/t"}
    authorization_server.fail_next(OAUTH_PATH + path, "body", status=200, body=json.dumps(document))
    found = completed(issuer_only(authorization_server, issuer))
    assert found.token_url == f"{authorization_server.base_url}/t"
    assert found.authorize_url is None


@pytest.mark.parametrize(
    ("issuer", "openid", "oauth"),
    [
        ("https://a.example", OPENID_PATH, OAUTH_PATH),
        ("https://a.example/", OPENID_PATH, OAUTH_PATH),
        ("https://a.example/r/x", f"/r/x{OPENID_PATH}", f"{OAUTH_PATH}/r/x"),
    ],
)
def test_rfc8414_3_1_where_metadata_are(issuer: str, openid: str, oauth: str) -> None:
    """The path of an issuer goes before the one suffix and after the other."""
    assert metadata_urls(issuer) == (f"https://a.example{openid}", f"https://a.example{oauth}")


def test_issuer_without_metadata(authorization_server: AuthorizationServer) -> None:
    """An issuer that has none is answered with the settings that replace it."""
    issuer = f"{authorization_server.base_url}/a/b/c"
    with pytest.raises(OAuthError, match="no metadata") as caught:
        completed(issuer_only(authorization_server, issuer))
    assert "exchange_url" in caught.value.hint


def test_rfc8414_2_endpoints_must_be_https(authorization_server: AuthorizationServer) -> None:
    """A token endpoint over plain http is refused although the issuer names it."""
    issuer = fresh_issuer(authorization_server)
    path = issuer.removeprefix(authorization_server.base_url) + OPENID_PATH
    document = {"issuer": issuer, "token_endpoint": "http://localhost/token"}
    authorization_server.fail_next(path, "body", status=200, body=json.dumps(document))
    with pytest.raises(ConfigurationError, match="not https"):
        completed(issuer_only(authorization_server, issuer))


def test_metadata_without_token_endpoint(authorization_server: AuthorizationServer) -> None:
    """Metadata that name no token endpoint are of no use."""
    issuer = fresh_issuer(authorization_server)
    path = issuer.removeprefix(authorization_server.base_url) + OPENID_PATH
    authorization_server.fail_next(path, "body", status=200, body=json.dumps({"issuer": issuer}))
    with pytest.raises(OAuthError, match="no token endpoint"):
        completed(issuer_only(authorization_server, issuer))


@pytest.mark.parametrize("kind", ["html", "truncated_json", "reset"])
def test_trouble_is_transient_and_not_remembered(
    authorization_server: AuthorizationServer, kind: str
) -> None:
    """A glitch of discovery reads as a glitch, and the next attempt succeeds."""
    issuer = fresh_issuer(authorization_server)
    path = issuer.removeprefix(authorization_server.base_url) + OPENID_PATH
    authorization_server.fail_next(path, kind)
    with pytest.raises(TransientOAuthError):
        completed(issuer_only(authorization_server, issuer))
    assert completed(issuer_only(authorization_server, issuer)).token_url


def test_page_with_status_200_is_transient(authorization_server: AuthorizationServer) -> None:
    """A captive portal's page is not taken for metadata."""
    issuer = fresh_issuer(authorization_server)
    path = issuer.removeprefix(authorization_server.base_url) + OPENID_PATH
    authorization_server.fail_next(path, "html", status=200)
    with pytest.raises(TransientOAuthError, match="not JSON"):
        completed(issuer_only(authorization_server, issuer))


def test_rfc8414_3_metadata_are_fetched_once_in_their_lifetime(
    authorization_server: AuthorizationServer,
) -> None:
    """The cache asks once, and again when its time is over."""
    clock = [0.0]
    cache = MetadataCache(lifetime_seconds=60, now=lambda: clock[0])
    path = f"/{TENANT}/v2.0{OPENID_PATH}"
    url = authorization_server.base_url + path
    settings = custom(authorization_server)
    authorization_server.reset_counters()
    with Transport(settings.transport) as transport:
        for _ in range(3):
            assert cache.get(url, transport).status_code == 200
        assert authorization_server.requests[path] == 1
        clock[0] = 60.0
        cache.get(url, transport)
    assert authorization_server.requests[path] == 2


def test_metadata_are_not_shared_across_trust(authorization_server: AuthorizationServer) -> None:
    """What was fetched by one ca_file does not serve a connection that does not trust it."""
    settings = issuer_only(authorization_server)
    completed(settings)
    stranger = replace(settings, transport=replace(settings.transport, ca_file=None))
    with pytest.raises(OAuthError, match="not trusted"):
        completed(stranger)
