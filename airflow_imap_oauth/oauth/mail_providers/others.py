# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Mail providers that need no token client of their own."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from airflow_imap_oauth.oauth.mail_provider import MailProviderProfile, Source

_THUNDERBIRD = "https://searchfox.org/comm-central/source/mailnews/base/src/OAuth2Providers.sys.mjs"
_ENDPOINTS = ("authorize_url", "token_url")

YAHOO = MailProviderProfile(
    name="yahoo",
    label="Yahoo Mail",
    engine="rfc6749",
    # Reading is enough; where the registration was granted mail-w only, scopes says so.
    scopes=("mail-r",),
    imap_host="imap.mail.yahoo.com",
    authorize_url="https://api.login.yahoo.com/oauth2/request_auth",
    token_url="https://api.login.yahoo.com/oauth2/get_token",
    revoke_url="https://api.login.yahoo.com/oauth2/revoke",
    sasl_mechanism="xoauth2",
    missing_refresh_token_hint=(
        "Ask Yahoo whether the application's registration was approved for mail."
    ),
    dead_refresh_token_hint="Refresh tokens end when the account's password changes.",
    sources=(
        Source(
            url=_THUNDERBIRD,
            read_on=date(2026, 11, 26),
            values=("imap_host", *_ENDPOINTS, "sasl_mechanism"),
            confirmed=False,
        ),
        Source(
            url="https://developer.yahoo.com/oauth2/guide/",
            read_on=date(2026, 11, 26),
            values=("scopes", "revoke_url", "dead_refresh_token_hint"),
            confirmed=False,
        ),
    ),
)

AOL = replace(
    YAHOO,
    name="aol",
    label="AOL Mail",
    imap_host="imap.aol.com",
    authorize_url="https://api.login.aol.com/oauth2/request_auth",
    token_url="https://api.login.aol.com/oauth2/get_token",
    revoke_url="https://api.login.aol.com/oauth2/revoke",
)

FASTMAIL = MailProviderProfile(
    name="fastmail",
    label="Fastmail",
    engine="rfc6749",
    scopes=("https://www.fastmail.com/dev/protocol-imap",),
    imap_host="imap.fastmail.com",
    issuer="https://api.fastmail.com",
    authorize_url="https://api.fastmail.com/oauth/authorize",
    token_url="https://api.fastmail.com/oauth/refresh",
    revoke_url="https://api.fastmail.com/oauth/revoke",
    # Redirect URIs to this machine may begin with http://localhost/ only.
    loopback_redirect_host="localhost",
    sources=(
        Source(
            url="https://www.fastmail.com/for-developers/oauth/",
            read_on=date(2026, 11, 26),
            values=("loopback_redirect_host",),
        ),
        Source(
            url=_THUNDERBIRD,
            read_on=date(2026, 11, 26),
            values=("imap_host", "issuer", *_ENDPOINTS, "revoke_url", "scopes"),
            confirmed=False,
        ),
    ),
)

ZOHO = MailProviderProfile(
    name="zoho",
    label="Zoho Mail",
    engine="rfc6749",
    scopes=("ZOHOMAIL.PROTOCOL.IMAP",),
    imap_host="imap.zoho.{region}",
    authorize_url="https://accounts.zoho.{region}/oauth/v2/auth",
    token_url="https://accounts.zoho.{region}/oauth/v2/token",
    revoke_url="https://accounts.zoho.{region}/oauth/v2/token/revoke",
    revokes_by_token_alone=True,
    # An account, and each of its tokens, belongs to one data centre.
    regions=("com", "eu", "in", "com.au", "jp", "com.cn"),
    client_secret_required=True,
    sasl_mechanism="xoauth2",
    # Without both, a second consent brings no refresh token.
    authorize_params={"access_type": "offline", "prompt": "consent"},
    rotates_refresh_token=False,
    missing_refresh_token_hint=(
        "Check that region of the connection is the data centre of the account, then authorize"
        " again."
    ),
    dead_refresh_token_hint=(
        "Zoho keeps 20 refresh tokens of an account and drops the oldest for a newer one."
    ),
    sources=(
        Source(
            url="https://www.zoho.com/mail/help/sasl-xoauth2-smtp-imap-pop-protocol-exchange.html",
            read_on=date(2026, 11, 26),
            values=("scopes", "sasl_mechanism"),
        ),
        Source(
            url="https://www.zoho.com/mail/help/api/using-oauth-2.html",
            read_on=date(2026, 11, 26),
            values=(*_ENDPOINTS, "client_secret_required"),
        ),
        Source(
            url="https://www.zoho.com/analytics/api/v2/authentication/revoke-token.html",
            read_on=date(2026, 11, 26),
            values=("revoke_url", "revokes_by_token_alone"),
        ),
        Source(
            url="https://www.aurinko.io/blog/zoho-mail-oauth-flow/",
            read_on=date(2026, 11, 26),
            values=("imap_host", "regions", "authorize_params"),
            confirmed=False,
        ),
        Source(
            url="https://www.zoho.com/crm/developer/docs/api/v3/token-validity.html",
            read_on=date(2026, 11, 25),
            values=("rotates_refresh_token", "dead_refresh_token_hint"),
        ),
    ),
)

YANDEX = MailProviderProfile(
    name="yandex",
    label="Yandex Mail",
    engine="rfc6749",
    scopes=("mail:imap_ro",),
    imap_host="imap.yandex.com",
    authorize_url="https://oauth.yandex.com/authorize",
    token_url="https://oauth.yandex.com/token",
    device_url="https://oauth.yandex.com/device/code",
    # Yandex's own words for RFC 8628 section 3.4.
    device_grant_type="device_code",
    device_code_parameter="code",
    sasl_mechanism="xoauth2",
    no_revocation_hint=(
        "Take the application's access away at https://id.yandex.com/personal/data-access."
    ),
    missing_refresh_token_hint="Check the rights of the application's registration.",
    dead_refresh_token_hint=(
        "Refresh tokens live as long as access tokens, and each renewal brings a new one: use the"
        " connection at least every three months."
    ),
    sources=(
        Source(
            url="https://yandex.ru/support/yandex-360/business/mail/ru/web/security/oauth",
            read_on=date(2026, 11, 26),
            values=("imap_host", "scopes", "sasl_mechanism"),
        ),
        Source(
            url="https://yandex.com/dev/id/doc/en/codes/code-url",
            read_on=date(2026, 11, 26),
            values=_ENDPOINTS,
        ),
        Source(
            url="https://yandex.com/dev/id/doc/en/tokens/refresh-client",
            read_on=date(2026, 11, 25),
            values=("rotates_refresh_token", "dead_refresh_token_hint"),
        ),
        Source(
            url="https://yandex.com/dev/id/doc/en/codes/screen-code-oauth",
            read_on=date(2026, 11, 26),
            values=("device_url", "device_grant_type", "device_code_parameter"),
        ),
        Source(
            # It takes access tokens alone, under a name of its own, and not by RFC 7009.
            url="https://yandex.com/dev/id/doc/en/tokens/token-invalidate",
            read_on=date(2026, 11, 25),
            values=("no_revocation_hint",),
        ),
    ),
)

MAILRU = MailProviderProfile(
    name="mailru",
    label="Mail.ru",
    engine="rfc6749",
    scopes=("mail.imap",),
    extra_scopes=("openid", "profile", "offline_access"),
    imap_host="imap.mail.ru",
    authorize_url="https://oauth.mail.ru/login",
    token_url="https://oauth.mail.ru/token",
    client_secret_required=True,
    sasl_mechanism="xoauth2",
    authorize_params={"prompt": "consent"},
    sources=(
        Source(
            url="https://id.vk.ru/about/business/go/docs/ru/vkid/latest/oauth/oauth-mail/index",
            read_on=date(2026, 11, 26),
            values=("authorize_url", "scopes", "sasl_mechanism"),
        ),
        Source(
            url="https://learn.emailengine.app/docs/accounts/mail-ru",
            read_on=date(2026, 11, 25),
            values=(
                *("imap_host", "token_url", "extra_scopes", "authorize_params"),
                "client_secret_required",
            ),
            confirmed=False,
        ),
    ),
)

COMCAST = MailProviderProfile(
    name="comcast",
    label="Comcast Xfinity",
    engine="rfc6749",
    scopes=("https://email.comcast.net/",),
    extra_scopes=("profile", "openid"),
    imap_host="imap.comcast.net",
    authorize_url="https://oauth.xfinity.com/oauth/authorize",
    token_url="https://oauth.xfinity.com/oauth/token",
    sources=(
        Source(
            url=_THUNDERBIRD,
            read_on=date(2026, 11, 26),
            values=("imap_host", *_ENDPOINTS, "scopes", "extra_scopes"),
            confirmed=False,
        ),
    ),
)
