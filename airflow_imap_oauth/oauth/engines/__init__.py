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
from typing import TYPE_CHECKING, Protocol, cast

from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    ImapOAuthError,
    ReauthorizationRequiredError,
    TokenResponseError,
)
from airflow_imap_oauth.oauth.clock import utc_now
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.scopes import check_scopes
from airflow_imap_oauth.oauth.settings import OAuthSettings

if TYPE_CHECKING:
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
        if not refresh_token:
            raise ReauthorizationRequiredError(
                "There is no refresh token.",
                hint=f"Authorize: airflow imap-oauth login {settings.conn_id}.",
            )
        _check_secret(settings)
        check_scopes(settings)
        response = _engine(settings).refresh(settings, refresh_token, transport)
        response = _with_account(response, settings)
    except ImapOAuthError as error:
        error.located(conn_id=settings.conn_id, step=STEP)
        raise
    if response.refresh_token != refresh_token:
        return response
    if response.fault is not None:
        raise response.fault
    return replace(response, refresh_token=None)


def obtain(settings: OAuthSettings, transport: Transport) -> TokenResponse:
    """
    Ask for an access token by the application's own grant.

    That is client credentials (RFC 6749 section 4.4), or a service account's assertion (RFC 7523
    section 2.1).

    :param settings: Of one of these grants, with all secrets opened.
    :return: The response, without refresh token.
    :raises: As :func:`refresh`, but nobody can authorize again: where that would be said,
        :class:`~airflow_imap_oauth.exceptions.ClientRejectedError` says what to check.
    """
    try:
        _check_secret(settings)
        _check_own_credential(settings)
        check_scopes(settings)
        return _engine(settings).obtain(settings, transport)
    except ImapOAuthError as error:
        error.located(conn_id=settings.conn_id, step=STEP)
        raise


class _Engine(Protocol):
    def refresh(
        self, settings: OAuthSettings, refresh_token: str, transport: Transport, /
    ) -> TokenResponse: ...

    def obtain(self, settings: OAuthSettings, transport: Transport, /) -> TokenResponse: ...


def _engine(settings: OAuthSettings) -> _Engine:
    return cast("_Engine", import_module(_MODULES[settings.profile.engine]))


def _with_account(response: TokenResponse, settings: OAuthSettings) -> TokenResponse:
    """Read whose tokens came; what an id_token says wrongly must not lose a new refresh token."""
    if response.id_token is None or response.fault is not None:
        return response
    from airflow_imap_oauth.oauth.id_token import (  # noqa: PLC0415  # loads an HTTP client
        account_of,
        unexpected,
    )

    try:
        account = account_of(response.id_token, settings, now=response.answered_at or utc_now())
    except TokenResponseError as error:
        fault = error
    except Exception as error:  # noqa: BLE001  # a claim that nobody thought of; it may be quoted
        fault = unexpected(error)
    else:
        return replace(response, account=account)
    if response.refresh_token is None:
        raise fault
    fault.located(conn_id=settings.conn_id, step=STEP)
    return replace(response, access_token="", expires_in_seconds=1, fault=fault)


def _check_secret(settings: OAuthSettings) -> None:
    if settings.profile.client_secret_required and not settings.client_secret:
        raise ConfigurationError(
            f"{settings.profile.label} demands a client secret.",
            hint="Set client_secret of the connection.",
        )


def _check_own_credential(settings: OAuthSettings) -> None:
    if settings.grant == "client_credentials" and not (
        settings.client_secret or settings.client_key
    ):
        raise ConfigurationError(
            "The application has nothing to sign in with.",
            hint="Set client_secret of the connection, or its private key"
            " (certificate_private_key).",
        )
