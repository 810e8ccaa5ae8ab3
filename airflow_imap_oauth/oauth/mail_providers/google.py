# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Google Workspace and Gmail."""

from __future__ import annotations

from datetime import date

from airflow_imap_oauth.oauth.mail_provider import MailProviderProfile, Source

GOOGLE = MailProviderProfile(
    name="google",
    label="Google Workspace and Gmail",
    engine="google-auth",
    grants=("user_consent", "service_account"),
    client_auth_methods=("post", "none"),
    # Google has no smaller scope for IMAP on behalf of a user.
    scopes=("https://mail.google.com/",),
    # Tells which account consented, and nothing else of it.
    extra_scopes=("openid", "email"),
    imap_host="imap.gmail.com",
    issuer="https://accounts.google.com",
    authorize_url="https://accounts.google.com/o/oauth2/v2/auth",
    token_url="https://oauth2.googleapis.com/token",
    revoke_url="https://oauth2.googleapis.com/revoke",
    revokes_by_token_alone=True,
    jwks_url="https://www.googleapis.com/oauth2/v3/certs",
    sasl_mechanism="xoauth2",
    # Without both, a second consent brings no refresh token.
    authorize_params={"access_type": "offline", "prompt": "consent"},
    rotates_refresh_token=False,
    no_device_hint=(
        "Google allows few scopes to devices, and mail is not among them: sign in without --device;"
        " --no-browser needs no browser on this machine."
    ),
    missing_refresh_token_hint=(
        "Remove the application's access at https://myaccount.google.com/connections, then"
        " authorize again."
    ),
    dead_refresh_token_hint=(
        "Refresh tokens end after 7 days while the consent screen is in testing, when unused for"
        " 6 months, and when the account's password changes."
    ),
    sources=(
        Source(
            url="https://developers.google.com/workspace/gmail/imap/xoauth2-protocol",
            read_on=date(2026, 11, 25),
            values=("scopes", "sasl_mechanism"),
        ),
        Source(
            url="https://developers.google.com/workspace/gmail/imap/imap-smtp",
            read_on=date(2026, 11, 25),
            values=("imap_host",),
        ),
        Source(
            url="https://developers.google.com/identity/openid-connect/openid-connect",
            read_on=date(2026, 11, 26),
            values=("extra_scopes", "jwks_url"),
        ),
        Source(
            url="https://developers.google.com/identity/protocols/oauth2/service-account",
            read_on=date(2026, 11, 26),
            values=("grants", "client_auth_methods"),
        ),
        Source(
            url="https://developers.google.com/identity/protocols/oauth2/limited-input-device",
            read_on=date(2026, 11, 26),
            values=("no_device_hint",),
        ),
        Source(
            url="https://developers.google.com/identity/protocols/oauth2",
            read_on=date(2026, 11, 25),
            values=(
                *("issuer", "authorize_url", "token_url", "revoke_url", "authorize_params"),
                *("rotates_refresh_token", "dead_refresh_token_hint", "revokes_by_token_alone"),
            ),
        ),
    ),
)
