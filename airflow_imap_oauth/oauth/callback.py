# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The authorization response (RFC 6749 section 4.1.2), as a browser or a person brings it."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from airflow_imap_oauth.exceptions import AuthorizationFlowError

_MAX_CHARACTERS = 16 * 1024
_MAX_PARAMETERS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationResponse:
    """
    What came back to the redirect URI; None where a parameter is missing.

    :param iss: The issuer that answered (RFC 9207 section 2).
    """

    code: str | None = field(repr=False)
    state: str | None = field(repr=False)
    error: str | None = field(repr=False)
    iss: str | None


def read_callback(text: str, redirect_uri: str) -> AuthorizationResponse:
    """
    Read the parameters out of a full URL or of its query alone.

    :param redirect_uri: What a full URL must begin with.
    :raises AuthorizationFlowError: If it is another address, too long, or repeats a parameter
        (RFC 6749 section 3.1 forbids that).
    """
    text = text.strip()
    if len(text) > _MAX_CHARACTERS:
        raise AuthorizationFlowError("What was brought back is too long for a redirect.")
    address, mark, query = text.partition("?")
    if not mark:
        address, query = ("", text) if "=" in text else (text, "")
    if address and _place(address) != _place(redirect_uri):
        raise AuthorizationFlowError(
            "That is not the address that the mail provider was to send the browser to.",
            hint=f"Bring back the whole address that begins with {redirect_uri}.",
        )
    try:
        found = parse_qs(
            query.partition("#")[0], keep_blank_values=True, max_num_fields=_MAX_PARAMETERS
        )
    except ValueError:
        found = {}

    def single(name: str) -> str | None:
        values = found.get(name, [])
        if len(values) > 1:
            raise AuthorizationFlowError(f"The redirect holds parameter '{name}' more than once.")
        return values[0] if values and values[0] else None

    return AuthorizationResponse(
        code=single("code"), state=single("state"), error=single("error"), iss=single("iss")
    )


def _place(address: str) -> tuple[str, str, str]:
    # People leave out what the browser's address bar hides: the scheme.
    if "://" not in address:
        address = f"http://{address}"
    try:
        parts = urlsplit(address)
    except ValueError:
        return "", "", ""
    scheme = "" if parts.scheme in {"http", "https"} else parts.scheme
    return scheme, parts.netloc.lower(), parts.path or "/"
