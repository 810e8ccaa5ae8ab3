# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The sign-in in the browser, from its URL to the tokens."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from airflow_imap_oauth.exceptions import (
    AuthorizationFlowError,
    ClientRejectedError,
    ConfigurationError,
    OAuthError,
    PolicyError,
    TransientOAuthError,
)
from airflow_imap_oauth.oauth.authorization_code import PendingAuthorization, finish, start
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.settings import OAuthSettings
from tests.oauth.clients import CONN_ID, LOGIN, Client, custom, google, microsoft

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

REDIRECT = "http://127.0.0.1:8123/callback"
NOON = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)


def begin(settings: OAuthSettings, redirect_uri: str = REDIRECT) -> PendingAuthorization:
    return start(settings, redirect_uri, now=lambda: NOON)


def end(
    settings: OAuthSettings,
    pending: PendingAuthorization,
    callback: str,
    after: timedelta = timedelta(minutes=1),
) -> TokenResponse:
    with Transport(settings.transport) as transport:
        return finish(settings, pending, callback, transport, now=lambda: NOON + after)


def refusal(
    settings: OAuthSettings,
    pending: PendingAuthorization,
    callback: str,
    after: timedelta = timedelta(minutes=1),
) -> OAuthError:
    with pytest.raises(OAuthError) as caught:
        end(settings, pending, callback, after)
    assert caught.value.conn_id == CONN_ID
    assert caught.value.step in {"authorization", "code exchange"}
    return caught.value


def query_of(pending: PendingAuthorization) -> dict[str, str]:
    return {name: value for name, [value] in parse_qs(urlsplit(pending.url).query).items()}


def answer(pending: PendingAuthorization, **parameters: str) -> str:
    found = {"state": pending.state, **parameters}
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in found.items())


# --- The authorization request ------------------------------------------------------------------


def test_rfc6749_4_1_1_parameters(authorization_server: AuthorizationServer) -> None:
    """The URL asks for a code, for this client, these scopes, this account."""
    settings = custom(authorization_server, extra_scopes=("offline_access",))
    pending = begin(settings)
    query = query_of(pending)
    assert pending.url.startswith(f"{authorization_server.authorize_url}?")
    assert query["response_type"] == "code"
    assert query["client_id"] == settings.client_id
    assert query["redirect_uri"] == REDIRECT
    assert query["scope"] == " ".join((*settings.scopes, "offline_access"))
    assert query["login_hint"] == LOGIN
    assert query["state"] == pending.state


def test_rfc7636_4_s256(authorization_server: AuthorizationServer) -> None:
    """The challenge is the SHA-256 of a fresh verifier of 43 to 128 unreserved characters."""
    pending = begin(custom(authorization_server))
    assert re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", pending.code_verifier)
    digest = hashlib.sha256(pending.code_verifier.encode()).digest()
    query = query_of(pending)
    assert query["code_challenge_method"] == "S256"
    assert query["code_challenge"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")


def test_rfc6749_10_12_every_sign_in_is_new(authorization_server: AuthorizationServer) -> None:
    """State and verifier are never used twice."""
    one, two = (begin(custom(authorization_server)) for _ in range(2))
    assert one.state != two.state
    assert one.code_verifier != two.code_verifier


def test_google_is_asked_for_offline_access(authorization_server: AuthorizationServer) -> None:
    """Parameters of the profile are part of the request."""
    query = query_of(begin(google(authorization_server)))
    assert (query["access_type"], query["prompt"]) == ("offline", "consent")


def test_parameters_of_a_profile_cannot_replace_ours(
    authorization_server: AuthorizationServer,
) -> None:
    """A profile cannot switch off PKCE or state."""
    settings = custom(authorization_server)
    params = {"code_challenge_method": "plain", "state": "fixed", "response_type": "token"}
    profile = replace(settings.profile, authorize_params=params)
    query = query_of(begin(replace(settings, profile=profile)))
    assert query["code_challenge_method"] == "S256"
    assert query["state"] != "fixed"
    assert query["response_type"] == "code"


def test_query_of_the_endpoint_is_kept(authorization_server: AuthorizationServer) -> None:
    """RFC 6749 section 3.1: the query of the authorization endpoint is retained."""
    settings = custom(authorization_server)
    url = f"{authorization_server.authorize_url}?policy=a%20b"
    endpoints = replace(settings.endpoints, authorize_url=url)
    query = query_of(begin(replace(settings, endpoints=endpoints)))
    assert query["policy"] == "a b"
    assert query["response_type"] == "code"


@pytest.mark.parametrize(
    "redirect_uri",
    ["http://mail.example.com/callback", "callback", "http://127.0.0.1/#x", "myapp://callback"],
)
def test_rfc8252_7_3_unsafe_redirect_uri_is_refused(
    authorization_server: AuthorizationServer, redirect_uri: str
) -> None:
    """A code is brought over https, or http on this machine."""
    with pytest.raises(ConfigurationError, match="redirect URI"):
        begin(custom(authorization_server), redirect_uri)


def test_missing_authorization_endpoint_is_named(
    authorization_server: AuthorizationServer,
) -> None:
    """Without an endpoint the setting that is missing is named."""
    settings = custom(authorization_server)
    endpoints = replace(settings.endpoints, authorize_url=None)
    with pytest.raises(ConfigurationError, match="authorize_url") as caught:
        begin(replace(settings, endpoints=endpoints))
    assert caught.value.conn_id == CONN_ID


def test_rfc7636_7_pending_sign_in_shows_no_secret(
    authorization_server: AuthorizationServer,
) -> None:
    """The representation holds neither state nor verifier, nor the URL that holds one."""
    pending = begin(custom(authorization_server))
    assert pending.state not in repr(pending)
    assert pending.code_verifier not in repr(pending)


# --- The whole sign-in --------------------------------------------------------------------------


def test_sign_in_brings_tokens_that_work(client: Client) -> None:
    """Each mail provider's sign-in ends in tokens of the account that consented."""
    pending = begin(client.settings)
    callback = client.server.consent(pending.url, LOGIN)
    response = end(client.settings, pending, callback)
    assert response.refresh_token
    assert client.server.introspect(response.access_token)["username"] == LOGIN
    assert client.server.token_requests == 1


@pytest.mark.parametrize("method", ["post", "basic"])
def test_sign_in_with_each_client_authentication(
    authorization_server: AuthorizationServer, method: str
) -> None:
    """The secret goes by form or by header, as the connection says."""
    settings = custom(authorization_server, client_auth_method=method)
    pending = begin(settings)
    response = end(settings, pending, authorization_server.consent(pending.url, LOGIN))
    assert response.refresh_token


def test_sign_in_of_a_public_client(authorization_server: AuthorizationServer) -> None:
    """PKCE alone is enough for a client without a secret."""
    settings = custom(
        authorization_server,
        client_id=authorization_server.public_client_id,
        client_secret=None,
        client_auth_method="none",
    )
    pending = begin(settings)
    response = end(settings, pending, authorization_server.consent(pending.url, LOGIN))
    assert response.refresh_token


def test_pasted_query_is_as_good_as_the_address(
    authorization_server: AuthorizationServer,
) -> None:
    """Whoever cannot be redirected pastes the query alone."""
    settings = custom(authorization_server)
    pending = begin(settings)
    callback = authorization_server.consent(pending.url, LOGIN)
    assert end(settings, pending, urlsplit(callback).query).refresh_token


def test_rfc6749_4_1_2_second_use_of_an_answer(authorization_server: AuthorizationServer) -> None:
    """An answer is good once, and the second attempt does not reach the server."""
    settings = custom(authorization_server)
    pending = begin(settings)
    callback = authorization_server.consent(pending.url, LOGIN)
    end(settings, pending, callback)
    error = refusal(settings, pending, callback)
    assert isinstance(error, AuthorizationFlowError)
    assert authorization_server.token_requests == 1


def test_rfc6749_4_1_2_replayed_code_is_refused_by_the_server(
    authorization_server: AuthorizationServer,
) -> None:
    """A code that was redeemed elsewhere asks for a new sign-in, not for a new connection."""
    settings = custom(authorization_server)
    pending = begin(settings)
    callback = authorization_server.consent(pending.url, LOGIN)
    end(settings, pending, callback)
    twin = replace(pending)  # as another process has it
    error = refusal(settings, twin, callback)
    assert type(error) is AuthorizationFlowError
    assert error.error == "invalid_grant"
    assert error.step == "code exchange"


def test_sign_in_without_refresh_token_says_what_to_do(
    authorization_server: AuthorizationServer,
) -> None:
    """Entra without offline_access brings no refresh token, and the error names the permission."""
    settings = microsoft(authorization_server, extra_scopes=())
    pending = begin(settings)
    error = refusal(settings, pending, authorization_server.consent(pending.url, LOGIN))
    assert "no refresh token" in error.message
    assert "offline_access" in error.hint


def test_partial_consent_names_the_missing_scope(
    authorization_server: AuthorizationServer,
) -> None:
    """Tokens that do not open IMAP are refused."""
    settings = custom(authorization_server)
    body = '{"access_token":"a","token_type":"Bearer","refresh_token":"r","scope":"openid"}'
    authorization_server.fail_next("token", "body", status=200, body=body)
    error = refusal(settings, (pending := begin(settings)), answer(pending, code="c"))
    assert isinstance(error, ClientRejectedError)
    assert settings.scopes[0] in error.message


# --- Answers that are refused, without a word to the server -------------------------------------


@pytest.mark.parametrize("state", ["", "other", "é", None])
def test_rfc6749_10_12_foreign_state(
    authorization_server: AuthorizationServer, state: str | None
) -> None:
    """An answer with another state is refused, and the right one is still accepted after it."""
    settings = custom(authorization_server)
    pending = begin(settings)
    callback = authorization_server.consent(pending.url, LOGIN)
    foreign = "code=c" if state is None else f"code=c&state={quote(state)}"
    assert "another sign-in" in refusal(settings, pending, foreign).message
    assert authorization_server.token_requests == 0
    assert end(settings, pending, callback).refresh_token


def test_rfc6749_10_12_state_comes_before_the_error(
    authorization_server: AuthorizationServer,
) -> None:
    """A foreign page cannot end a sign-in by bringing an error."""
    pending = begin(custom(authorization_server))
    error = refusal(custom(authorization_server), pending, "error=access_denied&state=x")
    assert "another sign-in" in error.message


@pytest.mark.parametrize("iss", ["https://evil.example", "", "https://LOCALHOST"])
def test_rfc9207_2_4_foreign_issuer(authorization_server: AuthorizationServer, iss: str) -> None:
    """An answer of another issuer is refused before the code goes anywhere."""
    settings = custom(authorization_server)
    endpoints = replace(settings.endpoints, iss_parameter_supported=True)
    settings = replace(settings, endpoints=endpoints)
    pending = begin(settings)
    error = refusal(settings, pending, answer(pending, code="c", iss=iss))
    assert "issuer" in error.message
    assert authorization_server.token_requests == 0


def test_rfc9207_2_4_missing_issuer(authorization_server: AuthorizationServer) -> None:
    """Where the metadata promise the issuer, an answer without it is refused."""
    settings = custom(authorization_server)
    endpoints = replace(settings.endpoints, iss_parameter_supported=True)
    settings = replace(settings, endpoints=endpoints)
    pending = begin(settings)
    assert "does not name" in refusal(settings, pending, answer(pending, code="c")).message
    assert authorization_server.token_requests == 0


def test_rfc9207_2_issuer_is_checked_on_errors_too(
    authorization_server: AuthorizationServer,
) -> None:
    """An error of another issuer is no answer to this sign-in."""
    settings = custom(authorization_server)
    pending = begin(settings)
    callback = answer(pending, error="access_denied", iss="https://evil.example")
    assert "another issuer" in refusal(settings, pending, callback).message


def test_issuer_of_the_accounts_own_tenant_is_accepted(
    authorization_server: AuthorizationServer,
) -> None:
    """Entra may answer a shared tenant in the name of the account's own, but for no other host."""
    settings = microsoft(authorization_server)
    pending = begin(settings)
    iss = f"{authorization_server.base_url}/11111111-2222-3333-4444-555555555555/v2.0"
    callback = answer(pending, error="access_denied", iss=iss)
    assert "did not consent" in refusal(settings, pending, callback).message
    pending = begin(settings)
    callback = answer(pending, error="access_denied", iss="https://evil.example/x/v2.0")
    assert "another issuer" in refusal(settings, pending, callback).message


@pytest.mark.parametrize("minutes", [10.01, 60 * 24, -1])
def test_late_answer_is_refused(authorization_server: AuthorizationServer, minutes: float) -> None:
    """After ten minutes, or before it began, a sign-in is over."""
    settings = custom(authorization_server)
    pending = begin(settings)
    error = refusal(settings, pending, answer(pending, code="c"), timedelta(minutes=minutes))
    assert "10 minutes" in error.message
    assert authorization_server.token_requests == 0


def test_answer_without_code_is_refused(authorization_server: AuthorizationServer) -> None:
    """An answer with neither code nor error is none."""
    settings = custom(authorization_server)
    pending = begin(settings)
    assert "neither a code nor an error" in refusal(settings, pending, answer(pending)).message


def test_changed_client_is_refused(authorization_server: AuthorizationServer) -> None:
    """A connection whose client was exchanged meanwhile gets no tokens of the old one."""
    settings = custom(authorization_server)
    pending = begin(settings)
    changed = replace(settings, client_id="other")
    assert "client id" in refusal(changed, pending, answer(pending, code="c")).message


def test_rfc9700_4_4_code_goes_to_the_server_it_was_begun_with(
    authorization_server: AuthorizationServer,
) -> None:
    """A connection whose endpoints were exchanged meanwhile does not send the code elsewhere."""
    settings = custom(authorization_server)
    pending = begin(settings)
    callback = authorization_server.consent(pending.url, LOGIN)
    endpoints = replace(settings.endpoints, token_url="https://127.0.0.1:9/token")
    assert end(replace(settings, endpoints=endpoints), pending, callback).refresh_token


# --- Errors brought back ------------------------------------------------------------------------


def test_denied_consent(authorization_server: AuthorizationServer) -> None:
    """A user who refuses ends the sign-in, and is told how to go on."""
    settings = custom(authorization_server)
    pending = begin(settings)
    callback = authorization_server.consent(pending.url, LOGIN, allow=False)
    error = refusal(settings, pending, callback)
    assert type(error) is AuthorizationFlowError
    assert error.error == "access_denied"
    assert authorization_server.token_requests == 0


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("access_denied", AuthorizationFlowError),
        ("consent_required", AuthorizationFlowError),
        ("login_required", AuthorizationFlowError),
        ("admin_policy_enforced", PolicyError),
        ("org_internal", PolicyError),
        ("invalid_scope", ClientRejectedError),
        ("unauthorized_client", ClientRejectedError),
        ("redirect_uri_mismatch", ClientRejectedError),
        ("server_error", TransientOAuthError),
        ("temporarily_unavailable", TransientOAuthError),
        ("invalid_request", OAuthError),
        ("never_heard_of", AuthorizationFlowError),
        ("<script>", AuthorizationFlowError),
    ],
)
def test_error_answers(
    authorization_server: AuthorizationServer, word: str, kind: type[OAuthError]
) -> None:
    """Every error that the browser brings back has its class, and is not repeated blindly."""
    settings = custom(authorization_server)
    pending = begin(settings)
    error = refusal(settings, pending, answer(pending, error=word, error_description="secret"))
    assert type(error) is kind
    assert "secret" not in str(error)
    assert "<script>" not in str(error)


def test_server_in_trouble_during_the_exchange(
    authorization_server: AuthorizationServer,
) -> None:
    """A token endpoint that is down is transient, and the code is not sent twice."""
    settings = custom(authorization_server)
    pending = begin(settings)
    callback = authorization_server.consent(pending.url, LOGIN)
    authorization_server.fail_next("token", "html", status=502)
    assert isinstance(refusal(settings, pending, callback), TransientOAuthError)
    assert authorization_server.token_requests == 1
