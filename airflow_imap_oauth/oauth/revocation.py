# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Token revocation (RFC 7009)."""

from __future__ import annotations

from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    ImapOAuthError,
    OAuthError,
    TransientOAuthError,
)
from airflow_imap_oauth.oauth.client_authentication import authenticate
from airflow_imap_oauth.oauth.http import HttpAnswer, Transport
from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.oauth.taxonomy import classify
from airflow_imap_oauth.oauth.validation import decoded_json

STEP = "revocation"


def revoke(settings: OAuthSettings, refresh_token: str, transport: Transport) -> None:
    """
    Take a refresh token back, and with it what came of it, where the mail provider can.

    A token that the server does not know (any more) counts as revoked (section 2.2).

    :param settings: With ``revoke_url`` completed as far as it can be.
    :raises ConfigurationError: If there is no revocation endpoint; the hint says what to do
        instead.
    :raises TransientOAuthError: If the server is out of order: the token lives on (section 2.2.1).
        A retry helps.
    :raises OAuthError: If it refuses: the token lives on.
    """
    try:
        if settings.endpoints.revoke_url is None:
            raise ConfigurationError(
                f"{settings.profile.label} cannot be asked to revoke the token.",
                hint=settings.profile.no_revocation_hint,
            )
        form, basic_auth = {"token": refresh_token}, None
        if not settings.profile.revokes_by_token_alone:
            authentication = authenticate(settings)
            form |= {"token_type_hint": "refresh_token", **authentication.form}
            basic_auth = authentication.basic_auth
        answer = transport.request(
            "POST", settings.endpoints.revoke_url, form=form, basic_auth=basic_auth, step=STEP
        )
        _check(answer, settings)
    except ImapOAuthError as error:
        error.located(conn_id=settings.conn_id, step=STEP)
        raise


def _check(answer: HttpAnswer, settings: OAuthSettings) -> None:
    payload = decoded_json(answer.text) or {}
    # Zoho tells so besides the status, which is that of success for most of its errors.
    refused = payload.get("error") or payload.get("status") == "failure"
    failed = answer.status_code >= 400 or refused  # noqa: PLR2004  # the class of errors
    # Google answers so for a token that is dead already.
    if not failed or payload.get("error") == "invalid_token":
        return
    if not payload:
        # A page that says so means a wrong URL, which no retry mends.
        absent = answer.status_code in {404, 405}
        raise (OAuthError if absent else TransientOAuthError)(
            f"The answer (HTTP {answer.status_code}) is not that of a revocation endpoint.",
            hint="A proxy may have answered instead; if it persists, check revoke_url.",
            status_code=answer.status_code,
        )
    raise classify(
        payload,
        status_code=answer.status_code,
        conn_id=settings.conn_id,
        step=STEP,
        grant="client_credentials",
    )
