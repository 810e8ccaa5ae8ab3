# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The one request of a renewal, at the authorization server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.settings import OAuthSettings, TransportSettings

if TYPE_CHECKING:
    from airflow_imap_oauth.oauth.http import Transport

#: Spends a refresh token and returns the answer.
Refresh = Callable[[str], TokenResponse]


class ServerRefresh:
    """
    Asks the authorization server of a connection, over a transport of its own for each request.

    :param settings: As configured; discovery completes the endpoints when they are needed.
    :param transport_factory: Makes the transport; None: the transport of this package.
    """

    def __init__(
        self,
        settings: OAuthSettings,
        transport_factory: Callable[[TransportSettings], Transport] | None = None,
    ) -> None:
        self._settings = settings
        self._transport_factory = transport_factory

    def __call__(self, refresh_token: str) -> TokenResponse:
        """
        Send one token request, and discovery before it where it is needed.

        :param refresh_token: Is spent; a grant of the client itself needs none.

        :raises ReauthorizationRequiredError: If the server refuses the refresh token. A retry
            cannot help.
        :raises TransientOAuthError: If the server is out of order for now. A retry helps.
        :raises OAuthError: If it refuses for another reason. A retry cannot help.
        """
        # Only whoever renews pays for the import of an HTTP client.
        from airflow_imap_oauth.oauth import discovery, engines  # noqa: PLC0415
        from airflow_imap_oauth.oauth.http import Transport  # noqa: PLC0415

        factory = self._transport_factory or Transport
        with factory(self._settings.transport) as transport:
            settings = discovery.complete(self._settings, transport, "token_url")
            if settings.grant != "user_consent":
                return engines.obtain(settings, transport)
            return engines.refresh(settings, refresh_token, transport)


class ServerRevocation:
    """
    Asks the authorization server of a connection to revoke a refresh token.

    :param settings: As configured; discovery completes the endpoints.
    """

    def __init__(self, settings: OAuthSettings) -> None:
        self._settings = settings

    def __call__(self, refresh_token: str) -> None:
        """
        Revoke it.

        :raises ConfigurationError: If the mail provider offers none; the hint says what to do.
        :raises TransientOAuthError: If the server is out of order for now. A retry helps.
        :raises OAuthError: If it refuses. A retry cannot help.
        """
        from airflow_imap_oauth.oauth import discovery, revocation  # noqa: PLC0415  # as above
        from airflow_imap_oauth.oauth.http import Transport  # noqa: PLC0415  # as above

        with Transport(self._settings.transport) as transport:
            settings = discovery.complete(
                self._settings, transport, "token_url", wanted=("revoke_url",)
            )
            revocation.revoke(settings, refresh_token, transport)
