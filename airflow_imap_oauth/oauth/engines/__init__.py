# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Token clients: one per kind of mail provider, behind one function.

Each engine sends exactly one request to the token endpoint, through the transport it is given,
and answers with what the server said; none retries, and none remembers.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, cast

from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    ImapOAuthError,
    ReauthorizationRequiredError,
)
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.settings import OAuthSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_imap_oauth.oauth.http import Transport

STEP = "token request"

# Loaded at first use: MSAL and google-auth take a good part of a second to import.
_MODULES = {
    "rfc6749": "airflow_imap_oauth.oauth.engines.rfc6749",
    "msal": "airflow_imap_oauth.oauth.engines.msal",
    "google-auth": "airflow_imap_oauth.oauth.engines.google",
}


def refresh(settings: OAuthSettings, refresh_token: str, transport: Transport) -> TokenResponse:
    """
    Spend a refresh token (RFC 6749 section 6).

    :param settings: With all secrets opened.
    :return: The response. ``refresh_token`` is None where the old one stays in force. Where it is
        not, save it before anything else, and look at ``fault`` before using the access token.
    :raises ReauthorizationRequiredError: If the refresh token is missing or dead.
    :raises ClientRejectedError: If client, secret, tenant or scope are wrong.
    :raises PolicyError: If a policy forbids it.
    :raises ConfigurationError: If settings are missing or malformed.
    :raises TransientOAuthError: If the server, or the way to it, is out of order. Only here
        a retry helps; whether the server received the refresh token may be in doubt.
    :raises OAuthError: For any other refusal.
    """
    try:
        _check(settings, refresh_token)
        engine = cast(
            "Callable[[OAuthSettings, str, Transport], TokenResponse]",
            import_module(_MODULES[settings.profile.engine]).refresh,
        )
        response = engine(settings, refresh_token, transport)
    except ImapOAuthError as error:
        error.located(conn_id=settings.conn_id, step=STEP)
        raise
    if response.refresh_token != refresh_token:
        return response
    if response.fault is not None:
        raise response.fault
    return replace(response, refresh_token=None)


def _check(settings: OAuthSettings, refresh_token: str) -> None:
    if not refresh_token:
        raise ReauthorizationRequiredError(
            "There is no refresh token.",
            hint=f"Authorize: airflow imap-oauth login {settings.conn_id}.",
        )
    if settings.profile.client_secret_required and not settings.client_secret:
        raise ConfigurationError(
            f"{settings.profile.label} demands a client secret.",
            hint="Set client_secret of the connection.",
        )
