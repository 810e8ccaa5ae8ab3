# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""OAuth clients of every kind, all of them at the authorization server of the tests."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_imap_oauth.oauth.profiles import get_profile
from airflow_imap_oauth.oauth.settings import (
    ClientKey,
    Endpoints,
    OAuthSettings,
    TransportSettings,
)
from tests.servers.authorization import client_keys
from tests.servers.authorization.dialects import (
    GOOGLE_IMAP_SCOPE,
    IMAP_SCOPE,
    MICROSOFT_APP_SCOPE,
    MICROSOFT_IMAP_SCOPE,
)

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

CONN_ID = "mail"
LOGIN = "ada@example.test"
TENANT = "contoso"
ROBOT = "robot@project.iam.gserviceaccount.com"


def custom(server: AuthorizationServer, **changes: Any) -> OAuthSettings:
    """Return a client of the generic server, for our own engine."""
    return _settings(
        server,
        "custom",
        Endpoints(
            issuer=server.issuer,
            authorize_url=server.authorize_url,
            token_url=server.token_url,
            device_url=server.device_url,
            revoke_url=server.revoke_url,
        ),
        (IMAP_SCOPE,),
        changes,
    )


def microsoft(server: AuthorizationServer, **changes: Any) -> OAuthSettings:
    """Return a client of the server that answers as Entra does, for MSAL."""
    base = f"{server.base_url}/{TENANT}"
    return _settings(
        server,
        "microsoft",
        Endpoints(
            issuer=f"{base}/v2.0",
            authorize_url=f"{base}/oauth2/v2.0/authorize",
            token_url=f"{base}/oauth2/v2.0/token",
            device_url=f"{base}/oauth2/v2.0/devicecode",
            jwks_url=f"{base}/discovery/v2.0/keys",
        ),
        (MICROSOFT_IMAP_SCOPE,),
        changes,
    )


def google(server: AuthorizationServer, **changes: Any) -> OAuthSettings:
    """Return a client of the server that answers as Google does, for google-auth."""
    base = f"{server.base_url}/google"
    return _settings(
        server,
        "google",
        Endpoints(
            issuer=base,
            authorize_url=f"{base}/authorize",
            token_url=f"{base}/token",
            revoke_url=f"{base}/revoke",
        ),
        (GOOGLE_IMAP_SCOPE,),
        changes,
    )


def yahoo(server: AuthorizationServer, **changes: Any) -> OAuthSettings:
    """Return a client of the server that answers as Yahoo does."""
    base = f"{server.base_url}/yahoo/oauth2"
    endpoints = Endpoints(
        authorize_url=f"{base}/request_auth",
        token_url=f"{base}/get_token",
        revoke_url=f"{base}/revoke",
    )
    return _settings(server, "yahoo", endpoints, None, changes)


def zoho(server: AuthorizationServer, **changes: Any) -> OAuthSettings:
    """Return a client of the server that answers as Zoho does."""
    base = f"{server.base_url}/zoho/oauth/v2"
    endpoints = Endpoints(
        authorize_url=f"{base}/auth",
        token_url=f"{base}/token",
        revoke_url=f"{base}/token/revoke",
    )
    return _settings(server, "zoho", endpoints, None, changes)


def yandex(server: AuthorizationServer, **changes: Any) -> OAuthSettings:
    """Return a client of the server that answers as Yandex does."""
    base = f"{server.base_url}/yandex"
    endpoints = Endpoints(
        authorize_url=f"{base}/authorize",
        token_url=f"{base}/token",
        device_url=f"{base}/device/code",
    )
    return _settings(server, "yandex", endpoints, None, changes)


# --- The application itself -----------------------------------------------------------------------


def application(
    server: AuthorizationServer, mail_provider: str = "custom", **changes: Any
) -> OAuthSettings:
    """
    Return a client that signs in as itself, by its secret.

    :param mail_provider: ``custom`` or ``microsoft``.
    """
    own = {"grant": "client_credentials", "extra_scopes": ()}
    if mail_provider == "microsoft":
        return microsoft(server, **{**own, "scopes": (MICROSOFT_APP_SCOPE,), **changes})
    return custom(server, **{**own, **changes})


def signer(
    server: AuthorizationServer,
    key: client_keys.ClientKey,
    mail_provider: str = "custom",
    *,
    key_id: str | None = None,
    registered: client_keys.ClientKey | None = None,
    **changes: Any,
) -> OAuthSettings:
    """
    Return a client that signs in as itself, by its key; it is new to the server.

    :param registered: The key that the server knows, where that is another one.
    """
    client_id = f"signer-{secrets.token_hex(4)}"
    known = registered or key
    certificate = key.certificate if mail_provider == "microsoft" else None
    server.add_client(client_id, assertion_key=known.certificate, login=LOGIN)
    own = {
        "client_id": client_id,
        "client_secret": None,
        "client_auth_method": "private_key_jwt",
        "client_key": ClientKey(
            private_key=key.private_key, certificate_chain=certificate, key_id=key_id
        ),
    }
    return application(server, mail_provider, **{**own, **changes})


def service_account(server: AuthorizationServer, **changes: Any) -> OAuthSettings:
    """Return a service account at Google, new to the server, that may act for ``LOGIN``."""
    own = {
        "grant": "service_account",
        "client_id": "",
        "client_secret": None,
        "extra_scopes": (),
    }
    if "service_account_key" not in changes:
        own["service_account_key"] = server.new_service_account(ROBOT, subjects=[LOGIN])
    return google(server, **{**own, **changes})


def _settings(
    server: AuthorizationServer,
    profile_name: str,
    endpoints: Endpoints,
    scopes: tuple[str, ...] | None,
    changes: dict[str, Any],
) -> OAuthSettings:
    profile = get_profile(profile_name)
    if profile.issuer is not None and endpoints.issuer is not None:
        issuer = endpoints.issuer.replace(f"/{TENANT}/", "/{tenant_id}/")
        profile = replace(profile, issuer=issuer)
    settings = OAuthSettings(
        conn_id=CONN_ID,
        profile=profile,
        client_id=server.client_id,
        client_secret=server.client_secret,
        endpoints=endpoints,
        scopes=profile.scopes if scopes is None else scopes,
        extra_scopes=profile.extra_scopes,
        login=LOGIN,
        transport=TransportSettings(
            ca_file=str(server.ca_file), connect_timeout_seconds=5.0, read_timeout_seconds=5.0
        ),
    )
    return replace(settings, **changes)


CLIENTS: dict[str, Callable[..., OAuthSettings]] = {
    "rfc6749": custom,
    "msal": microsoft,
    "google-auth": google,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client of one engine, and its server."""

    server: AuthorizationServer
    settings: OAuthSettings

    def mint(self) -> str:
        """Return a refresh token, as if the user had consented."""
        asked = (*self.settings.scopes, *self.settings.extra_scopes)
        return self.server.mint_refresh_token(LOGIN, scopes=asked)

    def with_settings(self, **changes: Any) -> Client:
        """Return the same client with other settings."""
        return replace(self, settings=replace(self.settings, **changes))

    def with_transport(self, **changes: Any) -> Client:
        """Return the same client with other settings of its transport."""
        return self.with_settings(transport=replace(self.settings.transport, **changes))
