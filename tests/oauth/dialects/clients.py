# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Clients of the built-in profiles at the authorization server of the tests, and whole sign-ins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_imap_oauth.exceptions import OAuthError
from airflow_imap_oauth.oauth import device_authorization
from airflow_imap_oauth.oauth.authorization_code import PendingAuthorization, finish, start
from airflow_imap_oauth.oauth.engines import refresh
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.mail_provider import MailProviderProfile
from airflow_imap_oauth.oauth.metadata import MetadataCache
from airflow_imap_oauth.oauth.profiles import get_profile
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.settings import Endpoints, OAuthSettings, TransportSettings
from tests.oauth.clients import CONN_ID, LOGIN, TENANT
from tests.servers.authorization.dialects import DIALECTS

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

REDIRECT_URI = "http://127.0.0.1:8123/callback"

_URLS = {
    "authorize_url": "authorize",
    "token_url": "token",
    "device_url": "device",
    "revoke_url": "revocation",
    "jwks_url": "jwks",
}


def client_of(
    server: AuthorizationServer, mail_provider: str, *, tenant: str = TENANT, **changes: Any
) -> OAuthSettings:
    """
    Return a client of a built-in profile, with every address moved to the server of the tests.

    :param mail_provider: As the server calls what it plays; ``generic`` is ``custom`` here.
    :param tenant: What stands for ``{tenant_id}``.
    """
    profile = get_profile("custom" if mail_provider == "generic" else mail_provider)
    dialect = next(one for one in DIALECTS if one.name == mail_provider)
    issuer = None
    if profile.issuer is not None:
        issuer = server.base_url + dialect.issuer_path.replace("{tenant}", "{tenant_id}")
        profile = replace(profile, issuer=issuer)
    elif mail_provider == "generic":
        issuer = server.issuer
    urls = {
        name: server.base_url + dialect.paths[path].format(tenant=tenant)
        for name, path in _URLS.items()
        if path in dialect.paths and _offered(profile, name)
    }
    settings = OAuthSettings(
        conn_id=CONN_ID,
        profile=profile,
        client_id=server.client_id,
        client_secret=server.client_secret,
        tenant_id=tenant if "{tenant_id}" in (issuer or "") else None,
        endpoints=Endpoints(
            issuer=None if issuer is None else issuer.replace("{tenant_id}", tenant), **urls
        ),
        scopes=profile.scopes,
        extra_scopes=profile.extra_scopes,
        login=LOGIN,
        transport=TransportSettings(
            ca_file=str(server.ca_file), connect_timeout_seconds=5.0, read_timeout_seconds=5.0
        ),
    )
    return replace(settings, **changes)


def generic(server: AuthorizationServer, **changes: Any) -> OAuthSettings:
    """Return a client of the generic server that asks for an id_token."""
    values = {"scopes": ("https://mail.example.test/imap",), "extra_scopes": ("openid",)}
    return client_of(server, "generic", **{**values, **changes})


def begun(settings: OAuthSettings) -> PendingAuthorization:
    """Begin a sign-in."""
    return start(settings, REDIRECT_URI)


def asked(settings: OAuthSettings) -> dict[str, str]:
    """Return the parameters that a browser is sent to the mail provider with."""
    query = parse_qs(urlsplit(begun(settings).url).query)
    return {name: value for name, [value] in query.items()}


def sign_in(
    server: AuthorizationServer,
    settings: OAuthSettings,
    login: str = LOGIN,
    *,
    scopes: Iterable[str] | None = None,
) -> TokenResponse:
    """Sign in as somebody at a browser does who consents (to these scopes alone)."""
    pending = begun(settings)
    callback = server.consent(pending.url, login, scopes=scopes)
    with Transport(settings.transport) as transport:
        return finish(settings, pending, callback, transport)


def sign_in_refused(
    server: AuthorizationServer, settings: OAuthSettings, *, scopes: Iterable[str] | None = None
) -> OAuthError:
    """Return why a sign-in was refused."""
    with pytest.raises(OAuthError) as caught:
        sign_in(server, settings, scopes=scopes)
    assert caught.value.conn_id == CONN_ID
    return caught.value


def sign_in_by_device(
    server: AuthorizationServer, settings: OAuthSettings, login: str = LOGIN
) -> TokenResponse:
    """Sign in as somebody does who enters a code, while the server's clock takes the waits."""
    with Transport(settings.transport) as transport:
        device = device_authorization.start(settings, transport)
        server.decide_device(device.user_code, login)
        return device_authorization.wait(
            settings, device, transport, sleep=server.advance_clock, monotonic=lambda: 0.0
        )


def spend(settings: OAuthSettings, refresh_token: str) -> TokenResponse:
    """Spend a refresh token."""
    with Transport(settings.transport) as transport:
        return refresh(settings, refresh_token, transport)


def spend_refused(settings: OAuthSettings, refresh_token: str) -> OAuthError:
    """Return why a refresh token was refused."""
    with pytest.raises(OAuthError) as caught:
        spend(settings, refresh_token)
    assert (caught.value.conn_id, caught.value.step) == (CONN_ID, "token request")
    return caught.value


class Hours:
    """A monotonic clock that stands until it is moved, and a cache of keys that goes by it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        cache = MetadataCache(now=lambda: self.seconds)
        monkeypatch.setattr("airflow_imap_oauth.oauth.id_token.METADATA", cache)


def _offered(profile: MailProviderProfile, name: str) -> bool:
    return profile.name == "custom" or getattr(profile, name) is not None
