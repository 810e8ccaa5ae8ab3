# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The day on which the client's credential ends."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from airflow_imap_oauth.oauth.expiry import expiry_warning
from airflow_imap_oauth.oauth.profiles import get_profile
from airflow_imap_oauth.oauth.settings import ClientKey, Endpoints, OAuthSettings

LAST_DAY = date(2026, 12, 31)
SECRET = {"client_secret": "canary"}
CERTIFICATE = {"client_key": ClientKey(private_key="canary", certificate_chain="canary")}
SERVICE_ACCOUNT = {"grant": "service_account", "service_account_key": "canary"}


def warning(today: date, **changes: Any) -> str | None:
    settings = OAuthSettings(
        **{
            "conn_id": "mail",
            "profile": get_profile("custom"),
            "client_id": "app",
            "endpoints": Endpoints(),
            "scopes": ("imap",),
            "login": "ada@example.test",
            "credential_expires_on": LAST_DAY,
            **changes,
        }
    )
    return expiry_warning(settings, today)


@pytest.mark.parametrize(
    ("credential", "name"),
    [
        (SECRET, "client secret"),
        (CERTIFICATE, "certificate"),
        ({**SECRET, **CERTIFICATE}, "certificate"),
        (SERVICE_ACCOUNT, "service account's key"),
    ],
)
def test_thirty_days_before(credential: dict[str, Any], name: str) -> None:
    """From 30 days before its end there is a warning that names credential, day and setting."""
    assert warning(LAST_DAY - timedelta(days=31), **credential) is None
    told = warning(LAST_DAY - timedelta(days=30), **credential)
    assert told is not None
    assert f"The {name} ends on 2026-12-31" in told
    assert "credential_expires_on" in told
    assert "canary" not in told


def test_on_the_day_and_after_it() -> None:
    """On its last day it ends, from the day after it ended, and the warning stays."""
    assert "ends on" in (warning(LAST_DAY, **SECRET) or "")
    for days in (1, 400):
        assert "ended on 2026-12-31" in (warning(LAST_DAY + timedelta(days=days), **SECRET) or "")


@pytest.mark.parametrize("credential", [SECRET, CERTIFICATE, SERVICE_ACCOUNT])
def test_without_a_day_nothing_is_told(credential: dict[str, Any]) -> None:
    """Where the connection does not tell the day, nobody is warned."""
    assert warning(LAST_DAY, credential_expires_on=None, **credential) is None
