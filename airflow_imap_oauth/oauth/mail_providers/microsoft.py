# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Microsoft 365 and Outlook.com, and the national clouds."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from airflow_imap_oauth.oauth.mail_provider import MailProviderProfile, Source

_IDENTITY_PLATFORM = "https://learn.microsoft.com/entra/identity-platform"
_NATIONAL_CLOUDS = Source(
    url=f"{_IDENTITY_PLATFORM}/authentication-national-cloud",
    read_on=date(2026, 11, 25),
    values=("issuer", "authorize_url", "token_url", "default_tenant_id"),
)
_MICROSOFT_IMAP = (
    "https://learn.microsoft.com/exchange/client-developer/legacy-protocols/"
    "how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth"
)
_MICROSOFT_EVERYWHERE = (
    Source(
        url=_MICROSOFT_IMAP,
        read_on=date(2026, 11, 25),
        values=("extra_scopes", "sasl_mechanism"),
    ),
    Source(
        url=f"{_IDENTITY_PLATFORM}/v2-oauth2-client-creds-grant-flow",
        read_on=date(2026, 11, 26),
        values=("grants", "client_auth_methods"),
    ),
    Source(
        url=f"{_IDENTITY_PLATFORM}/v2-oauth2-device-code",
        read_on=date(2026, 11, 26),
        values=("device_url",),
    ),
    Source(
        url=f"{_IDENTITY_PLATFORM}/access-tokens",
        read_on=date(2026, 11, 26),
        values=("jwks_url",),
    ),
    Source(
        url="https://learn.microsoft.com/graph/api/user-revokesigninsessions",
        read_on=date(2026, 11, 26),
        values=("no_revocation_hint",),
    ),
    Source(
        url=f"{_IDENTITY_PLATFORM}/refresh-tokens",
        read_on=date(2026, 11, 25),
        values=(
            "rotates_refresh_token",
            "previous_refresh_token_serves",
            "dead_refresh_token_hint",
        ),
    ),
    Source(
        url=f"{_IDENTITY_PLATFORM}/reply-url",
        read_on=date(2026, 11, 25),
        values=("loopback_redirect_host",),
    ),
    _NATIONAL_CLOUDS,
)

MICROSOFT = MailProviderProfile(
    name="microsoft",
    label="Microsoft 365 and Outlook.com",
    engine="msal",
    grants=("user_consent", "client_credentials"),
    client_auth_methods=("post", "private_key_jwt", "none"),
    scopes=("https://outlook.office.com/IMAP.AccessAsUser.All",),
    # openid and profile are asked for because MSAL asks for them at every refresh.
    extra_scopes=("offline_access", "openid", "profile"),
    app_scopes=("https://outlook.office365.com/.default",),
    imap_host="outlook.office365.com",
    issuer="https://login.microsoftonline.com/{tenant_id}/v2.0",
    authorize_url="https://login.microsoftonline.com/{tenant_id}/oauth2/v2.0/authorize",
    token_url="https://login.microsoftonline.com/{tenant_id}/oauth2/v2.0/token",
    device_url="https://login.microsoftonline.com/{tenant_id}/oauth2/v2.0/devicecode",
    jwks_url="https://login.microsoftonline.com/{tenant_id}/discovery/v2.0/keys",
    # Serves applications registered for several tenants and personal accounts; for one
    # registered in a single tenant Entra demands that tenant's id and says so.
    default_tenant_id="common",
    sasl_mechanism="xoauth2",
    # Each refresh brings a new refresh token; the old one lives on.
    rotates_refresh_token=True,
    previous_refresh_token_serves=True,
    # Entra ignores the port of a registered http://localhost, and not that of 127.0.0.1.
    loopback_redirect_host="localhost",
    no_revocation_hint=(
        "Microsoft offers no revocation of a single token: remove the application at"
        " https://myapps.microsoft.com, or let an administrator revoke the account's sessions."
    ),
    missing_refresh_token_hint=(
        "Allow the delegated permission offline_access in the application's registration."
    ),
    dead_refresh_token_hint=(
        "Refresh tokens end when unused for 90 days, when an administrator revokes the sessions,"
        " and by sign-in policies."
    ),
    sources=(
        Source(
            url=_MICROSOFT_IMAP,
            read_on=date(2026, 11, 25),
            values=("imap_host", "scopes", "app_scopes"),
        ),
        *_MICROSOFT_EVERYWHERE,
    ),
)


def _national(
    name: str,
    label: str,
    *,
    imap_host: str,
    scope_host: str,
    login_host: str,
    sources: tuple[Source, ...],
) -> MailProviderProfile:
    """Make the profile of a national cloud; each needs a registration of its own."""
    base = f"https://{login_host}/{{tenant_id}}"
    return replace(
        MICROSOFT,
        name=name,
        label=label,
        imap_host=imap_host,
        scopes=(f"https://{scope_host}/IMAP.AccessAsUser.All",),
        issuer=f"{base}/v2.0",
        authorize_url=f"{base}/oauth2/v2.0/authorize",
        app_scopes=(f"https://{scope_host}/.default",),
        token_url=f"{base}/oauth2/v2.0/token",
        device_url=f"{base}/oauth2/v2.0/devicecode",
        jwks_url=f"{base}/discovery/v2.0/keys",
        # There are no personal accounts in a national cloud.
        default_tenant_id="organizations",
        sources=(*sources, *_MICROSOFT_EVERYWHERE),
    )


_US_ENDPOINTS = "https://learn.microsoft.com/microsoft-365/enterprise/microsoft-365-u-s-government"
_OTHER_CLIENTS_ON_MICROSOFT = Source(
    url="https://github.com/postalsys/emailengine/blob/master/lib/oauth/outlook.js",
    read_on=date(2026, 11, 26),
    values=("scopes", "app_scopes"),
    confirmed=False,
)

MICROSOFT_US_GOV = _national(
    "microsoft_us_gov",
    "Microsoft 365 US Government (GCC High)",
    imap_host="outlook.office365.us",
    scope_host="outlook.office365.us",
    login_host="login.microsoftonline.us",
    sources=(
        Source(
            url=f"{_US_ENDPOINTS}-gcc-high-endpoints",
            read_on=date(2026, 11, 25),
            values=("imap_host",),
        ),
        _OTHER_CLIENTS_ON_MICROSOFT,
    ),
)

MICROSOFT_US_DOD = _national(
    "microsoft_us_dod",
    "Microsoft 365 US Government (DoD)",
    imap_host="outlook-dod.office365.us",
    scope_host="outlook.office365.us",
    login_host="login.microsoftonline.us",
    sources=(
        Source(
            url=f"{_US_ENDPOINTS}-dod-endpoints", read_on=date(2026, 11, 25), values=("imap_host",)
        ),
        _OTHER_CLIENTS_ON_MICROSOFT,
    ),
)

MICROSOFT_CHINA = _national(
    "microsoft_china",
    "Microsoft 365 operated by 21Vianet (China)",
    imap_host="partner.outlook.cn",
    scope_host="partner.outlook.cn",
    login_host="login.partner.microsoftonline.cn",
    sources=(
        Source(
            url="https://learn.microsoft.com/microsoft-365/enterprise/"
            "urls-and-ip-address-ranges-21vianet",
            read_on=date(2026, 11, 25),
            values=("imap_host",),
            # The page names the host, but not port 993.
            confirmed=False,
        ),
        _OTHER_CLIENTS_ON_MICROSOFT,
    ),
)
