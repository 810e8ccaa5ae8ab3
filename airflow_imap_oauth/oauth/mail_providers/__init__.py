# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The built-in mail-provider profiles, each value with its source.

``docs/mail_providers.md`` is written from these (``make docs``) and marks what is not confirmed.
"""

from __future__ import annotations

from airflow_imap_oauth.oauth.mail_provider import MailProviderProfile
from airflow_imap_oauth.oauth.mail_providers.google import GOOGLE
from airflow_imap_oauth.oauth.mail_providers.microsoft import (
    MICROSOFT,
    MICROSOFT_CHINA,
    MICROSOFT_US_DOD,
    MICROSOFT_US_GOV,
)
from airflow_imap_oauth.oauth.mail_providers.others import (
    AOL,
    COMCAST,
    FASTMAIL,
    MAILRU,
    YAHOO,
    YANDEX,
    ZOHO,
)

_CUSTOM = MailProviderProfile(
    name="custom",
    label="Custom",
    engine="rfc6749",
    grants=("user_consent", "client_credentials"),
    client_auth_methods=("post", "basic", "none", "private_key_jwt"),
    scopes=(),
    no_device_hint=(
        "Set device_url of the connection, or issuer if the server has discovery; or sign in"
        " without --device: --no-browser needs no browser on this machine."
    ),
)

BUILT_IN = {
    profile.name: profile
    for profile in (
        *(MICROSOFT, MICROSOFT_US_GOV, MICROSOFT_US_DOD, MICROSOFT_CHINA, GOOGLE),
        *(YAHOO, AOL, FASTMAIL, ZOHO, YANDEX, MAILRU, COMCAST, _CUSTOM),
    )
}
