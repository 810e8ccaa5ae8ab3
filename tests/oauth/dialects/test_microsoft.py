# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Microsoft Entra's ways."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_imap_oauth.exceptions import (
    ClientRejectedError,
    OAuthError,
    PolicyError,
    ReauthorizationRequiredError,
    TokenResponseError,
    TransientOAuthError,
)
from airflow_imap_oauth.oauth.clock import utc_now
from airflow_imap_oauth.oauth.id_token import account_of
from airflow_imap_oauth.oauth.profiles import get_profile
from tests.oauth.clients import LOGIN
from tests.oauth.dialects.clients import (
    asked,
    client_of,
    sign_in,
    sign_in_by_device,
    spend,
    spend_refused,
)
from tests.servers.authorization_server import entra_error
from tests.tokens.support import Rig

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

CLOUDS = {
    "microsoft": "login.microsoftonline.com",
    "microsoft_us_gov": "login.microsoftonline.us",
    "microsoft_us_dod": "login.microsoftonline.us",
    "microsoft_china": "login.partner.microsoftonline.cn",
}
TENANT_ID = "11111111-2222-3333-4444-555555555555"


# --- Refresh tokens -------------------------------------------------------------------------------


def test_new_refresh_token_each_time(authorization_server: AuthorizationServer) -> None:
    """Each refresh brings a new refresh token while the old one lives on."""
    settings = client_of(authorization_server, "microsoft")
    first = sign_in(authorization_server, settings).refresh_token or ""
    second, third = (spend(settings, first).refresh_token for _ in range(2))
    assert second
    assert third
    assert len({first, second, third}) == 3
    assert spend(settings, second).access_token


def test_newest_refresh_token_is_kept(
    authorization_server: AuthorizationServer, tmp_path: Path
) -> None:
    """Its 90 days count from its issue, so each renewal spends the one of the renewal before."""
    rig = Rig(tmp_path)
    rig.settings = client_of(authorization_server, "microsoft")
    seed = sign_in(authorization_server, rig.settings).refresh_token
    authorization_server.reset_counters()
    for _ in range(3):
        rig.manager(seed=seed, refresh=None).get_access_token()
        rig.expire()
    requests = authorization_server.recorded("token")
    spent = [one.parameters["refresh_token"] for one in requests]
    assert spent[0] == seed
    assert len(set(spent)) == 3


def test_refresh_token_comes_for_offline_access(authorization_server: AuthorizationServer) -> None:
    """The sign-in asks for it, though the answer does not list it among what was granted."""
    settings = client_of(authorization_server, "microsoft")
    assert "offline_access" in asked(settings)["scope"].split()
    response = sign_in(authorization_server, settings)
    assert response.refresh_token
    assert "offline_access" not in (response.scopes or ())


# --- Scopes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["asked", "other_resource", "short"])
def test_scopes_are_spelt_in_several_ways(
    authorization_server: AuthorizationServer, spelling: str
) -> None:
    """The permission may come back under another name of Exchange Online, or bare."""
    settings = client_of(authorization_server, "microsoft")
    authorization_server.switch(scope_spelling=spelling)
    response = sign_in(authorization_server, settings)
    assert spend(settings, response.refresh_token or "").access_token


# --- Errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind", "hint"),
    [
        (700082, ReauthorizationRequiredError, "90 days"),
        (50173, ReauthorizationRequiredError, "airflow imap-oauth login mail"),
        (50076, ReauthorizationRequiredError, "second factor"),
        (70043, ReauthorizationRequiredError, "sign-in frequency"),
        (53003, PolicyError, "Conditional access"),
        (90094, PolicyError, "administrator must consent"),
        (7000222, ClientRejectedError, "client secret has expired"),
        (700016, ClientRejectedError, "tenant_id"),
        (90038, ClientRejectedError, "national cloud"),
        (50196, OAuthError, "loop"),
        (90033, TransientOAuthError, ""),
    ],
)
def test_number_says_more_than_the_word(
    authorization_server: AuthorizationServer, code: int, kind: type[OAuthError], hint: str
) -> None:
    """Under one and the same word, error_codes tell what is wrong and what to do."""
    members = entra_error("invalid_grant", (code,), "canary")
    authorization_server.fail_next("token", "json_error", status=400, members=members)
    error = spend_refused(client_of(authorization_server, "microsoft"), "r")
    assert type(error) is kind
    assert hint in error.hint
    assert f"AADSTS{code}" in error.message
    assert "canary" not in str(error)


def test_correlation_id_is_told(authorization_server: AuthorizationServer) -> None:
    """What Microsoft's support asks for stands in the message and in the error."""
    members = entra_error("invalid_grant", (50173,))
    authorization_server.fail_next("token", "json_error", status=400, members=members)
    error = spend_refused(client_of(authorization_server, "microsoft"), "r")
    assert error.correlation_id == members["correlation_id"]
    for name in ("correlation_id", "trace_id"):
        assert str(members[name]) in error.message


def test_suberror_alone_does_not_decide(authorization_server: AuthorizationServer) -> None:
    """An unknown suberror leaves the verdict to number and word."""
    members = entra_error("invalid_grant", (50173,), suberror="canary")
    authorization_server.fail_next("token", "json_error", status=400, members=members)
    error = spend_refused(client_of(authorization_server, "microsoft"), "r")
    assert isinstance(error, ReauthorizationRequiredError)
    assert "canary" not in str(error)


def test_revoked_sessions(authorization_server: AuthorizationServer) -> None:
    """After an administrator revoked the sessions, the hint says by what refresh tokens end."""
    login = "revoked@example.test"
    settings = client_of(authorization_server, "microsoft")
    token = sign_in(authorization_server, settings, login).refresh_token or ""
    authorization_server.revoke_all(login)
    error = spend_refused(settings, token)
    assert isinstance(error, ReauthorizationRequiredError)
    assert "administrator revokes the sessions" in error.hint


# --- Devices and clouds ---------------------------------------------------------------------------


def test_sign_in_by_device(authorization_server: AuthorizationServer) -> None:
    """A sign-in by device code brings what one at the browser does."""
    settings = client_of(authorization_server, "microsoft")
    response = sign_in_by_device(authorization_server, settings)
    assert response.account == sign_in(authorization_server, settings).account
    assert spend(settings, response.refresh_token or "").access_token


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("host", sorted(set(CLOUDS.values())))
def test_issuers_of_the_clouds(
    authorization_server: AuthorizationServer, cloud: str, host: str
) -> None:
    """An id_token of a national cloud is taken by the profiles of that cloud, and no others."""
    settings = client_of(authorization_server, "microsoft")
    authorization_server.next_id_token(iss=f"https://{host}/{TENANT_ID}/v2.0", tid=TENANT_ID)
    token = sign_in_without_check(authorization_server)
    settings = replace(settings, profile=get_profile(cloud))
    if host == CLOUDS[cloud]:
        assert account_of(token, settings, now=utc_now()).claims["tid"] == TENANT_ID
        return
    with pytest.raises(TokenResponseError, match="another server"):
        account_of(token, settings, now=utc_now())


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_address_of_a_cloud_is_its_own(cloud: str) -> None:
    """Neither secrets nor codes of a national cloud leave it."""
    profile = get_profile(cloud)
    for url in (
        *(profile.issuer, profile.authorize_url, profile.token_url),
        *(profile.device_url, profile.jwks_url),
    ):
        assert url is not None
        assert url.startswith(f"https://{CLOUDS[cloud]}/{{tenant_id}}/")


def sign_in_without_check(server: AuthorizationServer) -> str:
    """Return the id_token of a refresh at Entra, which any issuer of the tests may be in."""
    settings = client_of(server, "microsoft")
    profile = replace(settings.profile, issuer=None)
    endpoints = replace(settings.endpoints, issuer=None)
    own = replace(profile, engine="rfc6749")
    scopes = (*settings.scopes, "openid")
    token = server.mint_refresh_token(LOGIN, scopes=scopes)
    response = spend(replace(settings, profile=own, endpoints=endpoints), token)
    return response.id_token or ""
