# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The id_token of a sign-in (OpenID Connect Core section 3.1.3.7)."""

from __future__ import annotations

import json
import time
import traceback
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from airflow_imap_oauth.exceptions import OAuthError, TokenResponseError
from airflow_imap_oauth.oauth.id_token import account_of
from tests.oauth.clients import CONN_ID, LOGIN
from tests.oauth.dialects.clients import (
    begun,
    client_of,
    generic,
    sign_in,
    sign_in_by_device,
    sign_in_refused,
)

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

NOON = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)
OTHER_TENANT = "11111111-2222-3333-4444-555555555555"


def refused(
    server: AuthorizationServer, mail_provider: str = "generic", **changes: object
) -> OAuthError:
    """Sign in with a changed id_token, which must be refused without a word of it."""
    server.next_id_token(**changes)
    settings = generic(server) if mail_provider == "generic" else client_of(server, mail_provider)
    error = sign_in_refused(server, settings)
    assert type(error) is TokenResponseError
    assert not error.retry_helps
    assert error.step == "id_token"
    return error


# --- Whose tokens they are ------------------------------------------------------------------------


def test_account_of_a_sound_id_token(authorization_server: AuthorizationServer) -> None:
    """A sign-in tells whose it is: by issuer, client and subject, and by an address to show."""
    account = sign_in(authorization_server, generic(authorization_server)).account
    assert account is not None
    assert account.shown == LOGIN
    assert account.claims.keys() == {"iss", "client_id", "sub"}
    assert account.claims["iss"] == authorization_server.issuer
    assert account.claims["client_id"] == authorization_server.client_id


def test_account_at_microsoft(authorization_server: AuthorizationServer) -> None:
    """At Entra an account is an object of a tenant, whichever client asks."""
    account = sign_in(authorization_server, client_of(authorization_server, "microsoft")).account
    assert account is not None
    assert account.claims.keys() == {"tid", "oid"}


def test_without_id_token_nobody_is_known(authorization_server: AuthorizationServer) -> None:
    """Where none was asked for, none comes, and the account is unknown."""
    settings = generic(authorization_server, extra_scopes=())
    assert begun(settings).nonce is None
    response = sign_in(authorization_server, settings)
    assert (response.id_token, response.account) == (None, None)
    assert response.refresh_token


def test_id_token_that_was_asked_for_may_be_absent(
    authorization_server: AuthorizationServer,
) -> None:
    """A server that knows no id_token, or sends no text in its place, can be signed in to."""
    for absent in ({}, {"id_token": ""}, {"id_token": None}, {"id_token": 7}):
        body = {"access_token": "a", "token_type": "Bearer", "refresh_token": "r", **absent}
        authorization_server.fail_next("token", "body", status=200, body=json.dumps(body))
        response = sign_in(authorization_server, generic(authorization_server))
        assert (response.id_token, response.account) == (None, None)


def test_id_token_is_not_shown(authorization_server: AuthorizationServer) -> None:
    """The representation of a response does not hold the id_token."""
    response = sign_in(authorization_server, generic(authorization_server))
    assert response.id_token is not None
    assert response.id_token not in repr(response)


def test_device_sign_in_checks_it_too(authorization_server: AuthorizationServer) -> None:
    """A sign-in by device code has no nonce; all else is checked as at the browser."""
    settings = generic(authorization_server)
    account = sign_in_by_device(authorization_server, settings).account
    assert account == sign_in(authorization_server, settings).account
    authorization_server.next_id_token(aud="other")
    with pytest.raises(TokenResponseError, match="another client"):
        sign_in_by_device(authorization_server, settings)


# --- Claims ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("iss", ["https://evil.example", None, 7, "", "https://localhost"])
def test_openid_core_3_1_3_7_issuer(authorization_server: AuthorizationServer, iss: object) -> None:
    """It has to come from the very issuer of the connection (item 2)."""
    assert "another server" in refused(authorization_server, iss=iss).message


def test_issuer_where_none_is_known(authorization_server: AuthorizationServer) -> None:
    """Without an issuer in the connection any is accepted, but one has to be named."""
    settings = generic(authorization_server)
    settings = replace(settings, endpoints=replace(settings.endpoints, issuer=None))
    authorization_server.next_id_token(iss="https://elsewhere.example")
    account = sign_in(authorization_server, settings).account
    assert account is not None
    assert account.claims["iss"] == "https://elsewhere.example"
    authorization_server.next_id_token(iss=None)
    assert "another server" in sign_in_refused(authorization_server, settings).message


def test_issuer_of_a_shared_tenant(authorization_server: AuthorizationServer) -> None:
    """The tenant 'common' answers in the name of the account's own tenant."""
    settings = client_of(authorization_server, "microsoft", tenant="common")
    account = sign_in(authorization_server, settings).account
    assert account is not None
    assert settings.endpoints.issuer == f"{authorization_server.base_url}/common/v2.0"
    assert account.claims["tid"] != "common"


@pytest.mark.parametrize("tid", [OTHER_TENANT, None, 7, "common"])
def test_issuer_of_another_tenant(authorization_server: AuthorizationServer, tid: object) -> None:
    """The tenant that the account is in has to be the one that the issuer names."""
    assert "another server" in refused(authorization_server, "microsoft", tid=tid).message


def test_issuer_without_a_tenant(authorization_server: AuthorizationServer) -> None:
    """An issuer that names no tenant is none of Entra's."""
    iss = f"{authorization_server.base_url}/None/v2.0"
    assert "another server" in refused(authorization_server, "microsoft", tid=None, iss=iss).message


def test_issuer_of_a_tenant_that_the_connection_names(
    authorization_server: AuthorizationServer,
) -> None:
    """Where the connection names a tenant by its id, in any case, no other may answer."""
    server, tenant = authorization_server, "aaaaaaaa-2222-3333-4444-555555555555"
    for spelling in (tenant, tenant.upper()):
        settings = client_of(server, "microsoft", tenant=spelling)
        account = sign_in(server, settings).account
        assert account is not None
        assert account.claims["tid"] == tenant
    iss = f"{server.base_url}/{OTHER_TENANT}/v2.0"
    server.next_id_token(tid=OTHER_TENANT, iss=iss)
    assert "another server" in sign_in_refused(server, settings).message


@pytest.mark.parametrize("aud", ["other", None, 7, [], ["other", "another"]])
def test_openid_core_3_1_3_7_audience(
    authorization_server: AuthorizationServer, aud: object
) -> None:
    """It has to be for this client (item 3)."""
    assert "another client" in refused(authorization_server, aud=aud).message


@pytest.mark.parametrize("azp", [None, "other"])
def test_openid_core_3_1_3_7_several_audiences(
    authorization_server: AuthorizationServer, azp: object
) -> None:
    """Among several audiences, the one that it was issued to has to be this client (item 4)."""
    server = authorization_server
    aud = [server.client_id, "other"]
    assert "several clients" in refused(server, aud=aud, azp=azp).message
    server.next_id_token(aud=aud, azp=server.client_id)
    assert sign_in(server, generic(server)).account is not None
    server.next_id_token(aud=[server.client_id])
    assert sign_in(server, generic(server)).account is not None


@pytest.mark.parametrize("nonce", ["other", None, "", 7])
def test_openid_core_3_1_3_7_nonce(
    authorization_server: AuthorizationServer, nonce: object
) -> None:
    """It has to answer this very sign-in (item 11)."""
    assert "nonce" in refused(authorization_server, nonce=nonce).message


def test_nonce_is_new_each_time(authorization_server: AuthorizationServer) -> None:
    """Every sign-in has a nonce of its own, which its representation hides."""
    one, two = (begun(generic(authorization_server)) for _ in range(2))
    assert one.nonce is not None
    assert one.nonce != two.nonce
    assert one.nonce not in repr(one)


@pytest.mark.parametrize("wrong", [{"exp": None}, {"iat": None}, {"exp": "soon"}, {"iat": True}])
def test_times_are_there(
    authorization_server: AuthorizationServer, wrong: dict[str, object]
) -> None:
    """It has to say when it was issued and when it ends (section 2)."""
    assert "does not say when" in refused(authorization_server, **wrong).message


def test_openid_core_3_1_3_7_expired(authorization_server: AuthorizationServer) -> None:
    """It must not have ended (item 9)."""
    exp = int(time.time()) - 600
    assert "expired" in refused(authorization_server, exp=exp).message


def test_openid_core_3_1_3_7_issued_in_the_future(
    authorization_server: AuthorizationServer,
) -> None:
    """It must not come out of the future (item 10)."""
    iat = int(time.time()) + 600
    assert "future" in refused(authorization_server, iat=iat).message


@pytest.mark.parametrize("hours_ahead", [1, -1])
def test_clock_of_this_machine_does_not_matter(
    authorization_server: AuthorizationServer, hours_ahead: int
) -> None:
    """An hour between the clocks is tolerated: what counts is the server's own."""
    server = authorization_server
    server.clock_offset_seconds = hours_ahead * 3600.0
    assert sign_in(server, generic(server)).account is not None
    server.next_id_token(exp=int(time.time() + server.clock_offset_seconds) - 600)
    assert "expired" in sign_in_refused(server, generic(server)).message


@pytest.mark.parametrize(
    ("seconds", "problem"),
    [
        ({"exp": -299}, ""),
        ({"exp": -300}, "expired"),
        ({"iat": 300}, ""),
        ({"iat": 301}, "future"),
    ],
)
def test_openid_core_3_1_3_7_five_minutes_are_tolerated(
    authorization_server: AuthorizationServer, seconds: dict[str, int], problem: str
) -> None:
    """Both ends of its time are taken with five minutes of tolerance, and not a second more."""
    times = {"iat": -10, "exp": 10, **seconds}
    claims = {
        "iss": authorization_server.issuer,
        "aud": authorization_server.client_id,
        "sub": "1",
        **{
            name: int((NOON + timedelta(seconds=value)).timestamp())
            for name, value in times.items()
        },
    }
    token = jwt.encode(claims, "k" * 32, algorithm="HS256")
    settings = generic(authorization_server)
    if not problem:
        assert account_of(token, settings, now=NOON).claims["sub"] == "1"
        return
    with pytest.raises(TokenResponseError, match=problem):
        account_of(token, settings, now=NOON)


@pytest.mark.parametrize("sub", [None, "", 7, "x" * 256, ["x"], "a\x00b", "a\u202eb"])
def test_subject(authorization_server: AuthorizationServer, sub: object) -> None:
    """It has to name somebody in text that can be kept, of 255 characters at most (section 2)."""
    assert "names no account" in refused(authorization_server, sub=sub).message


@pytest.mark.parametrize("email", [None, 7, "", "a b", "a\nb@example.test", "x" * 255])
def test_address_that_is_not_fit_to_be_shown(
    authorization_server: AuthorizationServer, email: object
) -> None:
    """An address is for showing only: one that is not fit for it is left out."""
    authorization_server.next_id_token(email=email, preferred_username=None)
    account = sign_in(authorization_server, generic(authorization_server)).account
    assert account is not None
    assert account.shown is None


# --- Garbage --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage",
    ["canary", "canary.canary.canary", "..", "eyJhbGciOiJub25lIn0.W10.", "é.canary.x", "." * 9999],
)
def test_garbage_in_its_place(authorization_server: AuthorizationServer, garbage: str) -> None:
    """What is no JWT is refused, and not shown."""
    body = {"access_token": "a", "token_type": "Bearer", "refresh_token": "r", "id_token": garbage}
    authorization_server.fail_next("token", "body", status=200, body=json.dumps(body))
    error = sign_in_refused(authorization_server, generic(authorization_server))
    assert type(error) is TokenResponseError
    assert "cannot be read" in error.message
    assert "canary" not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "canary"},
        {"iss": "canary"},
        {"nonce": "canary"},
        {"kid": "canary"},
        {"key": "other"},
        {"sub": "canary" * 99},
    ],
)
def test_errors_show_nothing_of_it(
    authorization_server: AuthorizationServer, changes: dict[str, Any]
) -> None:
    """Whatever is wrong, neither message nor traceback quotes a claim, or hides another error."""
    error = refused(authorization_server, **changes)
    shown = "".join(traceback.format_exception(error))
    assert "canary" not in shown
    assert LOGIN not in shown
    assert f"connection '{CONN_ID}', id_token: " in str(error)
    assert (error.__cause__, error.__context__) == (None, None)
