# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What standards demand of every sign-in, whichever mail provider; see docs/standards.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_imap_oauth.oauth.authorization_code import finish, start
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.mail_provider import Grant
from airflow_imap_oauth.oauth.mail_providers import BUILT_IN
from tests.oauth.clients import LOGIN, Client

ROOT = Path(__file__).parents[2]
REDIRECT = "http://127.0.0.1:8123/callback"


def signed_in(client: Client) -> None:
    """Sign in once."""
    pending = start(client.settings, REDIRECT)
    callback = client.server.consent(pending.url, LOGIN)
    client.server.reset_counters()
    with Transport(client.settings.transport) as transport:
        finish(client.settings, pending, callback, transport)


def test_rfc6749_4_1_3_redirect_uri_is_sent_again_unchanged(client: Client) -> None:
    """The code exchange names the very redirect URI of the authorization request."""
    signed_in(client)
    (request,) = client.server.recorded("token")
    assert request.parameters["redirect_uri"] == REDIRECT


def test_rfc6749_3_2_token_requests_are_posts_with_nothing_in_the_url(client: Client) -> None:
    """A token request is a POST to the bare endpoint; all that is secret is in its body."""
    signed_in(client)
    (request,) = client.server.recorded("token")
    assert request.method == "POST"
    assert request.path == urlsplit(client.settings.endpoints.token_url or "").path
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize("secret", [True, False], ids=["confidential", "public"])
def test_rfc9700_2_1_1_every_client_uses_pkce(client: Client, secret: bool) -> None:
    """PKCE with S256 is part of every sign-in, of confidential clients too."""
    changed = client if secret else client.with_settings(client_secret=None)
    query = parse_qs(urlsplit(start(changed.settings, REDIRECT).url).query)
    assert query["code_challenge_method"] == ["S256"]
    assert len(query["code_challenge"][0]) == 43


def test_rfc9700_2_1_2_no_token_comes_by_the_browser(client: Client) -> None:
    """The response type is code alone: the implicit grant is not used."""
    query = parse_qs(urlsplit(start(client.settings, REDIRECT).url).query)
    assert query["response_type"] == ["code"]
    assert "response_mode" not in query


def test_rfc9700_2_4_there_is_no_password_grant() -> None:
    """No mail provider, and no setting, offers the resource owner's password."""
    assert set(get_args(Grant)) == {"user_consent", "client_credentials", "service_account"}
    assert {grant for profile in BUILT_IN.values() for grant in profile.grants} <= {
        *get_args(Grant)
    }


def test_every_line_of_the_checklist_names_a_test_that_exists() -> None:
    """docs/standards.md lists, for each demand of a standard, the test that proves it."""
    page = (ROOT / "docs" / "standards.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("| ") and "::" in line]
    assert len(lines) > 40
    for line in lines:
        for file, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", line):
            assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), line
