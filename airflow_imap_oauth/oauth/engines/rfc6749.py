# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Our own token client: the few lines of RFC 6749 that a token request needs."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_imap_oauth.oauth.client_authentication import authenticate
from airflow_imap_oauth.oauth.discovery import complete
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.oauth.taxonomy import GrantKind
from airflow_imap_oauth.oauth.validation import read_token_answer


def refresh(settings: OAuthSettings, refresh_token: str, transport: Transport) -> TokenResponse:
    """
    Refresh without naming scopes: RFC 6749 section 6 then means those granted before.

    :raises: As :func:`airflow_imap_oauth.oauth.engines.refresh`.
    """
    return token_request(
        settings,
        {"grant_type": "refresh_token", "refresh_token": refresh_token},
        transport,
        step="token request",
        grant="refresh_token",
    )


def obtain(settings: OAuthSettings, transport: Transport) -> TokenResponse:
    """
    Ask for an access token as the client itself (RFC 6749 section 4.4).

    :raises: As :func:`airflow_imap_oauth.oauth.engines.obtain`.
    """
    return token_request(
        settings,
        {"grant_type": "client_credentials", "scope": " ".join(settings.scopes)},
        transport,
        step="token request",
        grant="client_credentials",
    )


def token_request(
    settings: OAuthSettings,
    form: Mapping[str, str],
    transport: Transport,
    *,
    step: str,
    grant: GrantKind,
) -> TokenResponse:
    """
    Send one token request, authenticated as the client (RFC 6749 section 2.3).

    :param form: The parameters of the grant. Empty ones are left out (section 3.1: they count
        as omitted).
    :raises: As :func:`airflow_imap_oauth.oauth.validation.read_token_answer`, and as
        :meth:`airflow_imap_oauth.oauth.http.Transport.request`.
    """
    settings = complete(settings, transport, "token_url")
    authentication = authenticate(settings)
    answer = transport.request(
        "POST",
        settings.endpoints.token_url or "",
        form={**{name: value for name, value in form.items() if value}, **authentication.form},
        basic_auth=authentication.basic_auth,
        step=step,
    )
    return read_token_answer(answer, settings, step=step, grant=grant)
