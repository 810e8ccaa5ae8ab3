# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""One OAuth client per engine, all of them at the authorization server of the tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_imap_oauth.oauth.profiles import get_profile
from airflow_imap_oauth.oauth.settings import Endpoints, OAuthSettings, TransportSettings
from tests.servers.authorization.dialects import (
    GOOGLE_IMAP_SCOPE,
    IMAP_SCOPE,
    MICROSOFT_IMAP_SCOPE,
)

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

CONN_ID = "mail"
LOGIN = "ada@example.test"
TENANT = "contoso"


def custom(server: AuthorizationServer, **changes: Any) -> OAuthSettings:
    """Return a client of the generic server, for our own engine."""
    return _settings(
        server,
        "custom",
        Endpoints(
            issuer=server.issuer,
            authorize_url=server.authorize_url,
            token_url=server.token_url,
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
        Endpoints(issuer=base, authorize_url=f"{base}/authorize", token_url=f"{base}/token"),
        (GOOGLE_IMAP_SCOPE,),
        changes,
    )


def _settings(
    server: AuthorizationServer,
    profile_name: str,
    endpoints: Endpoints,
    scopes: tuple[str, ...],
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
        scopes=scopes,
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
