# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""How a token record changes: pure functions from one record to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from airflow_imap_oauth import exceptions
from airflow_imap_oauth.exceptions import ImapOAuthError, TransientOAuthError
from airflow_imap_oauth.oauth.accounts import Account, bound_after
from airflow_imap_oauth.tokens.record import LastError, TokenRecord

_MAX_TEXT_LENGTH = 200


def begun(
    seed_fingerprint: str,
    refresh_token: str,
    *,
    before: TokenRecord | None,
    at: datetime,
    grant: str = "user_consent",
    account: Mapping[str, str] | None = None,
) -> TokenRecord:
    """
    Begin a record with a seed.

    :param refresh_token: The seed, sealed for the record.
    :param before: The record it takes the place of: its seed is superseded.
    :param account: Whose tokens they must be; None: whoever comes first.
    """
    superseded: tuple[str, ...] = ()
    if before is not None:
        earlier = (*before.superseded_seed_fingerprints, before.seed_fingerprint)
        # A seed that somebody has just authorized rules, even one seen before.
        superseded = tuple(seed for seed in earlier if seed != seed_fingerprint)
    return TokenRecord(
        generation=1 if before is None else before.generation + 1,
        grant=grant,
        refresh_token=refresh_token,
        account=account,
        seed_fingerprint=seed_fingerprint,
        superseded_seed_fingerprints=superseded,
        status_since_at=at,
    )


def renewed(
    record: TokenRecord,
    *,
    access_token: str,
    expires_at: datetime,
    refresh_token: str | None,
    scopes: tuple[str, ...] | None,
    account: Account | None,
    at: datetime,
) -> TokenRecord:
    """
    Take in a token response.

    :param access_token: Sealed.
    :param refresh_token: The new one, sealed; None where the old one stays in force.
    :param scopes: As granted; None where the response is silent, so that they are unchanged.
    :param account: Whose tokens they are; None where the response does not tell.
    :param at: When it was asked for.
    """
    return replace(
        record,
        generation=record.generation + 1,
        access_token=access_token,
        access_token_expires_at=expires_at,
        refresh_token=refresh_token or record.refresh_token,
        previous_refresh_token=record.refresh_token
        if refresh_token
        else record.previous_refresh_token,
        scopes=record.scopes if scopes is None else scopes,
        account=bound_after(record.account, account),
        status="active",
        status_reason=None,
        status_since_at=record.status_since_at if record.status == "active" else at,
        last_refresh_at=at,
        last_error=None,
        in_flight_fingerprint=None,
        in_flight_at=None,
    )


def faulted(
    record: TokenRecord, error: ImapOAuthError, *, refresh_token: str | None, at: datetime
) -> TokenRecord:
    """
    Take the refresh token of an answer that is refused otherwise.

    :param refresh_token: The new one, sealed; None where the old one stays in force.
    """
    if refresh_token is None:
        return failed(record, error, at=at)
    return replace(
        record,
        generation=record.generation + 1,
        refresh_token=refresh_token,
        previous_refresh_token=record.refresh_token,
        last_error=last_error(error, at=at),
        in_flight_fingerprint=None,
        in_flight_at=None,
    )


def refused(record: TokenRecord, error: ImapOAuthError, *, at: datetime) -> TokenRecord:
    """Mark that somebody must authorize again. The refresh token stays: an error deletes none."""
    failure = last_error(error, at=at)
    return replace(
        record,
        status="needs_authorization",
        status_reason=failure.text,
        status_since_at=at,
        last_error=failure,
        in_flight_fingerprint=None,
        in_flight_at=None,
    )


def failed(
    record: TokenRecord, error: ImapOAuthError, *, at: datetime, lost_at: datetime | None = None
) -> TokenRecord:
    """
    Note a failure that leaves the tokens as they are, as far as can be known.

    :param lost_at: When an earlier renewal went out to spend the same refresh token, and was cut
        off; None: none did.
    """
    noted = replace(record, last_error=last_error(error, at=at))
    if isinstance(error, TransientOAuthError):
        return noted  # the server may have done its part, and only the answer is missing
    # This renewal has spent nothing; what an earlier one may have spent is as doubtful as before.
    mark = None if lost_at is None else record.in_flight_fingerprint
    return replace(noted, in_flight_fingerprint=mark, in_flight_at=lost_at)


def sent(record: TokenRecord, fingerprint: str, *, at: datetime) -> TokenRecord:
    """Note that a refresh token is about to be spent: whoever comes after a crash reads it."""
    return replace(record, in_flight_fingerprint=fingerprint, in_flight_at=at)


def without_access_token(record: TokenRecord) -> TokenRecord:
    """Drop the access token."""
    return replace(record, access_token=None, access_token_expires_at=None)


def last_error(error: ImapOAuthError, *, at: datetime) -> LastError:
    """Describe an error for the record: its own message, shortened, in one line."""
    wait = error.retry_after_seconds
    return LastError(
        kind=type(error).__name__,
        text=_short(error.message),
        hint=_short(error.hint),
        at=at,
        retry_at=None if wait is None else at + timedelta(seconds=wait),
    )


def error_again(failure: LastError) -> ImapOAuthError:
    """Make the error anew that another worker met, so that the same is said and done about it."""
    kind = getattr(exceptions, failure.kind, None)
    if not (isinstance(kind, type) and issubclass(kind, ImapOAuthError)):
        kind = TransientOAuthError
    wait = None if failure.retry_at is None else (failure.retry_at - failure.at).total_seconds()
    return kind(
        f"{failure.text} (Another worker was just told so.)",
        hint=failure.hint,
        step="token request",
        retry_after_seconds=wait,
    )


def _short(text: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in text)
    return printable[:_MAX_TEXT_LENGTH]
