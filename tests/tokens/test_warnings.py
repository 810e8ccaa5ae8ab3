# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What a renewal warns of in the log: credentials that end, and access that nobody needs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_imap_oauth.oauth.responses import TokenResponse
from tests.tokens.support import START_AT, Rig, settings

SURPLUS = "More was granted than IMAP needs"
TODAY = START_AT.date()


def warned(caplog: pytest.LogCaptureFixture, what: str) -> int:
    """Count warnings that hold a text and name the connection."""
    found = [one for one in caplog.messages if what in one]
    assert all("Connection 'mail'" in one for one in found)
    return len(found)


def renew(rig: Rig) -> None:
    rig.manager().get_access_token()
    rig.expire()


# --- The end of the credential --------------------------------------------------------------------


@pytest.mark.parametrize(("days", "verb"), [(30, "ends on"), (0, "ends on"), (-1, "ended on")])
def test_end_of_the_secret_is_logged_at_each_renewal(
    rig: Rig, caplog: pytest.LogCaptureFixture, days: int, verb: str
) -> None:
    """From 30 days before, each renewal says so, and goes on."""
    ends_on = TODAY + timedelta(days=days)
    rig.settings = settings(client_secret="canary", credential_expires_on=ends_on)
    for _ in range(2):
        renew(rig)
    assert warned(caplog, f"The client secret {verb} {ends_on:%Y-%m-%d}") == 2
    assert "canary" not in caplog.text


def test_living_token_is_handed_out_in_silence(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """Without a renewal nobody is warned."""
    rig.settings = settings(client_secret="s", credential_expires_on=TODAY)
    rig.manager().get_access_token()
    caplog.clear()
    rig.manager().get_access_token()
    assert caplog.messages == []


@pytest.mark.parametrize("ends_on", [None, TODAY + timedelta(days=31)])
def test_no_warning_long_before(
    rig: Rig, caplog: pytest.LogCaptureFixture, ends_on: object
) -> None:
    """Where the end is far, or not known, nobody is warned."""
    rig.settings = settings(client_secret="s", credential_expires_on=ends_on)
    renew(rig)
    assert warned(caplog, "client secret") == 0


# --- Access that nobody needs ---------------------------------------------------------------------


def test_surplus_is_logged_once_per_change(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """More than was asked for is told when it is new, not at each renewal."""
    told = []
    for scopes in (
        ("imap",),
        ("imap", "contacts"),
        ("imap", "contacts"),
        None,
        ("imap", "contacts", "calendar"),
        ("imap", "contacts", "calendar"),
        ("imap",),
        ("imap", "contacts"),
    ):
        rig.grant.scopes = scopes
        caplog.clear()
        renew(rig)
        told.append(warned(caplog, SURPLUS))
    assert told == [0, 1, 0, 0, 1, 0, 0, 1]


def test_surplus_of_an_authorization_is_not_told_again(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """What whoever authorized was told then, the renewals after it need not repeat."""
    response = TokenResponse(
        access_token="a",
        expires_in_seconds=3600,
        refresh_token="seed-1",
        scopes=("imap", "contacts"),
    )
    rig.manager().accept_authorization(response)
    rig.expire()
    rig.grant.scopes = ("imap", "contacts")
    renew(rig)
    assert warned(caplog, SURPLUS) == 0


def test_order_of_the_scopes_is_no_change(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """The same scopes in another order are the same."""
    for scopes in (("imap", "contacts"), ("contacts", "imap")):
        rig.grant.scopes = scopes
        renew(rig)
    assert warned(caplog, SURPLUS) == 1
