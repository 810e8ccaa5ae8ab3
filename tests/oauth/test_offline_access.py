# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""OpenID Connect Core section 11: offline_access is asked for together with prompt=consent."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_imap_oauth.oauth.authorization_code import start
from airflow_imap_oauth.oauth.settings import OAuthSettings
from tests.oauth.clients import custom, microsoft

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

REDIRECT = "http://127.0.0.1:8123/callback"


def prompt_of(settings: OAuthSettings) -> list[str]:
    return parse_qs(urlsplit(start(settings, REDIRECT).url).query).get("prompt", [])


@pytest.mark.parametrize("name", ["scopes", "extra_scopes"])
def test_oidc_core_11_offline_access_comes_with_prompt_consent(
    authorization_server: AuthorizationServer, name: str
) -> None:
    """A server that is not known is asked for a new consent, else it has to ignore the scope."""
    settings = custom(authorization_server, **{name: ("openid", "imap", "offline_access")})
    assert prompt_of(settings) == ["consent"]


def test_without_offline_access_nobody_is_asked_again(
    authorization_server: AuthorizationServer,
) -> None:
    """Where no such scope is asked for, the server decides whether to ask."""
    assert prompt_of(custom(authorization_server, extra_scopes=("openid",))) == []


def test_known_mail_provider_is_asked_as_its_profile_says(
    authorization_server: AuthorizationServer,
) -> None:
    """Microsoft gives refresh tokens without: a prompt would ask users whom nobody has to ask."""
    settings = microsoft(authorization_server)
    assert "offline_access" in settings.extra_scopes
    assert prompt_of(settings) == []


@pytest.mark.parametrize(("prompt", "sent"), [("login consent", ["login consent"]), ("", [])])
def test_connection_has_the_last_word(
    authorization_server: AuthorizationServer, prompt: str, sent: list[str]
) -> None:
    """What the connection sets as prompt is sent instead, or nothing where it sets nothing."""
    settings = custom(
        authorization_server,
        extra_scopes=("offline_access",),
        authorize_params={"prompt": prompt},
    )
    assert prompt_of(settings) == sent
