# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The table of error answers: every row a test, and what must never be shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from airflow_imap_oauth.exceptions import (
    AuthorizationFlowError,
    ClientRejectedError,
    OAuthError,
    PolicyError,
    ReauthorizationRequiredError,
    TransientOAuthError,
)
from airflow_imap_oauth.oauth.taxonomy import RULES, GrantKind, classify

CORRELATION_ID = "0d8c3f6e-94a1-4a7b-8d1c-2f6b1f6d3c11"
TRACE_ID = "5f7b4d1a-6a1e-4a55-9a0f-3c2b1a0f9e22"

REAUTHORIZE = ReauthorizationRequiredError
CODES: list[tuple[type[OAuthError], tuple[int, ...], str]] = [
    (ClientRejectedError, (7000215,), "its value"),
    (ClientRejectedError, (7000222,), "expired"),
    (ClientRejectedError, (7000218, 70002), "confidential"),
    (ClientRejectedError, (700025,), "public"),
    (ClientRejectedError, (700027, 50012, 700030), "certificate"),
    (
        ClientRejectedError,
        (700016, 70001, 7000112, 90002, 50059, 500011, 650052, 650057),
        "tenant_id",
    ),
    (ClientRejectedError, (50194, 9001023, 90124, 90130), "'common'"),
    (ClientRejectedError, (90038, 900382, 900432), "national cloud"),
    (ClientRejectedError, (70011, 28002, 700022, 700023), "scopes"),
    (OAuthError, (900144, 90014, 90100, 9002313), "malformed"),
    (REAUTHORIZE, (70043,), "sign-in frequency"),
    (REAUTHORIZE, (70000, 70008, 700082, 700084, 50173, 50132, 50133, 50089, 50085), "login mail"),
    (REAUTHORIZE, (50076, 50079, 50072, 50074, 50078, 700020, 16000), "second factor"),
    (REAUTHORIZE, (65001, 65004), "login mail"),
    (REAUTHORIZE, (50020, 50034, 50057, 51004, 50055, 50144), "disabled"),
    (PolicyError, (90094, 90095), "administrator"),
    (PolicyError, (53000, 53001, 53002, 53003, 53004, 530032, 530034, 530035), "access"),
    (PolicyError, (50005, 50097, 50105, 50131, 50158), "assignment"),
    (OAuthError, (50196,), "loop"),
    (OAuthError, (50053,), "locked"),
    (
        TransientOAuthError,
        (50033, 50087, 70012, 90006, 90012, 90024, 90033, 90055, 90090, 40010),
        "",
    ),
]
#: Of a code that was entered, or sent back, too late or twice.
SIGN_IN_CODES = (54005, 501481, 700005, 70019)
WORDS: list[tuple[type[OAuthError], str, str]] = [
    (OAuthError, "invalid_request", "malformed"),
    (OAuthError, "unsupported_grant_type", "malformed"),
    (ClientRejectedError, "invalid_scope", "scopes"),
    (ClientRejectedError, "invalid_client", "client secret"),
    (ClientRejectedError, "unauthorized_client", "registration"),
    (ClientRejectedError, "deleted_client", "client id"),
    (ClientRejectedError, "disabled_client", "client id"),
    (ClientRejectedError, "CLIENT_ID_MISMATCH", "client id"),
    (ClientRejectedError, "redirect_uri_mismatch", "redirect URI"),
    (ClientRejectedError, "INVALID_REDIRECT_URI", "redirect URI"),
    (REAUTHORIZE, "invalid_grant", "login mail"),
    (REAUTHORIZE, "TOKEN_EXPIRED", "login mail"),
    (REAUTHORIZE, "INVALID_REFRESH_TOKEN", "login mail"),
    (REAUTHORIZE, "invalid_code", "login mail"),
    (REAUTHORIZE, "ACCOUNT_NOT_AUTHORIZED", "login mail"),
    (ClientRejectedError, "INVALID_CLIENT_SECRET", "client secret"),
    (ClientRejectedError, "INVALID_CALLBACK", "redirect URI"),
    (ClientRejectedError, "UNSUPPORTED_REDIRECT_URI", "redirect URI"),
    (REAUTHORIZE, "interaction_required", "sign in itself"),
    (REAUTHORIZE, "consent_required", "sign in itself"),
    (PolicyError, "admin_policy_enforced", "administrator"),
    (PolicyError, "org_internal", "administrator"),
    (PolicyError, "access_not_configured", "administrator"),
    (PolicyError, "disallowed_useragent", "administrator"),
    (AuthorizationFlowError, "access_denied", "did not consent"),
    (AuthorizationFlowError, "authorization_declined", "did not consent"),
    (AuthorizationFlowError, "expired_token", "in time"),
    (AuthorizationFlowError, "bad_verification_code", "in time"),
    (TransientOAuthError, "Access Denied", "10 access tokens"),
    (TransientOAuthError, "temporarily_unavailable", ""),
    (TransientOAuthError, "server_error", ""),
    (TransientOAuthError, "internal_failure", ""),
]


def verdict(payload: Mapping[str, Any], grant: GrantKind = "refresh_token") -> OAuthError:
    return classify(payload, status_code=400, conn_id="mail", step="token request", grant=grant)


@pytest.mark.parametrize(
    ("kind", "code", "hint"), [(kind, code, hint) for kind, codes, hint in CODES for code in codes]
)
def test_code_of_entra_decides_before_the_error(
    kind: type[OAuthError], code: int, hint: str
) -> None:
    """A number of Entra gives class and hint, whatever the general error says."""
    error = verdict({"error": "invalid_grant", "error_codes": [code]})
    assert type(error) is kind
    assert error.retry_helps is (kind is TransientOAuthError)
    assert hint in error.hint
    assert f"AADSTS{code}" in error.message


@pytest.mark.parametrize(("kind", "word", "hint"), WORDS)
def test_error_word_decides(kind: type[OAuthError], word: str, hint: str) -> None:
    """An error word gives class and hint."""
    error = verdict({"error": word})
    assert type(error) is kind
    assert hint in error.hint
    assert word in error.message


def test_every_row_of_the_table_is_tested_here() -> None:
    """No row of the table is without an expectation in this module."""
    codes = {code for _, row, _ in CODES for code in row} | set(SIGN_IN_CODES)
    words = {word.lower() for _, word, _ in WORDS} | {"login_required"}
    assert {code for rule in RULES for code in rule.codes} == codes
    assert {word for rule in RULES for word in rule.errors} == words


# --- What the rows mean for the other grants ------------------------------------------------------

SIGN_INS: tuple[GrantKind, ...] = ("authorization_code", "device_code")
OWN: tuple[GrantKind, ...] = ("client_credentials", "service_account")
ROWS: list[tuple[type[OAuthError], dict[str, Any]]] = [
    *((kind, {"error_codes": [code]}) for kind, codes, _ in CODES for code in codes),
    *((AuthorizationFlowError, {"error_codes": [code]}) for code in SIGN_IN_CODES),
    *((kind, {"error": word}) for kind, word, _ in WORDS),
    (REAUTHORIZE, {"error": "invalid_grant", "error_subtype": "invalid_rapt"}),
]


def row_id(value: object) -> str:
    """Name a row by what decides."""
    return "-".join(map(str, value.values())) if isinstance(value, dict) else ""


@pytest.mark.parametrize("grant", SIGN_INS)
@pytest.mark.parametrize(("kind", "payload"), ROWS, ids=row_id)
def test_every_row_during_a_sign_in(
    grant: GrantKind, kind: type[OAuthError], payload: dict[str, Any]
) -> None:
    """During a sign-in what would mean a dead refresh token means: start it again."""
    error = verdict({**payload, "correlation_id": CORRELATION_ID}, grant)
    assert type(error) is (AuthorizationFlowError if kind is REAUTHORIZE else kind)
    assert error.retry_helps is (kind is TransientOAuthError)
    assert "imap-oauth login" not in error.hint
    assert error.correlation_id == CORRELATION_ID
    if kind is REAUTHORIZE:
        assert "tart the sign-in again" in error.hint


@pytest.mark.parametrize("grant", OWN)
@pytest.mark.parametrize(("kind", "payload"), ROWS, ids=row_id)
def test_every_row_where_nobody_signs_in(
    grant: GrantKind, kind: type[OAuthError], payload: dict[str, Any]
) -> None:
    """With the application's own access nobody is told to sign in, whatever the server says."""
    error = verdict({**payload, "correlation_id": CORRELATION_ID}, grant)
    told_to_sign_in = kind in (REAUTHORIZE, AuthorizationFlowError)
    assert type(error) is (ClientRejectedError if told_to_sign_in else kind)
    assert error.retry_helps is (kind is TransientOAuthError)
    assert not re.search("imap-oauth login|sign-in again|uthorize again|consent to all", error.hint)
    assert error.correlation_id == CORRELATION_ID
    if told_to_sign_in and grant == "client_credentials":
        assert "secret or certificate" in error.hint
        assert "administrator" in error.hint
    elif told_to_sign_in and payload.get("error") != "access_denied":
        assert "service account and its key" in error.hint


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("unauthorized_client", "Admin console"),
        ("access_denied", "Admin console"),
        ("invalid_grant", "clock"),
        ("invalid_client", "key still exist"),
        ("disabled_client", "key still exist"),
        ("invalid_scope", "scopes"),
    ],
)
def test_words_of_google_to_service_accounts(word: str, hint: str) -> None:
    """What Google says to service accounts points at delegation, key, account or clock."""
    error = verdict({"error": word}, "service_account")
    assert type(error) is ClientRejectedError
    assert hint in error.hint


def test_secret_or_certificate_that_is_wrong() -> None:
    """A client that proves itself by a certificate is not told of a secret alone."""
    error = verdict({"error": "invalid_client"}, "client_credentials")
    assert "secret or certificate" in error.hint


@pytest.mark.parametrize("grant", SIGN_INS)
def test_refusal_of_a_person_is_told_as_such(grant: GrantKind) -> None:
    """Entra's number of a refusal stands among those of lost consent: the word tells them apart."""
    error = verdict({"error": "authorization_declined", "error_codes": [65004]}, grant)
    assert type(error) is AuthorizationFlowError
    assert "did not consent" in error.hint


@pytest.mark.parametrize("grant", ["refresh_token", *SIGN_INS, *OWN])
def test_unknown_error_for_every_grant(grant: GrantKind) -> None:
    """What the table does not know is permanent; in a sign-in it ends that."""
    error = verdict({"error": "never_heard_of"}, grant)
    assert type(error) is (AuthorizationFlowError if grant in SIGN_INS else OAuthError)
    assert not error.retry_helps


@pytest.mark.parametrize("grant", ["refresh_token", "authorization_code"])
def test_zoho_says_how_long_to_wait(grant: GrantKind) -> None:
    """Too many requests at Zoho pass in ten minutes; no other row names a time."""
    assert verdict({"error": "Access Denied"}, grant).retry_after_seconds == 600.0
    assert [rule.retry_after_seconds for rule in RULES if rule.retry_after_seconds] == [600.0]


# --- Words apart from the rows --------------------------------------------------------------------


@pytest.mark.parametrize("subtype", ["invalid_rapt", "rapt_required"])
def test_session_control_of_google_is_named(subtype: str) -> None:
    """Google's session control is told apart from a revoked token."""
    error = verdict({"error": "invalid_grant", "error_subtype": subtype})
    assert type(error) is ReauthorizationRequiredError
    assert "Session control" in error.hint


@pytest.mark.parametrize("code", [54005, 501481, 700005])
def test_code_that_was_used_starts_the_sign_in_again(code: int) -> None:
    """A code that Entra refuses ends the sign-in, not the connection."""
    error = verdict({"error": "invalid_grant", "error_codes": [code]}, "authorization_code")
    assert type(error) is AuthorizationFlowError


def test_refused_code_is_not_a_dead_refresh_token() -> None:
    """invalid_grant in a code exchange concerns the code."""
    assert type(verdict({"error": "invalid_grant"}, "authorization_code")) is AuthorizationFlowError


def test_unknown_number_leaves_the_word_to_decide() -> None:
    """A number that is not in the table does not hide a word that is."""
    error = verdict({"error": "invalid_client", "error_codes": [123456789]})
    assert type(error) is ClientRejectedError


def test_nested_error_object_is_read() -> None:
    """An error object, as Yahoo sends it, is read like a plain word."""
    payload = {"error": {"localizedMessage": "no", "errorId": "INVALID_REFRESH_TOKEN"}}
    error = verdict(payload)
    assert type(error) is ReauthorizationRequiredError
    assert error.error == "INVALID_REFRESH_TOKEN"


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"error": None},
        {"error": 7},
        {"error": []},
        {"error": {}},
        {"error": {"errorId": {}}},
        {"error_codes": "50173"},
        {"error_codes": [True, "50173", None, -1, 10**400]},
        {"suberror": ["x"]},
    ],
)
def test_misshapen_errors_are_permanent(payload: dict[str, Any]) -> None:
    """An error in no known shape is permanent and does not break the classifier."""
    assert type(verdict(payload)) is OAuthError


def test_request_ids_are_kept() -> None:
    """The ids that a support ticket needs are kept, in the message too."""
    error = verdict(
        {"error": "invalid_grant", "correlation_id": CORRELATION_ID, "trace_id": TRACE_ID}
    )
    assert error.correlation_id == CORRELATION_ID
    assert CORRELATION_ID in error.message
    assert TRACE_ID in error.message


def test_trace_id_stands_in_for_a_missing_correlation_id() -> None:
    """One id of the two is enough."""
    assert verdict({"error": "x_y", "trace_id": TRACE_ID}).correlation_id == TRACE_ID


@pytest.mark.parametrize(
    "member", ["error", "error_description", "error_uri", "suberror", "correlation_id", "trace_id"]
)
def test_echoed_secret_is_not_shown(member: str) -> None:
    """A server that echoes a token in any member of its error does not get it into a message."""
    secret = "0.AXoA-secret-1234567890abcdef"
    error = verdict({"error": "invalid_grant", member: secret})
    assert secret not in f"{error} {error!r} {vars(error)}"


@pytest.mark.parametrize("word", ["two\nlines", "\x1b[31mred", "x" * 500, "émile"])
def test_unprintable_error_word_is_not_shown(word: str) -> None:
    """A word that could forge a log line is dropped."""
    error = verdict({"error": word})
    assert error.error is None
    assert "without a known error code" in error.message


def test_hint_of_the_mail_provider_is_added() -> None:
    """What the mail provider's profile knows of dying refresh tokens is told."""
    error = classify(
        {"error": "invalid_grant"},
        status_code=400,
        conn_id="mail",
        step="token request",
        reauthorization_hint="They die in autumn.",
    )
    assert error.hint == "Authorize again: airflow imap-oauth login mail. They die in autumn."
