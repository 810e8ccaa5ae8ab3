# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""From a token response to the next record: what came plain is sealed here, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from airflow_imap_oauth.exceptions import ReauthorizationRequiredError
from airflow_imap_oauth.oauth.accounts import is_another
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.tokens import transitions
from airflow_imap_oauth.tokens.record import TokenRecord
from airflow_imap_oauth.tokens.seeds import (
    Tokens,
    TokenSealer,
    fingerprint,
    granted_refresh_token,
    same_token,
)


def checked_account(response: TokenResponse, record: TokenRecord, conn_id: str) -> TokenResponse:
    """
    Refuse the access token of another account than the one that is bound.

    A refresh token that came along is kept all the same: it may be the only living one.
    """
    if response.fault is not None or not is_another(record.account, response.account):
        return response
    fault = ReauthorizationRequiredError(
        "The tokens belong to another account than the one that authorized.",
        hint=f"Authorize again with the right account: airflow imap-oauth login {conn_id}.",
        step="token request",
    )
    return replace(response, access_token="", fault=fault)


def record_of_renewal(
    spent: Tokens, response: TokenResponse, sealer: TokenSealer, *, asked_at: datetime
) -> TokenRecord:
    """
    Take in the answer to a renewal.

    An answer with a fault brings no access token, but a refresh token that may be the only living
    one; an access token that still lives stays then.

    :param asked_at: When the request was sent: lifetimes count from there.
    """
    rotated = response.refresh_token
    if rotated is not None and same_token(rotated, spent.refresh_token):
        rotated = None
    sealed = None if rotated is None else sealer.seal_refresh_token(rotated)
    if response.fault is not None:
        return transitions.faulted(spent.record, response.fault, refresh_token=sealed, at=asked_at)
    return _renewed(spent.record, response, sealer, refresh_token=sealed, asked_at=asked_at)


def record_of_authorization(
    response: TokenResponse, before: TokenRecord | None, sealer: TokenSealer, *, at: datetime
) -> TokenRecord:
    """
    Begin anew with the answer to an authorization.

    :param before: The record it takes the place of, or None.
    :raises ReauthorizationRequiredError: If it brought no refresh token. A retry cannot help.
    """
    seed = granted_refresh_token(response)
    sealed = sealer.seal_refresh_token(seed)
    record = transitions.begun(fingerprint(seed), sealed, before=before, at=at)
    return _renewed(record, response, sealer, refresh_token=None, asked_at=at)


def _renewed(
    record: TokenRecord,
    response: TokenResponse,
    sealer: TokenSealer,
    *,
    refresh_token: str | None,
    asked_at: datetime,
) -> TokenRecord:
    return transitions.renewed(
        record,
        access_token=sealer.seal_access_token(response.access_token),
        expires_at=asked_at + timedelta(seconds=response.expires_in_seconds),
        refresh_token=refresh_token,
        scopes=response.scopes,
        account=response.account,
        at=asked_at,
    )
