# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
What the errors of authorization servers mean, as one table.

Sources: RFC 6749, RFC 8628; learn.microsoft.com/entra/identity-platform/reference-error-codes;
developers.google.com/identity/protocols/oauth2/web-server and /service-account;
zoho.com/crm/developer/docs/api/v3/token-validity.html (each read on 2026-11-25);
developer.yahoo.com/oauth2/guide/errors (read on 2026-11-26).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from airflow_imap_oauth.exceptions import (
    AuthorizationFlowError,
    ClientRejectedError,
    OAuthError,
    PolicyError,
    ReauthorizationRequiredError,
    TransientOAuthError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """
    What an error means.

    :param kind: The class of error to raise.
    :param hint: What the user does next; None for the default of the class.
    :param errors: Values of ``error``, in lower case.
    :param codes: Values in ``error_codes``.
    :param suberrors: Values of ``suberror`` or ``error_subtype``.
    :param retry_after_seconds: How long to wait at least before the next attempt, or None.
    """

    kind: type[OAuthError]
    hint: str | None = None
    errors: frozenset[str] = frozenset()
    codes: frozenset[int] = frozenset()
    suberrors: frozenset[str] = frozenset()
    retry_after_seconds: float | None = None


def _codes(kind: type[OAuthError], codes: Iterable[int], hint: str | None = None) -> Rule:
    return Rule(kind=kind, hint=hint, codes=frozenset(codes))


def _errors(kind: type[OAuthError], errors: str, hint: str | None = None) -> Rule:
    return Rule(kind=kind, hint=hint, errors=frozenset(errors.split()))


def _suberrors(kind: type[OAuthError], suberrors: str, hint: str | None = None) -> Rule:
    return Rule(kind=kind, hint=hint, suberrors=frozenset(suberrors.split()))


_MALFORMED = (
    "The server calls the request malformed: check scopes, client id and URLs of the connection;"
    " if they are right, report this with the correlation id."
)
_SCOPES = "Check the scopes of the connection: only scopes of one resource, spelled exactly."
_TENANT = "Check tenant_id and client_id, and that an administrator consented to the application."
SIGN_IN_AGAIN = "Start the sign-in again, and use each answer once."
_EXPIRED = "Nobody entered the code in time: start the sign-in again."
REFUSED = (
    "Whoever signed in did not consent: sign in again and allow what is asked; if that is not"
    " offered, the administrator must allow this application."
)

RULES: tuple[Rule, ...] = (
    # --- the client's registration and configuration
    _codes(
        ClientRejectedError,
        [7000215],
        "The client secret is wrong: enter its value, not its id.",
    ),
    _codes(
        ClientRejectedError,
        [7000222],
        "The client secret has expired: create a new one and enter its value.",
    ),
    _codes(
        ClientRejectedError,
        [7000218, 70002],
        "The registration is confidential: enter its client secret.",
    ),
    _codes(
        ClientRejectedError,
        [700025],
        "The registration is public: remove the client secret, or register a web application.",
    ),
    _codes(
        ClientRejectedError,
        [700027, 50012, 700030],
        "The client certificate is not accepted: renew it and register the new one.",
    ),
    _codes(
        ClientRejectedError,
        [700016, 70001, 7000112, 90002, 50059, 500011, 650052, 650057],
        _TENANT,
    ),
    _codes(
        ClientRejectedError,
        [50194, 9001023, 90124, 90130],
        "Set tenant_id to the directory (tenant) id of the organisation, not to 'common'.",
    ),
    _codes(
        ClientRejectedError,
        [90038, 900382, 900432],
        "The account lives in another national cloud: choose the mail provider of that cloud.",
    ),
    _codes(ClientRejectedError, [70011, 28002, 700022, 700023], _SCOPES),
    _codes(OAuthError, [900144, 90014, 90100, 9002313], _MALFORMED),
    # --- the sign-in that is under way
    _codes(AuthorizationFlowError, [54005, 501481, 700005], SIGN_IN_AGAIN),
    _codes(AuthorizationFlowError, [70019], _EXPIRED),
    # --- the refresh token is dead
    _codes(
        ReauthorizationRequiredError,
        [70043],
        "Authorize again: airflow imap-oauth login {conn_id}. A sign-in frequency policy will"
        " end it again: ask the administrator to exempt this application.",
    ),
    _codes(
        ReauthorizationRequiredError,
        [70000, 70008, 700082, 700084, 50173, 50132, 50133, 50089, 50085],
    ),
    _codes(
        ReauthorizationRequiredError,
        [50076, 50079, 50072, 50074, 50078, 700020, 16000],
        "The account must sign in itself, with its second factor:"
        " airflow imap-oauth login {conn_id}.",
    ),
    _codes(ReauthorizationRequiredError, [65001, 65004]),
    _codes(
        ReauthorizationRequiredError,
        [50020, 50034, 50057, 51004, 50055, 50144],
        "The account is unknown in this tenant, disabled, or its password expired: mend that,"
        " then authorize again: airflow imap-oauth login {conn_id}.",
    ),
    # --- a policy forbids it
    _codes(
        PolicyError,
        [90094, 90095],
        "An administrator must consent to the application for the organisation.",
    ),
    _codes(
        PolicyError,
        [
            *(53000, 53001, 53002, 53003, 53004, 530032, 530034, 530035),
            *(50005, 50097, 50105, 50131, 50158),
        ],
        "Conditional access or a missing assignment blocks this application or host: ask the"
        " administrator.",
    ),
    # --- retrying makes it worse
    _codes(
        OAuthError,
        [50196],
        "The server sees a loop of requests: stop, and check that the token store works.",
    ),
    _codes(
        OAuthError,
        [50053],
        "The account is locked, or the address of this host blocked: wait or ask the"
        " administrator.",
    ),
    # --- the server is in trouble
    _codes(
        TransientOAuthError,
        [50033, 50087, 70012, 90006, 90012, 90024, 90033, 90055, 90090, 40010],
    ),
    _suberrors(
        ReauthorizationRequiredError,
        "invalid_rapt rapt_required",
        "Session control of Google Workspace ended the session. Authorize again:"
        " airflow imap-oauth login {conn_id}; ask the administrator to exempt this application.",
    ),
    # --- RFC 6749 section 5.2, OpenID Connect, and the mail providers' own words
    _errors(OAuthError, "invalid_request unsupported_grant_type", _MALFORMED),
    _errors(ClientRejectedError, "invalid_scope", _SCOPES),
    _errors(
        ClientRejectedError,
        "invalid_client invalid_client_secret client_id_mismatch deleted_client disabled_client",
    ),
    _errors(
        ClientRejectedError,
        "unauthorized_client",
        "The registration of the application does not allow this: check client_id, tenant_id"
        " and the allowed grant types.",
    ),
    _errors(
        ClientRejectedError,
        "redirect_uri_mismatch invalid_redirect_uri invalid_callback unsupported_redirect_uri",
        "Register the redirect URI that this sign-in used, exactly.",
    ),
    _errors(
        ReauthorizationRequiredError,
        "invalid_grant token_expired invalid_refresh_token invalid_code account_not_authorized",
    ),
    _errors(
        ReauthorizationRequiredError,
        "interaction_required login_required consent_required",
        "The account must sign in itself: airflow imap-oauth login {conn_id}.",
    ),
    _errors(
        PolicyError,
        "admin_policy_enforced org_internal access_not_configured disallowed_useragent",
    ),
    _errors(AuthorizationFlowError, "access_denied authorization_declined", REFUSED),
    _errors(AuthorizationFlowError, "expired_token bad_verification_code", _EXPIRED),
    _errors(TransientOAuthError, "temporarily_unavailable server_error internal_failure"),
    Rule(
        kind=TransientOAuthError,
        hint="Zoho gives 10 access tokens in 10 minutes for one refresh token: wait, and check"
        " that the token store works.",
        errors=frozenset({"access denied"}),
        retry_after_seconds=600.0,
    ),
)
