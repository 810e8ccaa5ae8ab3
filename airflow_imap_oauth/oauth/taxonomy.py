# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
From the error answer of an authorization server to the error to raise.

A row of :mod:`.error_table` is chosen by numbers first (``error_codes`` of Microsoft Entra), then
by sub-code, then by ``error`` (RFC 6749 section 5.2), from the most to the least particular.
``error_description`` decides nothing and is not shown: its wording is no interface, and it may
quote the request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from airflow_imap_oauth.exceptions import (
    AuthorizationFlowError,
    ClientRejectedError,
    OAuthError,
    ReauthorizationRequiredError,
)
from airflow_imap_oauth.oauth.error_table import REFUSED, RULES, SIGN_IN_AGAIN, Rule

GrantKind = Literal[
    "refresh_token", "authorization_code", "device_code", "client_credentials", "service_account"
]
#: Grants of the application itself: nobody consented, so nobody can consent again.
OWN_GRANTS: frozenset[GrantKind] = frozenset({"client_credentials", "service_account"})
#: Grants of a person who has just been asked.
SIGN_INS: frozenset[GrantKind] = frozenset({"authorization_code", "device_code"})

_SHOWABLE = re.compile(r"[A-Za-z][A-Za-z_ .-]{1,60}")
_REQUEST_ID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")

_OWN_GRANT_HINTS: dict[GrantKind, str] = {
    "client_credentials": (
        "Check tenant_id, client_id and the client's secret or certificate, and for the"
        " application's own access that an administrator consented to it."
    ),
    "service_account": (
        "Check that the service account and its key still exist, that the mailbox address is an"
        " account of the domain, and this machine's clock."
    ),
}
_NOT_DELEGATED_WORDS = frozenset({"unauthorized_client", "access_denied"})
_NOT_DELEGATED = (
    "In the Google Admin console, under API controls, domain-wide delegation, add the service"
    " account's numeric client ID with exactly the scopes of the connection."
)


def classify(
    payload: Mapping[str, Any],
    *,
    status_code: int | None,
    conn_id: str,
    step: str,
    grant: GrantKind = "refresh_token",
    reauthorization_hint: str | None = None,
) -> OAuthError:
    """
    Turn the error answer of a token endpoint into the error to raise.

    :param payload: The decoded JSON; ``error`` may be a string (RFC 6749) or an object (Yahoo).
    :param status_code: None for an error that came by redirect.
    :param grant: What was asked for: a code that is not accepted is another matter than a
        refresh token that is not.
    :param reauthorization_hint: What the mail provider's profile adds about dead refresh tokens.
    :return: A permanent error for what the table does not know.
    """
    error = error_code(payload)
    codes = _error_codes(payload)
    unknown = AuthorizationFlowError if grant in SIGN_INS else OAuthError
    rule = _find(error, codes, _suberror(payload)) or Rule(kind=unknown)
    kind, hint = _for_grant(rule, error, grant, reauthorization_hint)
    correlation_id = _request_id(payload, "correlation_id")
    trace_id = _request_id(payload, "trace_id")
    return kind(
        _message(error, codes, correlation_id, trace_id),
        error=error,
        status_code=status_code,
        correlation_id=correlation_id or trace_id,
        hint=None if hint is None else hint.replace("{conn_id}", conn_id),
        conn_id=conn_id,
        step=step,
        retry_after_seconds=rule.retry_after_seconds,
    )


def _for_grant(
    rule: Rule, error: str | None, grant: GrantKind, reauthorization_hint: str | None
) -> tuple[type[OAuthError], str | None]:
    """Say what a row means for this grant: who can consent again, if anybody."""
    kind, hint = rule.kind, rule.hint
    if grant == "service_account" and error in _NOT_DELEGATED_WORDS:
        return ClientRejectedError, _NOT_DELEGATED
    if grant in OWN_GRANTS and (
        issubclass(kind, ReauthorizationRequiredError | AuthorizationFlowError)
        or (kind is ClientRejectedError and hint is None)
    ):
        return ClientRejectedError, _OWN_GRANT_HINTS[grant]
    if not issubclass(kind, ReauthorizationRequiredError):
        return kind, hint
    if grant in SIGN_INS:
        # Entra's number for it stands among those of lost consent.
        declined = error == "authorization_declined"
        return AuthorizationFlowError, REFUSED if declined else SIGN_IN_AGAIN
    if hint is None:
        hint = "Authorize again: airflow imap-oauth login {conn_id}."
        if reauthorization_hint:
            hint = f"{hint} {reauthorization_hint}"
    return kind, hint


def error_code(payload: Mapping[str, Any]) -> str | None:
    """
    Return the error code of an answer, if it has one that is fit to be shown.

    :return: None where there is none, or where it has the look of data rather than of a code:
        a server that echoes a token in ``error`` must not get it into a log.
    """
    error = payload.get("error")
    if isinstance(error, Mapping):
        names = ("errorId", "error", "code", "type")
        error = next((error[name] for name in names if isinstance(error.get(name), str)), None)
    return error if isinstance(error, str) and _SHOWABLE.fullmatch(error) else None


def _find(error: str | None, codes: tuple[int, ...], suberror: str | None) -> Rule | None:
    for code in codes:
        for rule in RULES:
            if code in rule.codes:
                return rule
    for rule in RULES:
        if suberror in rule.suberrors:
            return rule
    name = (error or "").lower()
    return next((rule for rule in RULES if name in rule.errors), None)


def _error_codes(payload: Mapping[str, Any]) -> tuple[int, ...]:
    found = payload.get("error_codes")
    if not isinstance(found, list):
        return ()
    return tuple(code for code in found[:8] if type(code) is int and 0 < code < 10**9)


def _suberror(payload: Mapping[str, Any]) -> str | None:
    for name in ("suberror", "error_subtype"):
        if isinstance(payload.get(name), str):
            return str(payload[name])
    return None


def _request_id(payload: Mapping[str, Any], name: str) -> str | None:
    found = payload.get(name)
    return found if isinstance(found, str) and _REQUEST_ID.fullmatch(found) else None


def _message(
    error: str | None, codes: tuple[int, ...], correlation_id: str | None, trace_id: str | None
) -> str:
    details = [f"AADSTS{code}" for code in codes]
    if correlation_id:
        details.append(f"correlation id {correlation_id}")
    if trace_id:
        details.append(f"trace id {trace_id}")
    said = f"said '{error}'" if error else "refused without a known error code"
    more = f" ({', '.join(details)})" if details else ""
    return f"The authorization server {said}{more}."
