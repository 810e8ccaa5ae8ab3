# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""``airflow imap-oauth list-mail-providers``: what a connection can name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_imap_oauth.oauth.mail_providers import BUILT_IN
from tests.cli.running import airflow

if TYPE_CHECKING:
    import pytest

    from tests.servers.authorization_server import AuthorizationServer

BASE_URL = "IMAP_OAUTH_TEST_BASE_URL"


def rows(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, Any]]]:
    """Return exit code and rows by name."""
    code, shown, _ = airflow(capsys, "list-mail-providers", "-o", "json")
    return code, {row["name"]: row for row in json.loads(shown)}


def test_every_mail_provider_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """The built-in ones come first."""
    _, found = rows(capsys)
    assert [*found][: len(BUILT_IN)] == [*BUILT_IN]


def test_json_says_what_it_offers(capsys: pytest.CaptureFixture[str]) -> None:
    """Lists are lists and booleans are booleans, for programs."""
    _, found = rows(capsys)
    assert found["google"] == {
        "name": "google",
        "label": "Google Workspace and Gmail",
        "imap_host": "imap.gmail.com",
        "regions": [],
        "grants": ["user_consent", "service_account"],
        "device_sign_in": False,
        "revocation": True,
    }


def test_what_the_issuer_tells_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    """For a server of one's own, nobody knows beforehand what it offers."""
    custom = rows(capsys)[1]["custom"]
    assert (custom["imap_host"], custom["device_sign_in"], custom["revocation"]) == (None,) * 3


def test_one_of_another_package_is_listed(
    authorization_server: AuthorizationServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Entry points of other packages count, after the built-in ones."""
    monkeypatch.setenv(BASE_URL, authorization_server.base_url)
    code, found = rows(capsys)
    assert (code, "test_google" in found) == (0, True)


def test_broken_package_does_not_hide_the_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mail provider that cannot be loaded is named on standard error: exit code 2."""
    monkeypatch.delenv(BASE_URL, raising=False)
    code, shown, errors = airflow(capsys, "list-mail-providers")
    assert code == 2
    assert "'test_google' cannot be loaded" in errors
    assert "imap.gmail.com" in shown
