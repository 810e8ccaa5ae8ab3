# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What a mail-provider profile is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

EngineName = Literal["rfc6749", "msal", "google-auth"]
SaslMechanism = Literal["xoauth2", "oauthbearer"]
#: How access is granted: a person consents once (authorization code or device grant, then refresh
#: tokens), or the application or service account signs in by itself.
Grant = Literal["user_consent", "client_credentials", "service_account"]
#: How the client authenticates; ``private_key_jwt``: by an assertion signed with its own key.
ClientAuthMethod = Literal["post", "basic", "none", "private_key_jwt"]

DEVICE_GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """
    Where values come from, and the day on which they were read there.

    :param values: The fields of the profile that it vouches for.
    :param confirmed: False where the page is not the mail provider's own, or does not say it
        outright: the settings of other mail clients, say.
    """

    url: str
    read_on: date
    values: tuple[str, ...]
    confirmed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class MailProviderProfile:
    """
    One mail provider.

    ``imap_host`` and URLs may hold ``{region}``, URLs also ``{tenant_id}``. A URL that is None is
    not offered, or (``custom``) comes from the connection or from discovery at the issuer.

    :param name: The value of ``mail_provider`` in the connection.
    :param label: Shown to people.
    :param engine: Which token client refreshes.
    :param grants: Which grants it knows.
    :param client_auth_methods: Which ways to authenticate its clients have, the default first.
    :param scopes: The scopes without which IMAP does not work.
    :param extra_scopes: Asked for at authorization besides, for example ``offline_access``.
    :param app_scopes: What stands in place of both where the grant is client credentials.
    :param regions: Values of ``{region}``, the default first; none: there is but one region.
    :param sasl_mechanism: The mechanism to use, or None for the best that the server offers.
    :param rotates_refresh_token: True where a refresh may return a new refresh token and kill
        the old one; then a refresh token must never be spent without saving the answer.
    :param previous_refresh_token_serves: True where a refresh token goes on working after it was
        replaced, so that a lost answer loses nothing.
    :param loopback_redirect_host: Host of the loopback redirect URI (RFC 8252 section 7.3;
        ``localhost`` only where the mail provider demands it).
    :param device_grant_type: What its token endpoint calls the device grant (RFC 8628 section 3.4).
    :param device_code_parameter: The name of the device code there.
    :param no_device_hint: What to do instead where there is no ``device_url``.
    :param revokes_by_token_alone: True where its ``revoke_url`` takes the token and nothing
        besides: neither RFC 7009's hint nor the client's proof, which nobody needs to see there.
    :param no_revocation_hint: What to do instead where there is no ``revoke_url``.
    :param missing_refresh_token_hint: What the user does when an authorization brought no
        refresh token.
    :param dead_refresh_token_hint: Why this mail provider's refresh tokens die, to be shown when
        one did.
    """

    name: str
    label: str
    engine: EngineName
    grants: tuple[Grant, ...] = ("user_consent",)
    client_auth_methods: tuple[ClientAuthMethod, ...] = ("post", "basic", "none")
    scopes: tuple[str, ...]
    extra_scopes: tuple[str, ...] = ()
    app_scopes: tuple[str, ...] = ()
    imap_host: str | None = None
    imap_port: int = 993
    issuer: str | None = None
    authorize_url: str | None = None
    token_url: str | None = None
    device_url: str | None = None
    revoke_url: str | None = None
    jwks_url: str | None = None
    default_tenant_id: str | None = None
    regions: tuple[str, ...] = ()
    client_secret_required: bool = False
    sasl_mechanism: SaslMechanism | None = None
    authorize_params: Mapping[str, str] = field(default_factory=dict)
    rotates_refresh_token: bool = True
    previous_refresh_token_serves: bool = False
    loopback_redirect_host: str = "127.0.0.1"
    device_grant_type: str = DEVICE_GRANT_TYPE
    device_code_parameter: str = "device_code"
    no_device_hint: str = "Sign in without --device; --no-browser needs no browser on this machine."
    revokes_by_token_alone: bool = False
    no_revocation_hint: str = (
        "Take the application's access away in the security settings of the account."
    )
    missing_refresh_token_hint: str = (
        "Add the scope that asks for a refresh token, often offline_access, to the scopes of the"
        " connection, and allow it in the application's registration."
    )
    dead_refresh_token_hint: str = ""
    sources: tuple[Source, ...] = ()
