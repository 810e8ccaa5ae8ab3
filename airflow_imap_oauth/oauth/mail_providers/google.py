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
    # Google has no smaller scope for IMAP on behalf of a user.
    scopes=("https://mail.google.com/",),
    imap_host="imap.gmail.com",
    issuer="https://accounts.google.com",
    authorize_url="https://accounts.google.com/o/oauth2/v2/auth",
    token_url="https://oauth2.googleapis.com/token",
    revoke_url="https://oauth2.googleapis.com/revoke",
    sasl_mechanism="xoauth2",
    # Without both, a second consent brings no refresh token.
    authorize_params={"access_type": "offline", "prompt": "consent"},
    rotates_refresh_token=False,
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
            url="https://developers.google.com/identity/protocols/oauth2",
            read_on=date(2026, 11, 25),
            values=(
                *("issuer", "authorize_url", "token_url", "revoke_url", "authorize_params"),
                *("rotates_refresh_token", "dead_refresh_token_hint"),
            ),
        ),
    ),
)
