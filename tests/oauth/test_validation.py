# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Which token responses are accepted (RFC 6749 section 5.1)."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import pytest

from airflow_imap_oauth.exceptions import (
    ClientRejectedError,
    OAuthError,
    TokenResponseError,
    TransientOAuthError,
)
from airflow_imap_oauth.oauth.http import HttpAnswer
from airflow_imap_oauth.oauth.profiles import get_profile
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.settings import Endpoints, OAuthSettings
from airflow_imap_oauth.oauth.taxonomy import GrantKind
from airflow_imap_oauth.oauth.validation import (
    DEFAULT_LIFETIME_SECONDS,
    MAX_LIFETIME_SECONDS,
    read_token_answer,
)

OUTLOOK = "https://outlook.office.com/IMAP.AccessAsUser.All"
SETTINGS = OAuthSettings(
    conn_id="mail",
    profile=get_profile("custom"),
    client_id="client",
    endpoints=Endpoints(),
    scopes=("imap",),
    login="ada@example.test",
)


def read_text(
    text: str,
    *,
    status: int = 200,
    settings: OAuthSettings = SETTINGS,
    grant: GrantKind = "refresh_token",
) -> TokenResponse:
    answer = HttpAnswer(status_code=status, headers={}, text=text)
    return read_token_answer(answer, settings, step="token request", grant=grant)


def read(
    settings: OAuthSettings = SETTINGS, grant: GrantKind = "refresh_token", **members: Any
) -> TokenResponse:
    payload = {"access_token": "at", "token_type": "Bearer", **members}
    return read_text(json.dumps(payload), settings=settings, grant=grant)


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER"])
def test_rfc6749_5_1_token_type_is_case_insensitive(token_type: str) -> None:
    """Bearer is accepted in any case."""
    assert read(token_type=token_type).access_token == "at"


@pytest.mark.parametrize("token_type", ["mac", "DPoP", "", None, 1, ["Bearer"]])
def test_rfc6749_7_1_unknown_token_type_is_refused(token_type: object) -> None:
    """A token of another type must not be used."""
    with pytest.raises(TokenResponseError, match="Bearer"):
        read(token_type=token_type)


@pytest.mark.parametrize("token", ["", None, 7, "a b", "a\r\nb", "a\x01b", "é", {}])
def test_unusable_access_token_is_refused(token: object) -> None:
    """A token that would break out of its IMAP command, or is none, is refused."""
    with pytest.raises(TokenResponseError, match="access token"):
        read(access_token=token)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(3599, 3599), ("3599", 3599), (3599.9, 3599), (" 60 ", 60), (1, 1), (86400, 86400)],
)
def test_lifetime_may_be_a_number_or_a_string(value: object, seconds: int) -> None:
    """expires_in is read as a number or a numeric string."""
    assert read(expires_in=value).expires_in_seconds == seconds


@pytest.mark.parametrize("value", [None, "", "soon", True, [], {}, "nan", "inf", 10**400])
def test_unreadable_lifetime_is_taken_as_short(value: object) -> None:
    """Without a readable expires_in a short life is assumed."""
    assert read(expires_in=value).expires_in_seconds == DEFAULT_LIFETIME_SECONDS


def test_missing_lifetime_is_taken_as_short() -> None:
    """Without expires_in a short life is assumed."""
    assert read().expires_in_seconds == DEFAULT_LIFETIME_SECONDS


@pytest.mark.parametrize("value", [0, -1, "-3600", 0.5])
def test_dead_on_arrival_is_refused(value: object) -> None:
    """A token that expired before it came is refused."""
    with pytest.raises(TokenResponseError, match="expired before"):
        read(expires_in=value)


@pytest.mark.parametrize("value", [86401, 31_536_000, 10**300])
def test_absurd_lifetime_is_clamped_with_a_reason(
    value: object, caplog: pytest.LogCaptureFixture
) -> None:
    """A life of years is believed for a day, and the log says so."""
    with caplog.at_level("INFO"):
        response = read(expires_in=value)
    assert response.expires_in_seconds == MAX_LIFETIME_SECONDS
    assert "longer than 86400 seconds" in caplog.text


def test_scopes_are_split() -> None:
    """Granted scopes come as a tuple."""
    assert read(scope="imap  openid imap").scopes == ("imap", "openid")


@pytest.mark.parametrize("scope", [None, "", 7])
def test_rfc6749_5_1_absent_scope_means_as_requested(scope: object) -> None:
    """Without scope the granted scopes are the requested ones."""
    assert read(scope=scope).scopes is None


@pytest.mark.parametrize("grant", ["authorization_code", "device_code"])
@pytest.mark.parametrize("scope", ["", "  ", [], '"'])
def test_rfc6749_3_3_empty_scope_at_a_sign_in_grants_nothing(
    grant: GrantKind, scope: object
) -> None:
    """A sign-in that is answered with an empty scope was granted nothing of what IMAP needs."""
    with pytest.raises(ClientRejectedError, match="scope imap"):
        read(grant=grant, scope=scope, refresh_token="rt")


@pytest.mark.parametrize("grant", ["authorization_code", "device_code"])
def test_rfc6749_5_1_silence_at_a_sign_in_grants_all(grant: GrantKind) -> None:
    """A sign-in whose answer leaves scope out was granted what it asked for."""
    assert read(grant=grant, refresh_token="rt").scopes is None
    assert read(grant=grant, refresh_token="rt", scope=None).scopes is None


def test_empty_scope_misses_nothing_where_nothing_is_needed() -> None:
    """A connection that names no scopes of IMAP's signs in, whatever is granted."""
    settings = replace(SETTINGS, scopes=("openid",))
    assert read(settings, "authorization_code", scope="", refresh_token="rt").scopes == ()


def test_scopes_may_come_as_an_array() -> None:
    """A server that sends the scopes as an array is understood, and held to them."""
    assert read(scope=["imap", {"a": 1}, ["b"], None, "openid"]).scopes == ("imap", "openid")
    with pytest.raises(ClientRejectedError, match="scope imap"):
        read(scope=["openid"])


@pytest.mark.parametrize("echoed", [["at"], {"a": 1}, [[]]])
def test_scopes_beside_members_of_any_kind(echoed: object) -> None:
    """Whatever stands where a refresh token should, the scopes are read."""
    assert read(refresh_token=echoed, scope="imap").scopes == ("imap",)


def test_scope_that_is_none_is_left_out() -> None:
    """What RFC 6749 section 3.3 does not allow in a scope is neither stored nor shown."""
    assert read(scope='imap a"b \x1b[31m c\\d é').scopes == ("imap",)


@pytest.mark.parametrize("digits", ["9" * 5_000, "-" + "9" * 5_000, "1" + "0" * 10_000])
def test_number_beyond_all_bounds_costs_no_refresh_token(digits: str) -> None:
    """An answer with a number that Python does not read still brings its refresh token."""
    payload = '{"access_token": "at", "token_type": "Bearer", "refresh_token": "rt"'
    assert read_text(f'{payload}, "number": {digits}}}').refresh_token == "rt"


@pytest.mark.parametrize(
    "number",
    ["9" * 5_000, '"' + "9" * 5_000 + '"', "-" + "9" * 5_000, "1e99999", "Infinity", "NaN"],
)
def test_lifetime_beyond_all_bounds_is_taken_as_short(number: str) -> None:
    """A lifetime that no number holds is one that cannot be read."""
    response = read_text(
        '{"access_token": "at", "token_type": "Bearer", "refresh_token": "rt",'
        f' "expires_in": {number}}}'
    )
    assert response.expires_in_seconds == DEFAULT_LIFETIME_SECONDS
    assert response.refresh_token == "rt"


def test_number_beyond_the_bound_of_this_interpreter() -> None:
    """However few digits Python is told to read, no refresh token is lost to them."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(sys.int_info.str_digits_check_threshold)
    try:
        assert read(refresh_token="rt", number=10**639).refresh_token == "rt"
        text = '{"access_token": "at", "token_type": "Bearer", "refresh_token": "rt"'
        assert read_text(f'{text}, "number": {"9" * 641}}}').refresh_token == "rt"
    finally:
        sys.set_int_max_str_digits(before)


def test_byte_order_mark_is_ignored() -> None:
    """A mark in front of the JSON, as some servers put it (RFC 8259 section 8.1), does no harm."""
    payload = '{"access_token": "at", "token_type": "Bearer", "refresh_token": "rt"}'
    assert read_text(f"\ufeff{payload}").refresh_token == "rt"


def test_scope_never_holds_a_token() -> None:
    """A server that echoes a token among the scopes does not get it stored or shown."""
    assert read(refresh_token="rt", scope="at imap rt").scopes == ("imap",)


@pytest.mark.parametrize("token", ["", 7, None, ["rt"], "rt\ud800", "\udc80"])
def test_refresh_token_that_cannot_be_sent_counts_as_none(token: object) -> None:
    """What is no text in Unicode never replaces the refresh token that was spent."""
    assert read(refresh_token=token).refresh_token is None


def test_missing_scope_is_refused_by_name() -> None:
    """Partial consent is refused, naming what is missing and what to do."""
    with pytest.raises(ClientRejectedError, match="scope imap") as caught:
        read(scope="openid")
    assert "airflow imap-oauth login mail" in caught.value.hint


def test_rfc6749_3_3_scopes_are_case_sensitive() -> None:
    """A scope in other case is another scope."""
    with pytest.raises(ClientRejectedError):
        read(scope="IMAP")


@pytest.mark.parametrize(
    "granted",
    [
        OUTLOOK,
        "https://outlook.office365.com/IMAP.AccessAsUser.All",
        "https://outlook.office.com//IMAP.AccessAsUser.All",
        "00000002-0000-0ff1-ce00-000000000000/IMAP.AccessAsUser.All",
        "IMAP.AccessAsUser.All",
    ],
)
def test_prefix_forms_of_microsoft_are_one_scope(granted: str) -> None:
    """Entra may name the granted permission by another resource URI, or bare."""
    settings = replace(SETTINGS, scopes=(OUTLOOK,))
    assert read(settings, scope=f"openid {granted}").access_token == "at"


@pytest.mark.parametrize(
    "granted",
    [
        "https://outlook.office.com/POP.AccessAsUser.All",
        "https://outlook.office.com/imap.accessasuser.all",
        "https://evil.example/?https://outlook.office.com/IMAP.AccessAsUser.All",
        "https://graph.microsoft.com/IMAP.AccessAsUser.All",
    ],
)
def test_other_permissions_of_microsoft_are_not_it(granted: str) -> None:
    """Only the prefixes of Exchange Online are interchangeable."""
    with pytest.raises(ClientRejectedError):
        read(replace(SETTINGS, scopes=(OUTLOOK,)), scope=granted)


def test_identity_scopes_need_not_be_granted_by_name() -> None:
    """A server that does not repeat openid and offline_access granted enough."""
    settings = replace(SETTINGS, scopes=("imap", "openid", "offline_access"))
    assert read(settings, scope="imap").access_token == "at"


@pytest.mark.parametrize(
    "text",
    ["", "<html></html>", '{"access_token": "a"', "[]", '"x"', "null", "[" * 100_000, "\x00"],
)
def test_what_is_no_json_object_is_transient(text: str) -> None:
    """An answer that is no JSON object comes from something in between."""
    with pytest.raises(TransientOAuthError, match="not the JSON"):
        read_text(text)


def test_answer_without_token_and_error_is_refused() -> None:
    """An empty object is a token response that lacks all."""
    with pytest.raises(TokenResponseError):
        read_text("{}")


def test_empty_error_besides_a_token_is_no_error() -> None:
    """Some servers send an empty error with every success."""
    assert read(error="").access_token == "at"


def test_rfc6749_5_1_unknown_members_are_ignored() -> None:
    """RFC 6749 section 5.1: unrecognized members must be ignored."""
    assert read(surprise={"a": [1]}).access_token == "at"


def test_token_under_an_error_status_is_not_used() -> None:
    """A body that looks like success under status 400 is an error."""
    with pytest.raises(OAuthError):
        read_text('{"access_token": "at", "token_type": "Bearer"}', status=400)


def test_token_response_shows_no_secret() -> None:
    """The representation of a response holds neither token."""
    response = read(access_token="secret-at", refresh_token="secret-rt")
    assert "secret" not in repr(response)
    assert response.refresh_token == "secret-rt"
