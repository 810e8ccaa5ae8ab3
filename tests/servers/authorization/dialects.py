# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The mail providers that the server plays: paths, scopes, rotation, and the shape of errors.

Sources, all read 2026-11-25: Microsoft identity platform, "OAuth 2.0 authorization code flow" and
"Microsoft Entra authentication and authorization error codes" (learn.microsoft.com); Google
Identity, "Using OAuth 2.0 for web server applications" (developers.google.com).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal

from authlib.oauth2.rfc6749 import OAuth2Error

from tests.servers.authorization.model import OPENID_SCOPES

IMAP_SCOPE = "https://mail.example.test/imap"
MICROSOFT_IMAP_SCOPE = "https://outlook.office.com/IMAP.AccessAsUser.All"
MICROSOFT_APP_SCOPE = "https://outlook.office365.com/.default"
GOOGLE_IMAP_SCOPE = "https://mail.google.com/"

#: What happens to a refresh token that was used: ``switched`` by ``rotate_refresh_tokens``,
#: ``kept``: a new one is issued and the old one lives on, ``same``: none is issued.
Rotation = Literal["switched", "kept", "same"]
ErrorBody = Callable[[OAuth2Error], dict[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """
    One mail provider.

    :param paths: Path by endpoint; ``{tenant}`` stands for one segment.
    :param issuer_path: Appended to the base URL; paths of discovery follow from it.
    :param authorize_extra: Further optional parameters of the authorization endpoint.
    :param token_extra: Further optional parameters of the token endpoint.
    :param hidden_scopes: Scopes that the token response does not name.
    :param offline_by: What makes a refresh token come: always, the scope ``offline_access``, or
        ``access_type=offline`` with a first consent or ``prompt=consent``.
    :param error_body: The JSON of an error.
    """

    name: str
    paths: Mapping[str, str]
    issuer_path: str
    scopes: frozenset[str]
    rotation: Rotation
    error_body: ErrorBody
    authorize_extra: frozenset[str] = frozenset()
    token_extra: frozenset[str] = frozenset()
    hidden_scopes: frozenset[str] = frozenset()
    offline_by: Literal["always", "scope", "access_type"] = "always"
    iss_parameter: bool = False

    def granted(self, scope: str) -> str:
        """Return which of the scopes belong to this mail provider, in their order."""
        return " ".join(one for one in scope.split() if one in self.scopes)

    def plays(self, scope: str) -> bool:
        """Tell whether a token with these scopes is one of this mail provider's."""
        own = set(scope.split()) - OPENID_SCOPES
        return not own or not own.isdisjoint(self.scopes)

    def shown(self, scope: str) -> str:
        """Return the scopes that a token response names."""
        return " ".join(one for one in scope.split() if one not in self.hidden_scopes)


def _plain_error(error: OAuth2Error) -> dict[str, object]:
    return dict(error.get_body())


# --- Microsoft ----------------------------------------------------------------------------------

_ENTRA_CODES = {
    "invalid_request": (900144, "The request body must contain the right parameters."),
    "invalid_client": (7000215, "Invalid client secret provided."),
    "invalid_grant": (50173, "The provided grant has expired due to it being revoked."),
    "unauthorized_client": (700016, "The application was not found in the directory."),
    "unsupported_grant_type": (70003, "The app requested an unsupported grant type."),
    "invalid_scope": (70011, "The provided value for the input parameter 'scope' is not valid."),
}
_ENTRA_UNKNOWN = (90055, "The request failed.")
_ENTRA_SUBERRORS = {50173: "bad_token"}


def entra_error(error: str, codes: tuple[int, ...] = (), **members: object) -> dict[str, object]:
    """
    Return an error in the shape of Entra's token endpoint.

    :param codes: Entra's own codes; none: what is usual for the error.
    :param members: Further members, for example ``suberror``.
    """
    code, text = _ENTRA_CODES.get(error, _ENTRA_UNKNOWN)
    if codes:
        code, text = codes[0], "The request was refused."
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
    trace_id, correlation_id = str(uuid.uuid4()), str(uuid.uuid4())
    body: dict[str, object] = {
        "error": error,
        "error_description": (
            f"AADSTS{code}: {text} Trace ID: {trace_id} Correlation ID: {correlation_id} "
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


def _microsoft_error(error: OAuth2Error) -> dict[str, object]:
    return entra_error(error.error)


# --- Google -------------------------------------------------------------------------------------

_GOOGLE_TEXTS = {
    "invalid_grant": "Token has been expired or revoked.",
    "invalid_client": "Unauthorized",
    "unauthorized_client": "Unauthorized",
    "invalid_scope": "Some requested scopes were invalid.",
}


def _google_error(error: OAuth2Error) -> dict[str, object]:
    text = _GOOGLE_TEXTS.get(error.error, error.description)
    return {"error": error.error, "error_description": text}


GENERIC = Dialect(
    name="generic",
    paths={
        "authorize": "/authorize",
        "consent": "/consent",
        "token": "/token",
        "introspection": "/introspect",
        "revocation": "/revoke",
        "jwks": "/jwks",
    },
    issuer_path="",
    scopes=OPENID_SCOPES | {IMAP_SCOPE},
    rotation="switched",
    error_body=_plain_error,
    iss_parameter=True,
)
MICROSOFT = Dialect(
    name="microsoft",
    paths={
        "authorize": "/{tenant}/oauth2/v2.0/authorize",
        "consent": "/{tenant}/oauth2/v2.0/consent",
        "token": "/{tenant}/oauth2/v2.0/token",
        "jwks": "/{tenant}/discovery/v2.0/keys",
    },
    issuer_path="/{tenant}/v2.0",
    scopes=OPENID_SCOPES | {MICROSOFT_IMAP_SCOPE, MICROSOFT_APP_SCOPE},
    rotation="kept",
    error_body=_microsoft_error,
    authorize_extra=frozenset({"response_mode", "domain_hint", "client_info"}),
    token_extra=frozenset({"client_info", "scope", "claims"}),
    hidden_scopes=frozenset({"offline_access"}),
    offline_by="scope",
)
GOOGLE = Dialect(
    name="google",
    paths={
        "authorize": "/google/authorize",
        "consent": "/google/consent",
        "token": "/google/token",
        "jwks": "/google/jwks",
    },
    issuer_path="/google",
    scopes=OPENID_SCOPES | {GOOGLE_IMAP_SCOPE},
    rotation="same",
    error_body=_google_error,
    authorize_extra=frozenset({"access_type", "include_granted_scopes"}),
    offline_by="access_type",
)
#: Paths are tried in this order: a tenant may have any name but ``google``.
DIALECTS = (GENERIC, GOOGLE, MICROSOFT)
