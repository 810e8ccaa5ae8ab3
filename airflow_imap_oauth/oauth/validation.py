# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""From the answer of a token endpoint to a token response that can be relied on."""

from __future__ import annotations

import json
import logging
import math
import re
from typing import Any

from airflow_imap_oauth.exceptions import (
    ClientRejectedError,
    OAuthError,
    TokenResponseError,
    TransientOAuthError,
)
from airflow_imap_oauth.oauth.clock import server_time, skew_advice, utc_now
from airflow_imap_oauth.oauth.http import HttpAnswer
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.scopes import is_scope, missing_scopes, split_scope
from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.oauth.taxonomy import OWN_GRANTS, SIGN_INS, GrantKind, classify

logger = logging.getLogger(__name__)

#: Believed where the server does not say how long the access token lives.
DEFAULT_LIFETIME_SECONDS = 600
#: No longer is believed, so that a wrong answer does harm for a day at most.
MAX_LIFETIME_SECONDS = 24 * 3600

_MAX_DIGITS = 640  # Python reads that many however PYTHONINTMAXSTRDIGITS is set
_VISIBLE_ASCII = range(0x21, 0x7F)
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_token_answer(
    answer: HttpAnswer, settings: OAuthSettings, *, step: str, grant: GrantKind
) -> TokenResponse:
    """
    Accept, or refuse, the answer to a token request.

    :param answer: With status 2xx or 4xx.
    :return: The response. After a refresh it may carry a ``fault`` instead of an access token,
        see :class:`TokenResponse`.
    :raises TransientOAuthError: If the answer is not JSON: something in between spoke.
    :raises TokenResponseError: If type, token or lifetime are not acceptable (RFC 6749
        section 5.1). A retry cannot help.
    :raises ClientRejectedError: If a scope that IMAP needs was not granted.
    :raises OAuthError: As the table of :mod:`.taxonomy` says, for an error answer.
    """
    payload = _decoded(answer, settings, step)
    succeeded = 200 <= answer.status_code < 300  # noqa: PLR2004  # the class of successes
    # Some servers report errors with status 200; an empty `error` besides a token is none.
    if not succeeded or (payload.get("error") and not payload.get("access_token")):
        raise _refusal(answer, payload, settings, step, grant)
    # RFC 6749 section 4.4.3: none comes with client credentials; one that does is of no use.
    refresh_token = None if grant in OWN_GRANTS else _refresh_token(payload)
    scopes = _scopes(payload, grant)
    fault = _fault(payload, scopes, settings, grant)
    if fault is None:
        return TokenResponse(
            access_token=payload["access_token"],
            expires_in_seconds=_lifetime(payload.get("expires_in"), settings.conn_id),
            refresh_token=refresh_token,
            scopes=scopes,
            id_token=_text(payload, "id_token"),
            answered_at=server_time(answer.headers),
        )
    fault.status_code = answer.status_code
    fault.located(conn_id=settings.conn_id, step=step)
    if grant != "refresh_token" or refresh_token is None:
        raise fault
    return TokenResponse(
        access_token="",
        expires_in_seconds=1,
        refresh_token=refresh_token,
        scopes=scopes,
        fault=fault,
    )


def decoded_json(text: str) -> dict[str, Any] | None:
    """Return the JSON object in a text, or None where there is none."""
    try:
        # Some servers put a byte order mark in front (RFC 8259 section 8.1: ignore it), and
        # Python refuses to read numbers of more than some thousand digits.
        payload = json.loads(text.removeprefix("\ufeff"), parse_int=_integer)
    except (ValueError, RecursionError):
        return None
    return payload if isinstance(payload, dict) else None


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


def _refusal(
    answer: HttpAnswer,
    payload: dict[str, Any],
    settings: OAuthSettings,
    step: str,
    grant: GrantKind,
) -> OAuthError:
    error = classify(
        payload,
        status_code=answer.status_code,
        conn_id=settings.conn_id,
        step=step,
        grant=grant,
        reauthorization_hint=settings.profile.dead_refresh_token_hint,
    )
    region = ""
    if grant == "authorization_code" and settings.profile.regions:
        region = "Check that region of the connection is the data centre of the account."
    # Only what is signed here depends on the clock, but then nothing else explains the refusal.
    advice = skew_advice(answer.headers, utc_now())
    error.hint = " ".join(filter(None, (error.hint, region, advice)))
    return error


def _decoded(answer: HttpAnswer, settings: OAuthSettings, step: str) -> dict[str, Any]:
    payload = decoded_json(answer.text)
    if payload is not None:
        return payload
    if answer.status_code in {404, 405}:
        raise OAuthError(
            f"There is no token endpoint at that URL (HTTP {answer.status_code}).",
            hint="Check the URL of the token endpoint, and the tenant where it has one.",
            status_code=answer.status_code,
            conn_id=settings.conn_id,
            step=step,
        )
    raise TransientOAuthError(
        f"The answer (HTTP {answer.status_code}) is not the JSON of a token endpoint.",
        hint="A proxy may have answered instead; if it persists, check the token endpoint's URL.",
        status_code=answer.status_code,
        conn_id=settings.conn_id,
        step=step,
    )


def _refresh_token(payload: dict[str, Any]) -> str | None:
    """Return the refresh token, or None: what is no text in Unicode could not be sent back."""
    return _text(payload, "refresh_token")


def _text(payload: dict[str, Any], name: str) -> str | None:
    text = payload.get(name)
    if not isinstance(text, str) or not text or _SURROGATE.search(text):
        return None
    return text


def _scopes(payload: dict[str, Any], grant: GrantKind) -> tuple[str, ...] | None:
    """
    Return the scopes as RFC 6749 section 3.3 spells them.

    They are stored and shown, so none may be a token that is echoed.

    :return: None where the server is silent, which means: those that were asked for (section 5.1).
        An empty scope is malformed, and no server is known to send one for silence. After a
        sign-in it says what it looks like, that all was declined; else nobody was asked.
    """
    scope = payload.get("scope")
    if isinstance(scope, list):  # as some servers send them
        scope = " ".join(name for name in scope if isinstance(name, str))
    if not isinstance(scope, str) or (not scope.strip() and grant not in SIGN_INS):
        return None
    tokens = (payload.get("access_token"), payload.get("refresh_token"))
    names = split_scope(scope)
    return tuple(name for name in names if name not in tokens and is_scope(name))


def _fault(
    payload: dict[str, Any],
    scopes: tuple[str, ...] | None,
    settings: OAuthSettings,
    grant: GrantKind,
) -> OAuthError | None:
    token_type = payload.get("token_type")
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        return TokenResponseError(
            "The token response is not of type Bearer.",
            hint="IMAP knows no other type: check the authorization server.",
        )
    token = payload.get("access_token")
    if not _is_token(token):
        return TokenResponseError("The token response holds no usable access token.")
    lifetime = number_of(payload.get("expires_in"))
    if lifetime is not None and lifetime < 1:
        return TokenResponseError(
            "The access token expired before it was issued.",
            hint="Check expires_in of the authorization server.",
        )
    missing = () if scopes is None else missing_scopes(settings.scopes, scopes)
    if missing:
        hint = "Allow it in the application's registration"
        if grant not in OWN_GRANTS:
            hint += (
                ", then authorize again and consent to all that is asked:"
                f" airflow imap-oauth login {settings.conn_id}"
            )
        return ClientRejectedError(f"Not granted: scope {' '.join(missing)}.", hint=f"{hint}.")
    return None


def _is_token(token: object) -> bool:
    return (
        isinstance(token, str)
        and bool(token)
        and all(ord(character) in _VISIBLE_ASCII for character in token)
    )


def number_of(value: object) -> float | None:
    """Return a JSON number, or one in a text, as some servers send them; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _lifetime(value: object, conn_id: str) -> int:
    number = number_of(value)
    if number is None:
        return DEFAULT_LIFETIME_SECONDS
    if number > MAX_LIFETIME_SECONDS:
        logger.info(
            "Connection '%s': the access token is said to live longer than %d seconds;"
            " it is renewed after that time all the same.",
            conn_id,
            MAX_LIFETIME_SECONDS,
        )
    return int(min(number, MAX_LIFETIME_SECONDS))
