# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Endpoints from the metadata of the issuer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    ImapOAuthError,
    OAuthError,
    TransientOAuthError,
)
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.metadata import METADATA, STEP, metadata_of
from airflow_imap_oauth.oauth.settings import Endpoints, OAuthSettings
from airflow_imap_oauth.oauth.urls import checked_url

#: Fields of :class:`~airflow_imap_oauth.oauth.settings.Endpoints` that metadata can fill.
EndpointName = Literal["token_url", "authorize_url", "device_url", "revoke_url", "jwks_url"]


def complete(
    settings: OAuthSettings,
    transport: Transport,
    *needed: EndpointName,
    wanted: tuple[EndpointName, ...] = (),
) -> OAuthSettings:
    """
    Return the settings with what can be known of the endpoints.

    Nothing is fetched where all that is asked for is known, or where there is no issuer to ask:
    whoever uses an endpoint says what to do where it is missing. What the connection names itself
    wins over the metadata, which count only if they name the very issuer they were asked for
    (RFC 8414 section 3.3): else one server could pose as another.

    :param needed: Without these, the issuer's refusal to tell is an error.
    :param wanted: What is good to know.
    :raises ConfigurationError: If there is neither an issuer nor a token endpoint.
    :raises TransientOAuthError: If the issuer cannot be reached for now. A retry helps.
    :raises OAuthError: If it has no metadata, or those of another issuer.
    """
    known = settings.endpoints
    if known.issuer is None and known.token_url is None:
        raise ConfigurationError(
            "Neither exchange_url nor issuer is set.",
            hint="Set exchange_url of the connection, or issuer if the server has discovery.",
            conn_id=settings.conn_id,
            step=STEP,
        )
    missing = {name for name in (*needed, *wanted) if getattr(known, name) is None}
    # The endpoints of a mail provider that is known are all in its profile.
    if not missing or known.issuer is None or settings.profile.token_url is not None:
        return settings
    try:
        found = _endpoints(_fetch(known.issuer, transport), known, transport)
    except ImapOAuthError as error:
        if missing.isdisjoint(needed) and not isinstance(error, TransientOAuthError):
            return settings
        error.located(conn_id=settings.conn_id, step=STEP)
        raise
    return replace(settings, endpoints=found)


def metadata_urls(issuer: str) -> tuple[str, str]:
    """
    Return where an issuer's metadata are, in the order to try.

    OpenID Connect Discovery 1.0 section 4 appends its path to the issuer; RFC 8414 section 3.1
    puts its own between host and path.
    """
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    openid = parts._replace(path=f"{path}/.well-known/openid-configuration")
    oauth = parts._replace(path=f"/.well-known/oauth-authorization-server{path}")
    return urlunsplit(openid), urlunsplit(oauth)


def _fetch(issuer: str, transport: Transport) -> dict[str, Any]:
    checked_url(issuer, what="issuer", allow_loopback_http=transport.settings.allow_loopback_http)
    status_code = 0
    for url in metadata_urls(issuer):
        answer = METADATA.get(url, transport)
        status_code = answer.status_code
        if status_code >= 400:  # noqa: PLR2004  # the class of client errors
            continue
        document = metadata_of(answer)
        if document.get("issuer") == issuer:
            return document
        raise OAuthError(
            "The metadata at the issuer's address name another issuer.",
            hint="Set issuer of the connection exactly as the server spells it, to the last slash.",
            status_code=status_code,
        )
    raise OAuthError(
        f"The issuer has no metadata (HTTP {status_code}).",
        hint="Check the issuer, or set exchange_url and authorize_url of the connection instead.",
        status_code=status_code,
    )


def _endpoints(document: Mapping[str, Any], known: Endpoints, transport: Transport) -> Endpoints:
    def url(configured: str | None, name: str, what: str) -> str | None:
        if configured is not None:
            return configured
        found = document.get(name)
        if not isinstance(found, str):
            return None
        checked_url(found, what=what, allow_loopback_http=transport.settings.allow_loopback_http)
        return found

    token_url = url(known.token_url, "token_endpoint", "token request")
    if token_url is None:
        raise OAuthError("The issuer's metadata name no token endpoint.")
    return Endpoints(
        issuer=known.issuer,
        authorize_url=url(known.authorize_url, "authorization_endpoint", "authorization request"),
        token_url=token_url,
        device_url=url(
            known.device_url, "device_authorization_endpoint", "device authorization request"
        ),
        revoke_url=url(known.revoke_url, "revocation_endpoint", "revocation request"),
        jwks_url=url(known.jwks_url, "jwks_uri", "keys of the server"),
        iss_parameter_supported=(
            known.iss_parameter_supported
            or document.get("authorization_response_iss_parameter_supported") is True
        ),
    )
