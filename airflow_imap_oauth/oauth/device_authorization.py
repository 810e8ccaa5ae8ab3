# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Device authorization grant (RFC 8628): sign in on another device, by entering a short code."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_imap_oauth.exceptions import (
    AuthorizationFlowError,
    ConfigurationError,
    ImapOAuthError,
    OAuthError,
    TransientOAuthError,
)
from airflow_imap_oauth.oauth.client_authentication import authenticate
from airflow_imap_oauth.oauth.engines.rfc6749 import token_request
from airflow_imap_oauth.oauth.http import HttpAnswer, Transport
from airflow_imap_oauth.oauth.id_token import fetch_keys
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.scopes import asked_scopes
from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.oauth.sign_in import signed_in
from airflow_imap_oauth.oauth.taxonomy import classify
from airflow_imap_oauth.oauth.urls import checked_url
from airflow_imap_oauth.oauth.validation import decoded_json, number_of

STEP = "device authorization"

_DEFAULT_INTERVAL_SECONDS = 5.0  # RFC 8628 section 3.2
_SLOWER_SECONDS = 5.0  # section 3.5
_LONGEST_INTERVAL_SECONDS = 300.0
_LONGEST_LIFETIME_SECONDS = 3600.0
_SHOWABLE = re.compile(r"[ -~]{1,4096}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAuthorization:
    """
    A sign-in that waits for somebody to enter a code.

    :param user_code: To be shown; entered at ``verification_uri``.
    :param verification_uri_complete: The same address with the code in it, or None.
    :param device_code: Secret.
    :param ends_at_seconds: On the monotonic clock.
    """

    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    device_code: str = field(repr=False)
    interval_seconds: float
    lifetime_seconds: float
    ends_at_seconds: float


def start(
    settings: OAuthSettings,
    transport: Transport,
    *,
    monotonic: Callable[[], float] = time.monotonic,
) -> DeviceAuthorization:
    """
    Ask for a code to show.

    :param settings: With ``device_url`` known, see
        :func:`airflow_imap_oauth.oauth.discovery.complete`.
    :raises ConfigurationError: If the mail provider has no device grant (the hint says what to do
        instead), or a scope is none.
    :raises TransientOAuthError: If the server, or the way to it, is out of order. A retry helps.
    :raises OAuthError: If it refuses. A retry cannot help.
    """
    try:
        if settings.endpoints.device_url is None:
            raise ConfigurationError(
                f"{settings.profile.label} offers no sign-in by device code.",
                hint=settings.profile.no_device_hint,
            )
        scope = " ".join(asked_scopes(settings))
        # Before anybody signs in: what they bring back could not be checked without.
        fetch_keys(settings, transport)
        asked_at = monotonic()
        authentication = authenticate(settings)
        answer = transport.request(
            "POST",
            settings.endpoints.device_url,
            form={
                # Section 3.1 demands it even where the client authenticates otherwise.
                "client_id": settings.client_id,
                **({"scope": scope} if scope else {}),
                **authentication.form,
            },
            basic_auth=authentication.basic_auth,
            step=STEP,
        )
        return _read(answer, settings, asked_at)
    except ImapOAuthError as error:
        error.located(conn_id=settings.conn_id, step=STEP)
        raise


def wait(
    settings: OAuthSettings,
    device: DeviceAuthorization,
    transport: Transport,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> TokenResponse:
    """
    Ask again and again until somebody has entered the code and consented.

    It blocks for ``device.lifetime_seconds`` at most. A server that is out of order meanwhile is
    asked more and more seldom (section 3.5).

    :return: A response that always has a refresh token; its account is checked.
    :raises AuthorizationFlowError: If nobody did so in time, or it was refused. Start again.
    :raises OAuthError: For any other refusal. A retry cannot help.
    """
    interval = device.interval_seconds
    while True:
        if monotonic() + interval > device.ends_at_seconds:
            raise AuthorizationFlowError(
                "Nobody entered the code in time.", conn_id=settings.conn_id, step=STEP
            )
        sleep(interval)
        outcome = poll(settings, replace(device, interval_seconds=interval), transport)
        if isinstance(outcome, TokenResponse):
            return outcome
        interval = outcome


def poll(
    settings: OAuthSettings, device: DeviceAuthorization, transport: Transport
) -> TokenResponse | float:
    """
    Ask once whether somebody has entered the code and consented.

    :return: The response, checked as :func:`wait` checks it; or how many seconds to wait before
        asking again.
    :raises AuthorizationFlowError: If it was refused. Start again.
    :raises OAuthError: For any other refusal. A retry cannot help.
    """
    interval = device.interval_seconds
    try:
        response = _poll(settings, device, transport)
    except TransientOAuthError:
        return min(interval * 2, _LONGEST_INTERVAL_SECONDS)
    except OAuthError as error:
        if error.error == "slow_down":
            return interval + _SLOWER_SECONDS
        if error.error == "authorization_pending":
            return interval
        error.located(conn_id=settings.conn_id, step=STEP)
        raise
    # The code is spent: whatever is wrong now, another poll cannot mend.
    try:
        return signed_in(response, settings, transport, step=STEP)
    except ImapOAuthError as error:
        error.located(conn_id=settings.conn_id, step=STEP)
        raise


def _poll(
    settings: OAuthSettings, device: DeviceAuthorization, transport: Transport
) -> TokenResponse:
    profile = settings.profile
    return token_request(
        settings,
        {
            "grant_type": profile.device_grant_type,
            profile.device_code_parameter: device.device_code,
        },
        transport,
        step=STEP,
        grant="device_code",
    )


def _read(answer: HttpAnswer, settings: OAuthSettings, asked_at: float) -> DeviceAuthorization:
    payload = decoded_json(answer.text)
    if payload is None:
        # A page that says so means a wrong URL, which no retry mends.
        absent = answer.status_code in {404, 405}
        raise (OAuthError if absent else TransientOAuthError)(
            f"The answer (HTTP {answer.status_code}) is not the JSON of a device authorization"
            " endpoint.",
            hint="A proxy may have answered instead; if it persists, check device_url.",
            status_code=answer.status_code,
        )
    if answer.status_code >= 400 or payload.get("error"):  # noqa: PLR2004  # the class of errors
        raise classify(
            payload,
            status_code=answer.status_code,
            conn_id=settings.conn_id,
            step=STEP,
            grant="device_code",
        )
    device_code, user_code = payload.get("device_code"), payload.get("user_code")
    # Older servers (Google, Yandex) call the first one verification_url.
    uri = payload.get("verification_uri", payload.get("verification_url"))
    if not _is_text(device_code) or not _is_text(user_code) or not _is_text(uri):
        raise OAuthError(
            "The answer lacks a device code, a user code or the address to enter it.",
            hint="Check device_url of the connection.",
            status_code=answer.status_code,
        )
    lifetime = _bounded(payload.get("expires_in"), 600.0, _LONGEST_LIFETIME_SECONDS)
    return DeviceAuthorization(
        user_code=str(user_code),
        verification_uri=_address(uri, settings),
        verification_uri_complete=_complete_address(payload, settings),
        device_code=str(device_code),
        interval_seconds=_bounded(
            payload.get("interval"), _DEFAULT_INTERVAL_SECONDS, _LONGEST_INTERVAL_SECONDS
        ),
        lifetime_seconds=lifetime,
        ends_at_seconds=asked_at + lifetime,
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and _SHOWABLE.fullmatch(value) is not None


def _address(uri: Any, settings: OAuthSettings) -> str:
    # Somebody is told to open it and to sign in there.
    checked_url(
        str(uri),
        what="sign-in with the code",
        allow_loopback_http=settings.transport.allow_loopback_http,
    )
    return str(uri)


def _complete_address(payload: dict[str, Any], settings: OAuthSettings) -> str | None:
    uri = payload.get("verification_uri_complete")
    return _address(uri, settings) if _is_text(uri) else None


def _bounded(value: object, default: float, longest: float) -> float:
    number = number_of(value)
    if number is None or number <= 0:
        return default
    return min(number, longest)
