# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Authorization code grant with PKCE (RFC 6749 section 4.1, RFC 7636, RFC 8252, RFC 9207).

Ours for every mail provider, because it needs our state, our storage and our validation.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock
from urllib.parse import parse_qsl, urlencode, urlunsplit

from airflow_imap_oauth.exceptions import (
    AuthorizationFlowError,
    ConfigurationError,
    ImapOAuthError,
    OAuthError,
)
from airflow_imap_oauth.oauth.callback import AuthorizationResponse, read_callback
from airflow_imap_oauth.oauth.clock import utc_now
from airflow_imap_oauth.oauth.engines.rfc6749 import token_request
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.id_token import fetch_keys
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.scopes import asked_scopes
from airflow_imap_oauth.oauth.settings import OWN_PARAMETERS, Endpoints, OAuthSettings
from airflow_imap_oauth.oauth.sign_in import signed_in
from airflow_imap_oauth.oauth.taxonomy import classify
from airflow_imap_oauth.oauth.urls import checked_url

STEP = "authorization"
EXCHANGE_STEP = "code exchange"
LIFETIME = timedelta(minutes=10)

_REFUSALS = frozenset(
    {
        "access_denied",
        "account_selection_required",
        "consent_required",
        "interaction_required",
        "login_required",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingAuthorization:
    """
    A sign-in that is under way. Keep it where only its owner can read it, and use it once.

    :param url: Where the browser goes.
    :param code_verifier: RFC 7636 section 4.1; leaves this machine in the code exchange only.
    :param nonce: What an id_token has to answer (OpenID Connect Core section 3.1.2.1); None where
        no such token was asked for.
    :param endpoints: The server it was begun with; the code goes to no other.
    :param started_at: Aware, UTC. It is good for :data:`LIFETIME`.
    """

    url: str = field(repr=False)
    state: str = field(repr=False)
    code_verifier: str = field(repr=False)
    nonce: str | None = field(default=None, repr=False)
    redirect_uri: str
    client_id: str
    endpoints: Endpoints
    started_at: datetime
    _unused: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    def use(self) -> None:
        """
        Mark it as used, in this process: a store that hands it out must do so once.

        :raises AuthorizationFlowError: If it was used before.
        """
        if not self._unused.acquire(blocking=False):
            raise AuthorizationFlowError("This sign-in was completed or tried before.")


def start(
    settings: OAuthSettings, redirect_uri: str, *, now: Callable[[], datetime] = utc_now
) -> PendingAuthorization:
    """
    Begin a sign-in.

    :param settings: With ``authorize_url`` known, see
        :func:`airflow_imap_oauth.oauth.discovery.complete`.
    :param redirect_uri: https, or http to a loopback host (RFC 8252 section 7.3); it is sent
        again, unchanged, with the code.
    :raises ConfigurationError: If a URL is missing or malformed, a scope is none, or a parameter is
        configured that every sign-in sets itself.
    """
    state, code_verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    try:
        nonce = secrets.token_urlsafe(32) if "openid" in asked_scopes(settings) else None
        checked_url(redirect_uri, what="redirect URI", allow_loopback_http=True)
        url = _authorization_url(
            settings,
            {"redirect_uri": redirect_uri, "state": state, "nonce": nonce or ""},
            code_verifier,
        )
    except ImapOAuthError as error:
        error.located(conn_id=settings.conn_id, step=STEP)
        raise
    return PendingAuthorization(
        url=url,
        state=state,
        code_verifier=code_verifier,
        nonce=nonce,
        redirect_uri=redirect_uri,
        client_id=settings.client_id,
        endpoints=settings.endpoints,
        started_at=now(),
    )


def finish(
    settings: OAuthSettings,
    pending: PendingAuthorization,
    callback_url_or_query: str,
    transport: Transport,
    *,
    now: Callable[[], datetime] = utc_now,
) -> TokenResponse:
    """
    Check the answer to a sign-in and exchange its code for tokens.

    :param callback_url_or_query: The address that the browser was sent to, or its query.
    :return: A response that always has a refresh token, and where there was an id_token, whose it
        is.
    :raises AuthorizationFlowError: If the answer is refused, late, foreign or repeated, or
        brings no refresh token. Start again.
    :raises PolicyError: If the organisation forbids it.
    :raises ClientRejectedError: If client, secret, redirect URI or scope are not accepted, or
        a needed scope was not granted.
    :raises TransientOAuthError: If the server, or the way to it, is out of order.
    :raises TokenResponseError: If the id_token is not sound.
    :raises OAuthError: For any other refusal.
    """
    try:
        answer = read_callback(callback_url_or_query, pending.redirect_uri)
        code = _checked_code(settings, pending, answer, now())
        begun_with = replace(settings, endpoints=pending.endpoints)
        # While the code still lives: what it brings could not be checked without.
        fetch_keys(begun_with, transport)
        response = token_request(
            begun_with,
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": pending.redirect_uri,
                "code_verifier": pending.code_verifier,
            },
            transport,
            step=EXCHANGE_STEP,
            grant="authorization_code",
        )
        return signed_in(response, begun_with, transport, step=EXCHANGE_STEP, nonce=pending.nonce)
    except ImapOAuthError as error:
        error.located(conn_id=settings.conn_id, step=STEP)
        raise


def _authorization_url(settings: OAuthSettings, once: Mapping[str, str], code_verifier: str) -> str:
    if settings.endpoints.authorize_url is None:
        raise ConfigurationError(
            "authorize_url is not set.",
            hint="Set authorize_url of the connection, or issuer if the server has discovery.",
        )
    parts = checked_url(
        settings.endpoints.authorize_url,
        what="authorization request",
        allow_loopback_http=settings.transport.allow_loopback_http,
    )
    held = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    _check_configured(settings, held)
    scopes = asked_scopes(settings)
    digest = hashlib.sha256(code_verifier.encode("ascii")).digest()
    # OpenID Connect Core section 11: else the server is to ignore that scope. What a known mail
    # provider wants to see instead is in its profile.
    unknown = settings.profile.authorize_url is None
    parameters = {
        "login_hint": settings.login,
        "prompt": "consent" if unknown and "offline_access" in scopes else "",
        **settings.profile.authorize_params,
        **settings.authorize_params,
        "response_type": "code",
        "client_id": settings.client_id,
        "scope": " ".join(scopes),
        **once,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii"),
        "code_challenge_method": "S256",
    }
    # RFC 6749 section 3.1: no parameter twice.
    query = urlencode(
        {name: value for name, value in parameters.items() if value and name not in held}
    )
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, query)))))


def _check_configured(settings: OAuthSettings, held: set[str]) -> None:
    """Refuse parameters from the connection that are each sign-in's own, or come twice."""
    params = settings.authorize_params.keys()
    for where, names in (("authorize_url", held), ("authorize_params", params)):
        own = sorted(OWN_PARAMETERS & {name.lower() for name in names})
        if own:
            raise ConfigurationError(
                f"{where} of the connection holds {', '.join(own)}.",
                hint="Take that out: each sign-in sets it anew; scopes have a key of their own.",
            )
    twice = sorted(held & settings.authorize_params.keys())
    if twice:
        raise ConfigurationError(
            f"authorize_url and authorize_params of the connection both hold {', '.join(twice)}.",
            hint="Take it out of one of them.",
        )


def _checked_code(
    settings: OAuthSettings,
    pending: PendingAuthorization,
    answer: AuthorizationResponse,
    now: datetime,
) -> str:
    # Before anything else (RFC 6749 section 10.12). A foreign answer does not use up the sign-in:
    # else any page could end it by calling the redirect URI.
    # In a POSIX locale, what was pasted may hold bytes that are no text.
    state = (answer.state or "").encode(errors="surrogatepass")
    if not hmac.compare_digest(state, pending.state.encode()):
        raise AuthorizationFlowError("The answer belongs to another sign-in: its state differs.")
    pending.use()
    if not timedelta(0) <= now - pending.started_at <= LIFETIME:
        raise AuthorizationFlowError(
            f"The sign-in took longer than {LIFETIME.seconds // 60} minutes."
        )
    if settings.client_id != pending.client_id:
        raise AuthorizationFlowError("The client id of the connection was changed meanwhile.")
    _check_issuer(settings, pending.endpoints, answer.iss)
    if answer.error is not None:
        raise _refusal(settings, answer.error)
    if answer.code is None:
        raise AuthorizationFlowError("The answer holds neither a code nor an error.")
    return answer.code


def _check_issuer(settings: OAuthSettings, endpoints: Endpoints, iss: str | None) -> None:
    if iss is None:
        if endpoints.iss_parameter_supported:
            raise AuthorizationFlowError("The answer does not name its issuer, though it must.")
        return
    template = settings.profile.issuer or ""
    if "{tenant_id}" in template:
        # A shared tenant such as 'common' is answered in the name of the account's own.
        before, after = template.split("{tenant_id}", 1)
        expected = f"{re.escape(before)}[A-Za-z0-9.-]+{re.escape(after)}"
        matches = re.fullmatch(expected, iss) is not None
    else:
        matches = endpoints.issuer is None or iss == endpoints.issuer
    if not matches:
        raise AuthorizationFlowError(
            "The answer names another issuer than the one the sign-in was begun with.",
            hint="Check issuer of the connection; if it is right, the answer is not to be trusted.",
        )


def _refusal(settings: OAuthSettings, error: str) -> OAuthError:
    if error in _REFUSALS:
        return AuthorizationFlowError(
            f"The mail provider did not consent ('{error}').",
            error=error,
            hint="Sign in again and allow what is asked; if that is not offered, the administrator"
            " must allow this application.",
        )
    return classify(
        {"error": error},
        status_code=None,
        conn_id=settings.conn_id,
        step=STEP,
        grant="authorization_code",
    )
