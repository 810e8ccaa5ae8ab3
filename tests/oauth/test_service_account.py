# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Access by a service account with domain-wide delegation, through google-auth."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from airflow_imap_oauth.exceptions import (
    ClientRejectedError,
    ConfigurationError,
    ImapOAuthError,
    OAuthError,
    PolicyError,
    TransientOAuthError,
)
from airflow_imap_oauth.oauth.settings import OAuthSettings
from tests.oauth.clients import LOGIN, ROBOT, service_account
from tests.oauth.test_client_credentials import failure, own_token
from tests.servers.authorization.dialects import GOOGLE_IMAP_SCOPE
from tests.servers.authorization.parameters import JWT_BEARER_GRANT

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

OTHER_HOST = "https://evil.example.test/token"


@pytest.fixture
def robot(authorization_server: AuthorizationServer) -> OAuthSettings:
    """Give a service account that may act for the account of the connection."""
    return service_account(authorization_server)


def changed(settings: OAuthSettings, **members: Any) -> OAuthSettings:
    """Return the same service account with other members of its key file; None leaves one out."""
    key = {**json.loads(settings.service_account_key or ""), **members}
    kept = {name: value for name, value in key.items() if value is not None}
    return replace(settings, service_account_key=json.dumps(kept))


def test_one_request_brings_a_token_for_the_mailbox(
    authorization_server: AuthorizationServer, robot: OAuthSettings
) -> None:
    """One POST of one assertion buys an access token for the account of the connection."""
    response = own_token(robot)
    assert authorization_server.introspect(response.access_token)["username"] == LOGIN
    assert response.refresh_token is None
    assert response.account is None
    assert authorization_server.requests == {"/google/token": 1}
    assert authorization_server.token_requests_by_grant == {JWT_BEARER_GRANT: 1}


def test_assertion_says_for_whom_and_what(
    authorization_server: AuthorizationServer, robot: OAuthSettings
) -> None:
    """The assertion is the service account's, for the login of the connection and its scopes."""
    own_token(robot)
    [request] = authorization_server.recorded("token")
    assert request.parameters.keys() == {"grant_type", "assertion"}
    assert "authorization" not in request.headers
    whole = jwt.decode_complete(
        request.parameters["assertion"], options={"verify_signature": False}
    )
    claims = whole["payload"]
    assert (claims["iss"], claims["sub"], claims["scope"]) == (ROBOT, LOGIN, GOOGLE_IMAP_SCOPE)
    assert whole["header"]["kid"] == json.loads(robot.service_account_key or "")["private_key_id"]


def test_no_memory_between_requests(
    authorization_server: AuthorizationServer, robot: OAuthSettings
) -> None:
    """Each call asks the server."""
    assert own_token(robot).access_token != own_token(robot).access_token
    assert authorization_server.token_requests == 2


@pytest.mark.parametrize("token_uri", [OTHER_HOST, "http://localhost/token", "", None])
def test_the_key_file_cannot_send_the_assertion_elsewhere(
    authorization_server: AuthorizationServer, robot: OAuthSettings, token_uri: str | None
) -> None:
    """Whatever the key file calls the token endpoint, that of the mail provider is asked."""
    assert own_token(changed(robot, token_uri=token_uri)).access_token
    assert authorization_server.requests == {"/google/token": 1}


# --- Refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [{"scopes": ("openid",)}, {"login": "eve@example.test"}],
    ids=["scope", "account"],
)
def test_what_was_not_delegated(
    authorization_server: AuthorizationServer, robot: OAuthSettings, change: dict[str, Any]
) -> None:
    """A scope that was not delegated sends the administrator to the Admin console."""
    error = failure(replace(robot, **change))
    assert type(error) is ClientRejectedError
    assert "Admin console" in error.hint
    assert "domain-wide delegation" in error.hint
    assert authorization_server.token_requests == 1


@pytest.mark.parametrize(
    "members",
    [{"client_email": "nobody@project.iam.gserviceaccount.com"}, {"private_key_id": "other"}],
    ids=["account", "key"],
)
def test_unknown_service_account_or_key(
    authorization_server: AuthorizationServer, robot: OAuthSettings, members: dict[str, str]
) -> None:
    """A service account or key that Google does not know is told as such, and asked with once."""
    error = failure(changed(robot, **members))
    assert type(error) is ClientRejectedError
    assert "service account and its key still exist" in error.hint
    assert authorization_server.token_requests == 1


@pytest.mark.parametrize(("offset", "way"), [(3700, "behind"), (-3700, "ahead of")])
def test_wrong_clock_is_named(
    authorization_server: AuthorizationServer, robot: OAuthSettings, offset: int, way: str
) -> None:
    """Where this machine's clock is an hour off, the refusal says so and which way."""
    authorization_server.switch(clock_offset_seconds=offset)
    error = failure(robot)
    assert type(error) is ClientRejectedError
    assert f"{way} the server's: set it right" in error.hint


def test_right_clock_is_not_blamed(robot: OAuthSettings) -> None:
    """Where the clock is right, no refusal says how far it is off."""
    error = failure(changed(robot, private_key_id="other"))
    assert "set it right" not in str(error)


def test_key_of_another_service_account(
    authorization_server: AuthorizationServer, robot: OAuthSettings
) -> None:
    """A private key that is not the one its id stands for is refused."""
    other = authorization_server.new_service_account("other@p.test", subjects=[LOGIN])
    error = failure(changed(robot, private_key=json.loads(other)["private_key"]))
    assert type(error) is ClientRejectedError


@pytest.mark.parametrize(
    ("word", "kind", "hint"),
    [
        ("access_denied", ClientRejectedError, "Admin console"),
        ("disabled_client", ClientRejectedError, "key still exist"),
        ("invalid_client", ClientRejectedError, "key still exist"),
        ("invalid_scope", ClientRejectedError, "scopes"),
        ("admin_policy_enforced", PolicyError, "administrator"),
        ("org_internal", PolicyError, "administrator"),
        ("never_heard_of", OAuthError, ""),
    ],
)
def test_other_words_of_google(
    authorization_server: AuthorizationServer,
    robot: OAuthSettings,
    word: str,
    kind: type[OAuthError],
    hint: str,
) -> None:
    """What else Google says to service accounts is permanent, and says what to check."""
    authorization_server.fail_next("token", "json_error", status=400, error=word)
    error = failure(robot)
    assert type(error) is kind
    assert hint in error.hint
    assert not error.retry_helps


# --- Trouble --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 429},
        {"kind": "json_error", "status": 400, "error": "internal_failure"},
        {"kind": "json_error", "status": 500, "error": "server_error"},
        {"kind": "reset"},
        {"kind": "html"},
    ],
    ids=lambda fault: "-".join(map(str, fault.values())),
)
def test_trouble_is_transient_and_not_retried(
    authorization_server: AuthorizationServer, robot: OAuthSettings, fault: dict[str, Any]
) -> None:
    """google-auth would ask three times; here a server in trouble is asked once."""
    authorization_server.fail_next("token", times=3, **fault)
    assert type(failure(robot)) is TransientOAuthError
    assert authorization_server.token_requests == 1


# --- Keys that are none ---------------------------------------------------------------------------


def with_private_key(change: Callable[[str], str]) -> Callable[[str], str]:
    def broken(text: str) -> str:
        key = json.loads(text)
        return json.dumps({**key, "private_key": change(key["private_key"])})

    return broken


def without(member: str) -> Callable[[str], str]:
    return lambda text: json.dumps(
        {name: value for name, value in json.loads(text).items() if name != member}
    )


BROKEN: dict[str, Callable[[str], str | None]] = {
    "cut-off": lambda text: text[:-40],
    "list": lambda text: f"[{text}]",
    "string": json.dumps,
    "path": lambda _: "/secrets/key.json",
    "pem-alone": lambda text: str(json.loads(text)["private_key"]),
    "other-kind": lambda _: '{"installed":{"client_id":"x","client_secret":"canary-secret"}}',
    "no-email": without("client_email"),
    "no-key": without("private_key"),
    "half-a-key": with_private_key(lambda pem: pem[:600] + "\n-----END PRIVATE KEY-----\n"),
    "no-pem": with_private_key(lambda _: "bm90IGEga2V5IGJ1dCBhIHNlY3JldA"),
    "number": lambda text: json.dumps({**json.loads(text), "private_key": 7}),
    "not-text": lambda text: text + "\udcff",
}


@pytest.mark.parametrize("fault", BROKEN)
def test_key_file_that_cannot_be_used(
    authorization_server: AuthorizationServer, robot: OAuthSettings, fault: str
) -> None:
    """A broken key file is told before anything is sent, and nothing of it is shown."""
    text = BROKEN[fault](robot.service_account_key or "") or ""
    error = failure(replace(robot, service_account_key=text))
    assert type(error) is ConfigurationError
    assert "whole JSON file" in error.hint
    assert not authorization_server.requests
    assert_hides(error, robot.service_account_key or "")
    assert_hides(error, text)


@pytest.mark.parametrize("text", [None, ""])
def test_missing_key_file(
    authorization_server: AuthorizationServer, robot: OAuthSettings, text: str | None
) -> None:
    """Without a key file nothing is sent."""
    error = failure(replace(robot, service_account_key=text))
    assert type(error) is ConfigurationError
    assert "whole JSON file" in error.hint
    assert not authorization_server.requests


def test_universe_of_another_cloud(
    authorization_server: AuthorizationServer, robot: OAuthSettings
) -> None:
    """A key of another cloud than Google's own cannot act for an account: nothing is sent."""
    error = failure(changed(robot, universe_domain="cloud.example.test"))
    assert type(error) is OAuthError
    assert not authorization_server.requests


def assert_hides(error: ImapOAuthError, text: str) -> None:
    """Check that no line of a key file can be seen in an error."""
    shown = f"{error!r} {vars(error)} {''.join(traceback.format_exception(error))}"
    lines = text.replace("\\n", "\n").splitlines()
    assert not [line for line in lines if len(line) > 8 and line in shown]
