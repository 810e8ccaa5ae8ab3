# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Client secrets and certificates end on a day that somebody has to remember."""

from __future__ import annotations

from datetime import date, timedelta

from airflow_imap_oauth.oauth.settings import OAuthSettings

_WARN_AHEAD = timedelta(days=30)


def expiry_warning(settings: OAuthSettings, today: date) -> str | None:
    """
    Say so from 30 days before the client's credential ends, as far as the connection tells.

    :param today: In UTC; a day more or less does not matter.
    """
    ends_on = settings.credential_expires_on
    if ends_on is None or ends_on - today > _WARN_AHEAD:
        return None
    what = "certificate" if settings.client_key is not None else "client secret"
    if settings.grant == "service_account":
        what = "service account's key"
    verb = "ended" if ends_on < today else "ends"
    return (
        f"The {what} {verb} on {ends_on:%Y-%m-%d}: make a new one at the mail provider, then enter"
        " it and its date (credential_expires_on) in the connection."
    )
