# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Every grant against oidc-provider, which is certified, and which we did not write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest

from airflow_imap_oauth.exceptions import (
    AuthorizationFlowError,
    ClientRejectedError,
    ImapOAuthError,
    OAuthError,
    ReauthorizationRequiredError,
    TokenResponseError,
)
from airflow_imap_oauth.oauth import authorization_code, device_authorization
from airflow_imap_oauth.oauth.authorization_code import PendingAuthorization
from airflow_imap_oauth.oauth.device_authorization import DeviceAuthorization
from airflow_imap_oauth.oauth.engines import obtain, refresh
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.revocation import revoke
from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.tokens.record import TokenRecord
from tests.matrix.clients import (
    CONFIDENTIAL,
    CONN_ID,
    LOGIN,
    WAYS,
    application,
    client,
    redirect_uri,
    undiscovered,
)
from tests.servers.oidc_provider import IMAP_SCOPE, OTHER_SCOPE, RESOURCE, OidcProvider
from tests.tokens.workers import Host

pytestmark = pytest.mark.matrix

EVERY_WAY = pytest.mark.parametrize("way", WAYS)
EVERY_SECRET_OR_KEY = pytest.mark.parametrize("way", CONFIDENTIAL)
SECRETS = pytest.mark.parametrize("way", ["client_secret_post", "client_secret_basic"])


def begin(settings: OAuthSettings, way: str) -> PendingAuthorization:
    return authorization_code.start(settings, redirect_uri(way))


def end(settings: OAuthSettings, pending: PendingAuthorization, callback: str) -> TokenResponse:
    with Transport(settings.transport) as transport:
        return authorization_code.finish(settings, pending, callback, transport)


def sign_in(server: OidcProvider, settings: OAuthSettings, way: str) -> TokenResponse:
    pending = begin(settings, way)
    return end(settings, pending, server.consent(pending.url, LOGIN))


def spend(settings: OAuthSettings, refresh_token: str | None) -> TokenResponse:
    with Transport(settings.transport) as transport:
        return refresh(settings, refresh_token or "", transport)


def own_token(settings: OAuthSettings) -> TokenResponse:
    with Transport(settings.transport) as transport:
        return obtain(settings, transport)


def take_back(settings: OAuthSettings, refresh_token: str | None) -> None:
    with Transport(settings.transport) as transport:
        revoke(settings, refresh_token or "", transport)


def ask_for_code(settings: OAuthSettings) -> DeviceAuthorization:
    with Transport(settings.transport) as transport:
        return device_authorization.start(settings, transport)


def wait(
    settings: OAuthSettings, device: DeviceAuthorization, *meanwhile: Callable[[], object]
) -> TokenResponse:
    """Wait; one thing happens during each wait, and no wait takes time."""
    happening = iter(meanwhile)
    with Transport(settings.transport) as transport:
        return device_authorization.wait(
            settings, device, transport, sleep=lambda _: next(happening)()
        )


def nothing() -> None:
    pass


def mailbox_of(server: OidcProvider, response: TokenResponse) -> str:
    """Return whose mailbox an access token opens, as the mail server is told."""
    found = server.introspect(response.access_token)
    assert found["active"] is True
    assert found["aud"] == RESOURCE
    assert IMAP_SCOPE in found["scope"].split()
    return str(found["username"])


# --- Discovery ------------------------------------------------------------------------------------


def test_discovery_finds_every_endpoint(oidc_provider: OidcProvider) -> None:
    """From the issuer alone come all endpoints, and that answers name their issuer (RFC 9207)."""
    endpoints = client(oidc_provider, "public").endpoints
    assert endpoints.iss_parameter_supported is True
    for url in (
        *(endpoints.authorize_url, endpoints.token_url, endpoints.device_url),
        *(endpoints.revoke_url, endpoints.jwks_url),
    ):
        assert url is not None
        assert url.startswith(f"{oidc_provider.issuer}/")


# --- Authorization code ---------------------------------------------------------------------------


@EVERY_WAY
def test_sign_in_opens_the_mailbox_of_who_signed_in(oidc_provider: OidcProvider, way: str) -> None:
    """However the client authenticates, a sign-in brings both tokens, for the right mailbox."""
    response = sign_in(oidc_provider, client(oidc_provider, way), way)
    assert mailbox_of(oidc_provider, response) == LOGIN
    assert response.refresh_token
    assert response.expires_in_seconds == 3600
    assert IMAP_SCOPE in (response.scopes or ())


@pytest.mark.parametrize(("way", "algorithm"), [("public", "RS256"), ("ES256", "ES256")])
def test_id_token_is_verified_and_names_the_account(
    oidc_provider: OidcProvider, way: str, algorithm: str
) -> None:
    """An id_token, signed with either kind of key of the server, says whose the tokens are."""
    response = sign_in(oidc_provider, client(oidc_provider, way), way)
    assert response.id_token is not None
    assert jwt.get_unverified_header(response.id_token)["alg"] == algorithm
    assert response.account is not None
    assert response.account.shown == LOGIN
    assert response.account.claims["iss"] == oidc_provider.issuer
    subject = oidc_provider.introspect(response.access_token)["sub"]
    assert response.account.claims["sub"] == subject


def test_id_token_for_another_nonce_is_refused(oidc_provider: OidcProvider) -> None:
    """An id_token that answers another sign-in is not believed."""
    settings = client(oidc_provider, "public")
    pending = begin(settings, "public")
    assert pending.nonce is not None
    callback = oidc_provider.consent(pending.url, LOGIN)
    with pytest.raises(TokenResponseError, match="nonce"):
        end(settings, replace(pending, nonce="another"), callback)


def test_answer_holds_state_and_issuer(oidc_provider: OidcProvider) -> None:
    """The server sends our state back and names itself, and both are checked."""
    settings = client(oidc_provider, "public")
    pending = begin(settings, "public")
    callback = oidc_provider.consent(pending.url, LOGIN)
    query = {name: value for name, [value] in parse_qs(urlsplit(callback).query).items()}
    assert query["state"] == pending.state
    assert query["iss"] == oidc_provider.issuer
    for changes in ({"state": "another"}, {"iss": "https://another.example"}):
        with pytest.raises(AuthorizationFlowError):
            end(settings, replace(pending), urlencode({**query, **changes}))
    assert end(settings, replace(pending), callback).access_token


def test_code_with_another_verifier_is_refused(oidc_provider: OidcProvider) -> None:
    """The server compares our verifier with our challenge (RFC 7636 section 4.6)."""
    settings = client(oidc_provider, "public")
    pending = begin(settings, "public")
    callback = oidc_provider.consent(pending.url, LOGIN)
    with pytest.raises(AuthorizationFlowError) as caught:
        end(settings, replace(pending, code_verifier="v" * 64), callback)
    assert caught.value.error == "invalid_grant"


def test_reused_code_ends_what_it_brought(oidc_provider: OidcProvider) -> None:
    """A code that comes twice is refused, and the tokens of the first time die (RFC 6749 4.1.2)."""
    settings = client(oidc_provider, "public")
    pending = begin(settings, "public")
    callback = oidc_provider.consent(pending.url, LOGIN)
    first = end(settings, pending, callback)
    with pytest.raises(AuthorizationFlowError) as caught:
        end(settings, replace(pending), callback)
    assert caught.value.error == "invalid_grant"
    with pytest.raises(ReauthorizationRequiredError):
        spend(settings, first.refresh_token)


def test_refused_consent_is_told(oidc_provider: OidcProvider) -> None:
    """Who does not consent is told that, with what to do."""
    settings = client(oidc_provider, "public")
    pending = begin(settings, "public")
    callback = oidc_provider.consent(pending.url, LOGIN, allow=False)
    with pytest.raises(AuthorizationFlowError, match="did not consent") as caught:
        end(settings, pending, callback)
    assert caught.value.error == "access_denied"


def test_scope_that_was_not_consented_to_is_named(oidc_provider: OidcProvider) -> None:
    """Who consents to less than IMAP needs is told which scope is missing."""
    settings = client(oidc_provider, "public")
    settings = replace(settings, extra_scopes=(*settings.extra_scopes, OTHER_SCOPE))
    pending = begin(settings, "public")
    granted = ("openid", "offline_access", OTHER_SCOPE)
    callback = oidc_provider.consent(pending.url, LOGIN, scopes=granted)
    with pytest.raises(ClientRejectedError, match=f"Not granted: scope {IMAP_SCOPE}"):
        end(settings, pending, callback)


def test_oidc_core_11_offline_access_needs_a_new_consent(oidc_provider: OidcProvider) -> None:
    """Who takes prompt=consent out gets no refresh token: the server ignores offline_access."""
    settings = client(oidc_provider, "ES256", authorize_params={"prompt": ""})
    with pytest.raises(AuthorizationFlowError, match="brought no refresh token"):
        sign_in(oidc_provider, settings, "ES256")


def test_without_offline_access_nothing_is_saved(oidc_provider: OidcProvider) -> None:
    """A sign-in that brings no refresh token names the scope that asks for one."""
    settings = client(oidc_provider, "public", extra_scopes=("openid",))
    with pytest.raises(AuthorizationFlowError, match="offline_access"):
        sign_in(oidc_provider, settings, "public")


# --- Refresh --------------------------------------------------------------------------------------


@EVERY_WAY
def test_refresh_rotates(oidc_provider: OidcProvider, way: str) -> None:
    """Each renewal brings another refresh token, and an access token for the same mailbox."""
    settings = client(oidc_provider, way)
    first = sign_in(oidc_provider, settings, way)
    second = spend(settings, first.refresh_token)
    third = spend(settings, second.refresh_token)
    assert len({first.refresh_token, second.refresh_token, third.refresh_token, None}) == 4
    assert mailbox_of(oidc_provider, third) == LOGIN
    assert third.account == first.account


def test_old_refresh_token_ends_the_family(oidc_provider: OidcProvider) -> None:
    """A refresh token that comes back is refused, and so is its successor from then on."""
    settings = client(oidc_provider, "public")
    first = sign_in(oidc_provider, settings, "public")
    second = spend(settings, first.refresh_token)
    for refresh_token in (first.refresh_token, second.refresh_token):
        with pytest.raises(ReauthorizationRequiredError, match="imap-oauth login"):
            spend(settings, refresh_token)
    assert oidc_provider.introspect(second.access_token) == {"active": False}


def test_token_manager_hands_out_and_renews(oidc_provider: OidcProvider, tmp_path: Path) -> None:
    """The token manager, knowing the issuer alone, keeps a token while it lasts, then renews."""
    response = sign_in(oidc_provider, client(oidc_provider, "public"), "public")
    host = Host(
        settings=undiscovered(oidc_provider, "public"),
        seed=response.refresh_token or "",
        folder=tmp_path,
    )
    first = host.manager().get_access_token()
    assert host.manager().get_access_token() == first
    assert oidc_provider.introspect(first)["username"] == LOGIN
    record = TokenRecord.from_json(host.store().load(CONN_ID) or "")
    ended = replace(record, access_token_expires_at=record.last_refresh_at)
    host.store().save(CONN_ID, ended.to_json())
    second = host.manager().get_access_token()
    assert second != first
    assert oidc_provider.introspect(second)["username"] == LOGIN


# --- Device authorization -------------------------------------------------------------------------


@EVERY_WAY
def test_device_waits_until_somebody_consents(oidc_provider: OidcProvider, way: str) -> None:
    """While nobody has entered the code it goes on asking; then it has tokens and the account."""
    settings = client(oidc_provider, way)
    device = ask_for_code(settings)
    assert device.interval_seconds == 5
    assert device.lifetime_seconds == 600
    address = device.verification_uri_complete
    assert address is not None
    assert device.user_code in address
    response = wait(
        settings, device, nothing, nothing, lambda: oidc_provider.decide_device(address, LOGIN)
    )
    assert mailbox_of(oidc_provider, response) == LOGIN
    assert response.account is not None
    assert response.account.shown == LOGIN
    assert mailbox_of(oidc_provider, spend(settings, response.refresh_token)) == LOGIN


def test_refused_device_is_told(oidc_provider: OidcProvider) -> None:
    """Where somebody enters the code and refuses, the wait ends and says so."""
    settings = client(oidc_provider, "public")
    device = ask_for_code(settings)
    address = device.verification_uri_complete or ""
    with pytest.raises(AuthorizationFlowError) as caught:
        wait(
            settings,
            device,
            nothing,
            lambda: oidc_provider.decide_device(address, LOGIN, allow=False),
        )
    assert caught.value.error == "access_denied"


def test_spent_device_code_is_refused(oidc_provider: OidcProvider) -> None:
    """A device code brings tokens once; who comes again is told to start anew."""
    settings = client(oidc_provider, "public")
    device = ask_for_code(settings)
    address = device.verification_uri_complete or ""
    wait(settings, device, lambda: oidc_provider.decide_device(address, LOGIN))
    with pytest.raises(AuthorizationFlowError) as caught:
        wait(settings, device, nothing)
    assert caught.value.error == "invalid_grant"


# --- Client credentials ---------------------------------------------------------------------------


@EVERY_SECRET_OR_KEY
def test_application_signs_in_as_itself(oidc_provider: OidcProvider, way: str) -> None:
    """By secret or by key, an application gets an access token for IMAP, and no refresh token."""
    settings = application(oidc_provider, way)
    response = own_token(settings)
    assert response.refresh_token is None
    found = oidc_provider.introspect(response.access_token)
    assert (found["client_id"], found["scope"]) == (settings.client_id, IMAP_SCOPE)


# --- Client authentication ------------------------------------------------------------------------


@SECRETS
def test_wrong_secret_is_told_everywhere(oidc_provider: OidcProvider, way: str) -> None:
    """A wrong secret is told as that at each endpoint, and costs no refresh token."""
    settings = client(oidc_provider, way)
    wrong = replace(settings, client_secret="wrong")
    response = sign_in(oidc_provider, settings, way)
    calls: tuple[Callable[[], object], ...] = (
        lambda: spend(wrong, response.refresh_token),
        lambda: take_back(wrong, response.refresh_token),
        lambda: ask_for_code(wrong),
        lambda: sign_in(oidc_provider, wrong, way),
        lambda: own_token(application(oidc_provider, way, client_secret="wrong")),
    )
    for call in calls:
        with pytest.raises(ClientRejectedError) as caught:
            call()
        assert (caught.value.error, caught.value.status_code) == ("invalid_client", 401)
    assert spend(settings, response.refresh_token).access_token


@pytest.mark.parametrize(("way", "another"), [("RS256", "ES256"), ("ES256", "RS256")])
def test_wrong_key_is_told(oidc_provider: OidcProvider, way: str, another: str) -> None:
    """An assertion that another key signed is told as a client that is not accepted."""
    key = application(oidc_provider, another).client_key
    with pytest.raises(ClientRejectedError) as caught:
        own_token(application(oidc_provider, way, client_key=key))
    assert caught.value.error == "invalid_client"


def test_another_way_than_registered_is_told(oidc_provider: OidcProvider) -> None:
    """A client that should sign, and sends nothing, is told that it is not accepted."""
    settings = client(oidc_provider, "RS256")
    response = sign_in(oidc_provider, settings, "RS256")
    with pytest.raises(ClientRejectedError):
        spend(replace(settings, client_auth_method="none"), response.refresh_token)


def test_grant_that_is_not_registered_is_no_passing_trouble(oidc_provider: OidcProvider) -> None:
    """A client that may not sign in as itself is refused for good, whatever the server's word."""
    with pytest.raises(OAuthError) as caught:
        own_token(client(oidc_provider, "RS256", grant="client_credentials"))
    assert not caught.value.retry_helps
    # RFC 6749 section 5.2 has unauthorized_client for it; this server says otherwise.
    assert caught.value.error == "invalid_request"


# --- Revocation -----------------------------------------------------------------------------------


@EVERY_WAY
def test_revocation_ends_the_refresh_token(oidc_provider: OidcProvider, way: str) -> None:
    """What was taken back is dead, with the access token that came of it; twice is no error."""
    settings = client(oidc_provider, way)
    response = spend(settings, sign_in(oidc_provider, settings, way).refresh_token)
    for _ in range(2):
        take_back(settings, response.refresh_token)
    assert oidc_provider.introspect(response.access_token) == {"active": False}
    with pytest.raises(ReauthorizationRequiredError):
        spend(settings, response.refresh_token)


def test_errors_name_no_secret(oidc_provider: OidcProvider) -> None:
    """No error shows the token, code or secret that it is about."""
    settings = client(oidc_provider, "client_secret_post")
    wrong = replace(settings, client_secret="wrong-secret")
    pending = begin(settings, "client_secret_post")
    callback = oidc_provider.consent(pending.url, LOGIN)
    [code] = parse_qs(urlsplit(callback).query)["code"]
    with pytest.raises(ImapOAuthError) as caught:
        end(wrong, pending, callback)
    shown = f"{caught.value} {caught.value!r} {vars(caught.value)}"
    assert [
        secret for secret in (code, "wrong-secret", pending.code_verifier) if secret in shown
    ] == []
