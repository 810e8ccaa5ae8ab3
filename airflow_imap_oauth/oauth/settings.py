# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The settings of one OAuth client, as the layers above hand them down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from airflow_imap_oauth.oauth.profiles import ClientAuthMethod, Grant, MailProviderProfile

#: What each authorization request sets anew, so that no configuration may.
OWN_PARAMETERS = frozenset(
    {
        "client_id",
        "client_secret",
        "code_challenge",
        "code_challenge_method",
        "nonce",
        "redirect_uri",
        "request",
        "request_uri",
        "response_mode",
        "response_type",
        "scope",
        "state",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSettings:
    """
    How to reach servers over HTTPS.

    :param ca_file: PEM file of additional authorities to trust, or None.
    :param connect_timeout_seconds: Bound on name look-up, TCP and TLS handshake.
    :param read_timeout_seconds: Bound on each wait for bytes of the answer.
    :param allow_loopback_http: Accept plain http to loopback hosts; for tests only.
    :param proxy_url: The proxy for every request, see
        :func:`airflow_imap_oauth.oauth.proxies.checked_proxy_url`; it may hold a password. None:
        no proxy, whatever the environment says.
    """

    ca_file: str | None = None
    connect_timeout_seconds: float = 10.0
    read_timeout_seconds: float = 30.0
    allow_loopback_http: bool = False
    proxy_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """
    URLs of an authorization server (RFC 8414 names in parentheses).

    ``token_url`` is ``token_endpoint``, ``authorize_url`` is ``authorization_endpoint``,
    ``device_url`` is ``device_authorization_endpoint`` (RFC 8628), ``revoke_url`` is
    ``revocation_endpoint``, ``jwks_url`` is ``jwks_uri``. None: unknown or not offered.
    """

    issuer: str | None = None
    authorize_url: str | None = None
    token_url: str | None = None
    device_url: str | None = None
    revoke_url: str | None = None
    jwks_url: str | None = None
    iss_parameter_supported: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKey:
    """
    The key with which a client signs its assertions (RFC 7523 section 2.2).

    :param private_key: PEM.
    :param certificate_chain: PEM, the client's own certificate first; for Microsoft.
    :param key_id: Which of the registered keys it is; for others.
    """

    private_key: str = field(repr=False)
    certificate_chain: str | None = None
    key_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthSettings:
    """
    One OAuth client of one mailbox connection.

    :param conn_id: The connection's id, for messages.
    :param client_id: Empty for a service account, whose key names it.
    :param service_account_key: The JSON of the key, for that grant.
    :param endpoints: As configured (profile with ``{tenant_id}`` filled in, or explicit);
        discovery may complete them (:func:`airflow_imap_oauth.oauth.discovery.complete`).
    :param scopes: The scopes that IMAP needs (profile's, or the connection's own).
    :param extra_scopes: Asked for at authorization besides.
    :param login: The account that consents, sent as ``login_hint``; or for which a service
        account acts.
    :param authorize_params: Further parameters of the authorization request; they win over those
        of the profile.
    :param credential_expires_on: The day on which secret or certificate end, as far as known.
    """

    conn_id: str
    profile: MailProviderProfile
    grant: Grant = "user_consent"
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    client_key: ClientKey | None = None
    service_account_key: str | None = field(default=None, repr=False)
    client_auth_method: ClientAuthMethod = "post"
    tenant_id: str | None = None
    endpoints: Endpoints
    scopes: tuple[str, ...]
    extra_scopes: tuple[str, ...] = ()
    login: str
    authorize_params: Mapping[str, str] = field(default_factory=dict)
    credential_expires_on: date | None = None
    transport: TransportSettings = field(default_factory=TransportSettings)
