# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What every sign-in of a person has to bring, whichever way they signed in."""

from __future__ import annotations

from dataclasses import replace

from airflow_imap_oauth.exceptions import AuthorizationFlowError, ImapOAuthError
from airflow_imap_oauth.oauth.clock import utc_now
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.id_token import account_of, check_signature, unexpected
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.settings import OAuthSettings


def signed_in(
    response: TokenResponse,
    settings: OAuthSettings,
    transport: Transport,
    *,
    step: str,
    nonce: str | None = None,
) -> TokenResponse:
    """
    Accept what a sign-in brought: a refresh token, and where there is an id_token, a sound one.

    :param nonce: As sent with the request; then an id_token has to answer it.
    :return: The response with its account.
    :raises AuthorizationFlowError: If there is no refresh token. Start again, after what the hint
        says.
    :raises TokenResponseError: If the id_token is not sound. A retry cannot help.
    """
    if response.refresh_token is None:
        raise AuthorizationFlowError(
            "The sign-in brought no refresh token, so nothing was saved.",
            hint=settings.profile.missing_refresh_token_hint,
            conn_id=settings.conn_id,
            step=step,
        )
    if response.id_token is None:
        return response
    try:
        check_signature(response.id_token, settings, transport)
        account = account_of(
            response.id_token, settings, now=response.answered_at or utc_now(), nonce=nonce
        )
    except ImapOAuthError:
        raise
    except Exception as error:  # noqa: BLE001  # a claim that nobody thought of; it may be quoted
        fault = unexpected(error)
    else:
        return replace(response, account=account)
    # Outside of the except clause: the caught error may refer to the tokens.
    raise fault
