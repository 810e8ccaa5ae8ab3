# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The shape of errors at each mail provider's token endpoint.

Sources, read 2026-11-25 and 2026-11-26: "Microsoft Entra authentication and authorization error
codes" (learn.microsoft.com); Google Identity, "Using OAuth 2.0 for web server applications"
(developers.google.com); Yahoo, "OAuth 2.0 Errors" (developer.yahoo.com); Zoho Accounts, "OAuth"
(zoho.com/accounts/protocol/oauth); Yandex ID, "Requesting an OAuth token" (yandex.com/dev/id).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

from authlib.oauth2.rfc6749 import OAuth2Error  # noqa: TC002  # as our own

from tests.servers.authorization.errors import DetailedError
from tests.servers.authorization.switches import Switches


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """
    A request that is refused.

    :param grant_type: Of a token request, else empty.
    """

    error: OAuth2Error
    grant_type: str
    switches: Switches

    @property
    def code(self) -> str:
        """The error code of RFC 6749 section 5.2."""
        return str(self.error.error)


#: Returns the HTTP status and the JSON.
ErrorShape = Callable[[Failure, int], tuple[int, dict[str, object]]]


def plain(failure: Failure, status: int) -> tuple[int, dict[str, object]]:
    """Answer as RFC 6749 says."""
    return status, dict(failure.error.get_body())


# --- Microsoft ----------------------------------------------------------------------------------

_ENTRA_CODES = {
    "invalid_request": (900144, "The request body must contain the right parameters."),
    "invalid_client": (7000215, "Invalid client secret provided."),
    "invalid_grant": (50173, "The provided grant has expired due to it being revoked."),
    "unauthorized_client": (700016, "The application was not found in the directory."),
    "unsupported_grant_type": (70003, "The app requested an unsupported grant type."),
    "invalid_scope": (70011, "The provided value for the input parameter 'scope' is not valid."),
    "authorization_pending": (70016, "Pending end-user authorization."),
    "authorization_declined": (65004, "User declined to consent to access the app."),
    "bad_verification_code": (70018, "Invalid verification code."),
    "expired_token": (70019, "Verification code expired."),
}
_ENTRA_UNKNOWN = (90055, "The request failed.")
_ENTRA_SUBERRORS = {50173: "bad_token"}


def entra_error(
    error: str, codes: tuple[int, ...] = (), text: str = "", **members: object
) -> dict[str, object]:
    """
    Return an error in the shape of Entra's token endpoint.

    :param codes: Entra's own codes; none: what is usual for the error.
    :param text: Of the description; empty: what is usual for the error.
    :param members: Further members, for example ``suberror``.
    """
    code, usual = _ENTRA_CODES.get(error, _ENTRA_UNKNOWN)
    if codes:
        code, usual = codes[0], "The request was refused."
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
    trace_id, correlation_id = str(uuid.uuid4()), str(uuid.uuid4())
    body: dict[str, object] = {
        "error": error,
        "error_description": (
            f"AADSTS{code}: {text or usual} Trace ID: {trace_id} Correlation ID: {correlation_id} "
            f"Timestamp: {now}"
        ),
        "error_codes": list(codes or (code,)),
        "timestamp": now,
        "trace_id": trace_id,
        "correlation_id": correlation_id,
        "error_uri": f"https://login.microsoftonline.com/error?code={code}",
    }
    if code in _ENTRA_SUBERRORS:
        body["suberror"] = _ENTRA_SUBERRORS[code]
    return {**body, **members}


def microsoft(failure: Failure, status: int) -> tuple[int, dict[str, object]]:
    """Answer as Entra does."""
    error = failure.error
    if isinstance(error, DetailedError) and error.entra_codes:
        return status, entra_error(failure.code, error.entra_codes, error.description)
    return status, entra_error(failure.code)


# --- Google -------------------------------------------------------------------------------------

_GOOGLE_TEXTS = {
    "invalid_grant": "Token has been expired or revoked.",
    "invalid_client": "Unauthorized",
    "unauthorized_client": "Unauthorized",
    "invalid_scope": "Some requested scopes were invalid.",
}


def google(failure: Failure, status: int) -> tuple[int, dict[str, object]]:
    """Answer as Google does."""
    text = failure.error.description
    if not isinstance(failure.error, DetailedError):
        text = _GOOGLE_TEXTS.get(failure.code, text)
    return status, {"error": failure.code, "error_description": text}


# --- Yahoo --------------------------------------------------------------------------------------

_YAHOO_CODES = {"invalid_client": "INVALID_CLIENT_SECRET"}


def yahoo(failure: Failure, status: int) -> tuple[int, dict[str, object]]:
    """Answer as Yahoo does, in one of its two shapes."""
    code = _YAHOO_CODES.get(failure.code, failure.code.upper())
    if (failure.code, failure.grant_type) == ("invalid_grant", "refresh_token"):
        code = "INVALID_REFRESH_TOKEN"
    text = failure.error.description or "The request was refused."
    if failure.switches.yahoo_errors == "flat":
        return status, {"error": code, "error_description": text}
    error = {"localizedMessage": text, "errorId": code, "message": text}
    return status, {"error": error}


# --- Zoho ---------------------------------------------------------------------------------------

TOO_MANY_REQUESTS = "Access Denied"
_ZOHO_CODES = {"invalid_grant": "invalid_code"}


def zoho(failure: Failure, status: int) -> tuple[int, dict[str, object]]:
    """Answer as Zoho does: with the status of success, but where requests are too many."""
    if failure.code == TOO_MANY_REQUESTS:
        text = failure.error.description
        return status, {"error_description": text, "error": failure.code, "status": "failure"}
    body: dict[str, object] = {"error": _ZOHO_CODES.get(failure.code, failure.code)}
    if failure.code == "invalid_request":
        # Zoho tells no more; whoever reads a failed test wants to know.
        body["error_description"] = failure.error.description
    return 200, body


# --- Yandex -------------------------------------------------------------------------------------


def yandex(failure: Failure, status: int) -> tuple[int, dict[str, object]]:
    """Answer as Yandex does: always with a description."""
    text = failure.error.description or "The request was refused."
    return status, {"error_description": text, "error": failure.code}
