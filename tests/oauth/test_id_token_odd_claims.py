# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Claims of an id_token that nobody expects: each is accepted or refused, none breaks anything."""

from __future__ import annotations

import base64
import json
import math
import traceback
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import jwt
import pytest

from airflow_imap_oauth.exceptions import TokenResponseError
from airflow_imap_oauth.oauth.id_token import account_of
from tests.oauth.clients import CONN_ID, LOGIN
from tests.oauth.dialects.clients import generic, sign_in, sign_in_refused, spend

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

HUGE = 10**400
NOON = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)


def unsigned(claims: Mapping[str, object]) -> str:
    """Write a token whose JSON escapes what is no text, as our server cannot."""
    parts = ({"alg": "RS256"}, claims)
    return (
        ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
            for part in parts
        )
        + ".c2ln"
    )


@pytest.mark.parametrize("value", [1e30, 1e308, 10**30, HUGE])
def test_instant_beyond_the_calendar(
    authorization_server: AuthorizationServer, value: float
) -> None:
    """A number that no calendar holds is an instant all the same, before or after now."""
    settings = generic(authorization_server)
    authorization_server.next_id_token(exp=value, iat=-value)
    assert sign_in(authorization_server, settings).account is not None
    authorization_server.next_id_token(exp=-value)
    assert "expired" in sign_in_refused(authorization_server, settings).message
    authorization_server.next_id_token(iat=value)
    assert "future" in sign_in_refused(authorization_server, settings).message


@pytest.mark.parametrize("name", ["exp", "iat"])
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, True, "1", [1], {}, None])
def test_instant_that_is_none(
    authorization_server: AuthorizationServer, name: str, value: object
) -> None:
    """What is no number, or no finite one, does not say when."""
    authorization_server.next_id_token(**{name: value})
    error = sign_in_refused(authorization_server, generic(authorization_server))
    assert type(error) is TokenResponseError
    assert "does not say when" in error.message


@pytest.mark.parametrize(
    "now",
    [datetime.min.replace(tzinfo=timezone.utc), datetime.max.replace(tzinfo=timezone.utc)],
    ids=["first", "last"],
)
def test_clock_at_the_ends_of_the_calendar(
    authorization_server: AuthorizationServer, now: datetime
) -> None:
    """A server whose clock stands at an end of the calendar is judged by it."""
    settings = generic(authorization_server)
    claims = {"iss": authorization_server.issuer, "aud": settings.client_id, "sub": "1"}
    times = {"iat": now.timestamp(), "exp": now.timestamp() + 60}
    token = jwt.encode({**claims, **times}, "k" * 32, algorithm="HS256")
    assert account_of(token, settings, now=now).claims["sub"] == "1"


@pytest.mark.parametrize("name", ["email", "preferred_username"])
@pytest.mark.parametrize(
    "address", ["moc.\u202eelgoog@evil", "a\x1b[31m@b", "a\u200bb@c", "x" * 255, ["a"]]
)
def test_address_that_misleads_is_not_shown(
    authorization_server: AuthorizationServer, name: str, address: object
) -> None:
    """An address that does not show what it is, or is too long, is left out."""
    both = {"email": None, "preferred_username": None, name: address}
    authorization_server.next_id_token(**both)
    account = sign_in(authorization_server, generic(authorization_server)).account
    assert account is not None
    assert account.shown is None


def test_claims_that_are_no_text(authorization_server: AuthorizationServer) -> None:
    """Half of a surrogate pair, which no store keeps, is neither an account nor an address."""
    settings, half = generic(authorization_server), "a\ud800@b"
    times = {"iat": NOON.timestamp(), "exp": NOON.timestamp() + 60}
    claims = {"iss": authorization_server.issuer, "aud": settings.client_id, **times}
    token = unsigned({**claims, "sub": "1", "email": half})
    assert account_of(token, settings, now=NOON).shown is None
    with pytest.raises(TokenResponseError, match="names no account"):
        account_of(unsigned({**claims, "sub": half}), settings, now=NOON)


# --- What nobody thought of -----------------------------------------------------------------------


def _break(*_: object, **__: object) -> None:
    """Fail as no check does on purpose, quoting what it looked at."""
    raise RuntimeError("canary")


def test_unforeseen_error_at_a_sign_in(
    authorization_server: AuthorizationServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a check at a sign-in trips over, the id_token is refused, and nothing is quoted."""
    monkeypatch.setattr("airflow_imap_oauth.oauth.id_token._account", _break)
    error = sign_in_refused(authorization_server, generic(authorization_server))
    assert type(error) is TokenResponseError
    assert "cannot be checked (RuntimeError)" in error.message
    assert error.step == "id_token"
    assert "canary" not in "".join(traceback.format_exception(error))
    assert (error.__cause__, error.__context__) == (None, None)


def test_unforeseen_error_at_a_renewal_keeps_the_refresh_token(
    authorization_server: AuthorizationServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a check at a renewal trips over, it costs the access token alone."""
    settings = generic(authorization_server)
    asked = (*settings.scopes, *settings.extra_scopes)
    token = authorization_server.mint_refresh_token(LOGIN, scopes=asked)
    with monkeypatch.context() as patched:
        patched.setattr("airflow_imap_oauth.oauth.id_token._account", _break)
        response = spend(settings, token)
    assert isinstance(response.fault, TokenResponseError)
    assert "cannot be checked (RuntimeError)" in response.fault.message
    assert (response.fault.conn_id, response.fault.step) == (CONN_ID, "id_token")
    assert "canary" not in "".join(traceback.format_exception(response.fault))
    assert response.access_token == ""
    assert spend(settings, response.refresh_token or "").fault is None
