# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What every engine does alike: one request, the answer handed on, every fault understood."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from airflow_imap_oauth.exceptions import (
    ClientRejectedError,
    ConfigurationError,
    OAuthError,
    ReauthorizationRequiredError,
    TransientOAuthError,
)
from airflow_imap_oauth.oauth.engines import refresh
from airflow_imap_oauth.oauth.http import MAX_BODY_BYTES, Transport
from airflow_imap_oauth.oauth.responses import TokenResponse
from tests.oauth.clients import CONN_ID, Client
from tests.servers.certificates import CertificateAuthority


def spend(client: Client, refresh_token: str | None = None) -> TokenResponse:
    with Transport(client.settings.transport) as transport:
        return refresh(client.settings, refresh_token or client.mint(), transport)


def failure(client: Client, refresh_token: str | None = None) -> OAuthError:
    with pytest.raises(OAuthError) as caught:
        spend(client, refresh_token)
    return caught.value


def test_refresh_returns_the_access_token_of_one_request(client: Client) -> None:
    """A refresh costs one token request and returns what the server issued."""
    client.server.access_token_lifetime_seconds = 1234
    response = spend(client)
    assert client.server.token_requests == 1
    assert client.server.introspect(response.access_token)["active"] is True
    assert response.expires_in_seconds == 1234
    assert set(client.settings.scopes) <= set(response.scopes or ())


def test_rotated_refresh_token_is_handed_on(client: Client) -> None:
    """A new refresh token reaches the caller."""
    client.server.fail_next(
        "token",
        "body",
        status=200,
        body='{"access_token":"a","token_type":"Bearer","refresh_token":"next"}',
    )
    assert spend(client).refresh_token == "next"


def test_unchanged_refresh_token_counts_as_none(client: Client) -> None:
    """A server that sends the old refresh token back leaves it in force."""
    token = client.mint()
    client.server.fail_next(
        "token",
        "body",
        status=200,
        body=f'{{"access_token":"a","token_type":"Bearer","refresh_token":"{token}"}}',
    )
    assert spend(client, token).refresh_token is None


def test_rfc6749_3_1_empty_refresh_token_counts_as_none(client: Client) -> None:
    """An empty refresh token in the answer does not replace the old one (RFC 6749 3.1)."""
    body = '{"access_token":"a","token_type":"Bearer","refresh_token":""}'
    client.server.fail_next("token", "body", status=200, body=body)
    assert spend(client).refresh_token is None


def test_dead_refresh_token_asks_for_authorization(client: Client) -> None:
    """invalid_grant is permanent, names the command that helps, and is asked for once."""
    error = failure(client, "rt-unknown-0123456789")
    assert isinstance(error, ReauthorizationRequiredError)
    assert not error.retry_helps
    assert f"airflow imap-oauth login {CONN_ID}" in error.hint
    assert (error.error, error.conn_id, error.step) == ("invalid_grant", CONN_ID, "token request")
    assert client.server.token_requests == 1


def test_second_attempt_after_an_error_reaches_the_server(client: Client) -> None:
    """No engine answers from a memory of errors."""
    token = client.mint()
    client.server.fail_next("token", "json_error", status=400, error="invalid_grant")
    failure(client, token)
    assert spend(client, token).access_token
    assert client.server.token_requests == 2


@pytest.mark.parametrize("status", [400, 401])
def test_rfc6749_5_2_wrong_secret_is_a_matter_of_the_client(client: Client, status: int) -> None:
    """A wrong secret is permanent and blamed on the client, whichever status says so."""
    client.server.invalid_client_status = status
    error = failure(client.with_settings(client_secret="wrong"))
    assert isinstance(error, ClientRejectedError)
    assert error.status_code == status
    assert client.server.token_requests == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_trouble_of_the_server_is_transient_and_not_retried(client: Client, status: int) -> None:
    """Statuses that pass are transient, and the engine leaves retrying to its caller."""
    token = client.mint()
    client.server.fail_next("token", "html", status=status)
    error = failure(client, token)
    assert isinstance(error, TransientOAuthError)
    assert error.status_code == status
    assert client.server.token_requests == 1


def test_retry_after_is_handed_on(client: Client) -> None:
    """Retry-After of a throttling server reaches the caller in seconds."""
    client.server.fail_next("token", "json_error", status=429, retry_after="17")
    assert failure(client).retry_after_seconds == 17.0


@pytest.mark.parametrize("word", ["temporarily_unavailable", "server_error", "internal_failure"])
def test_transient_error_codes_are_not_retried_behind_our_back(client: Client, word: str) -> None:
    """A 400 with a transient error code is one request and a transient error."""
    client.server.fail_next("token", "json_error", status=400, error=word)
    assert isinstance(failure(client), TransientOAuthError)
    assert client.server.token_requests == 1


def test_silence_ends_in_a_transient_error(client: Client) -> None:
    """A server that does not answer in time is given up."""
    client.server.fail_next("token", "slow", seconds=2.0)
    error = failure(client.with_transport(read_timeout_seconds=0.3))
    assert isinstance(error, TransientOAuthError)
    assert "did not answer in time" in error.message
    assert client.server.token_requests == 1


def test_dripping_answer_ends_in_a_transient_error(client: Client) -> None:
    """A server that sends byte after byte cannot hold the renewal beyond its bound."""
    client.server.fail_next("token", "drip", seconds=0.2)
    client = client.with_transport(connect_timeout_seconds=0.4, read_timeout_seconds=0.3)
    error = failure(client)
    assert isinstance(error, TransientOAuthError)
    assert "not whole after 1 seconds" in error.message


@pytest.mark.parametrize("kind", ["truncated_json", "reset", "html"])
def test_broken_answers_are_transient(client: Client, kind: str) -> None:
    """What cannot be the server's own word is transient, and no second request follows."""
    client.server.fail_next("token", kind)
    assert isinstance(failure(client), TransientOAuthError)
    assert client.server.token_requests == 1


def test_page_with_status_200_is_transient(client: Client) -> None:
    """A page in place of a token response comes from something in between."""
    client.server.fail_next("token", "html", status=200)
    error = failure(client)
    assert isinstance(error, TransientOAuthError)
    assert "not the JSON" in error.message


def test_page_with_status_403_is_transient(client: Client) -> None:
    """A firewall's page is no verdict on the refresh token."""
    client.server.fail_next("token", "html", status=403)
    assert isinstance(failure(client), TransientOAuthError)


def test_missing_token_endpoint_is_permanent(client: Client) -> None:
    """A page that says 404 means a wrong URL, which no retry mends."""
    client.server.fail_next("token", "html", status=404)
    error = failure(client)
    assert not error.retry_helps
    assert "no token endpoint" in error.message


def test_error_under_status_200_is_an_error(client: Client) -> None:
    """HTTP 200 does not mean success: the JSON may be an error."""
    client.server.fail_next("token", "error_200", error="invalid_grant")
    assert isinstance(failure(client), ReauthorizationRequiredError)


def test_oversized_answer_is_cut_off(client: Client) -> None:
    """An endless answer is refused after one MiB."""
    client.server.fail_next("token", "huge_body", size_bytes=16 * MAX_BODY_BYTES)
    error = failure(client)
    assert isinstance(error, TransientOAuthError)
    assert "larger than" in error.message


def test_redirect_is_not_followed(client: Client) -> None:
    """A redirect is a permanent error: the secrets go to no other address."""
    client.server.fail_next("token", "redirect", location=f"{client.server.base_url}/elsewhere")
    error = failure(client)
    assert not error.retry_helps
    assert "redirects" in error.message
    assert client.server.token_requests == 1


def test_unknown_error_is_permanent(client: Client) -> None:
    """An error that the table does not know is not retried."""
    client.server.fail_next("token", "json_error", status=400, error="quota_of_luck_exhausted")
    error = failure(client)
    assert type(error) is OAuthError
    assert error.error == "quota_of_luck_exhausted"


def test_untrusted_certificate_is_permanent_and_names_ca_file(client: Client) -> None:
    """A certificate of an unknown authority is refused, with the setting that helps."""
    error = failure(client.with_transport(ca_file=None))
    assert not error.retry_helps
    assert "is not trusted" in error.message
    assert "ca_file" in error.hint
    assert client.server.token_requests == 0


def test_certificate_for_another_host_is_permanent(client: Client, tmp_path: Path) -> None:
    """A certificate of the right authority for another host is refused."""
    other = CertificateAuthority.create(tmp_path)
    error = failure(client.with_transport(ca_file=str(other.ca_file)))
    assert not error.retry_helps
    assert client.server.token_requests == 0


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_environment_does_not_replace_the_authorities(
    client: Client, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CA bundle variable that points to nothing changes nothing."""
    monkeypatch.setenv(variable, "/nonexistent/bundle.pem")
    assert spend(client).access_token


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_environment_does_not_name_a_proxy(
    client: Client, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy variable does not lead token requests elsewhere."""
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    assert spend(client).access_token


def test_missing_refresh_token_asks_nobody(client: Client) -> None:
    """Without a refresh token there is no request."""
    with (
        Transport(client.settings.transport) as transport,
        pytest.raises(ReauthorizationRequiredError),
    ):
        refresh(client.settings, "", transport)
    assert client.server.token_requests == 0


def test_unreadable_ca_file_is_reported_as_such(client: Client) -> None:
    """A missing ca_file is named, whatever library stands in between."""
    with pytest.raises(ConfigurationError, match="ca_file") as caught:
        spend(client.with_transport(ca_file="/nonexistent/ca.pem"))
    assert caught.value.conn_id == CONN_ID


def test_no_frame_of_a_library_is_in_the_traceback(client: Client) -> None:
    """The user's traceback ends in our code, with no library error behind it."""
    client.server.fail_next("token", "reset")
    error = failure(client)
    frames = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
    assert not [name for name in frames if "/msal/" in name or "/google/" in name]
    assert error.__cause__ is None
    assert error.__context__ is None


def test_new_refresh_token_survives_a_refused_answer(client: Client) -> None:
    """A rotated refresh token reaches the caller although the answer's access token does not."""
    client.server.fail_next(
        "token",
        "body",
        status=200,
        body='{"access_token":"a","token_type":"Bearer","refresh_token":"new","scope":"less"}',
    )
    response = spend(client)
    assert response.refresh_token == "new"
    assert response.access_token == ""
    assert isinstance(response.fault, ClientRejectedError)
    assert client.settings.scopes[0] in response.fault.message
    assert response.fault.conn_id == CONN_ID


def test_refused_answer_without_new_refresh_token_raises(client: Client) -> None:
    """Where nothing must be saved, a missing scope is raised, by name."""
    body = '{"access_token":"a","token_type":"Bearer","scope":"less"}'
    client.server.fail_next("token", "body", status=200, body=body)
    error = failure(client)
    assert isinstance(error, ClientRejectedError)
    assert client.settings.scopes[0] in error.message


@pytest.mark.parametrize(
    ("before", "more"),
    [("\ufeff", ""), ("", f',"expires_in":{"9" * 5_000}'), ("\ufeff", ',"expires_in":NaN')],
    ids=["mark", "digits", "both"],
)
def test_odd_json_costs_no_refresh_token(client: Client, before: str, more: str) -> None:
    """Whatever a token library cannot read in an answer, the new refresh token reaches us."""
    body = f'{before}{{"access_token":"a","token_type":"Bearer","refresh_token":"next"{more}}}'
    client.server.fail_next("token", "body", status=200, body=body)
    response = spend(client)
    assert (response.refresh_token, response.access_token) == ("next", "a")


def test_configured_scope_that_is_none_is_not_sent(client: Client) -> None:
    """A scope that no server can have is a matter of the connection, before anything is sent."""
    token = client.mint()
    wrong = client.with_settings(scopes=(*client.settings.scopes, "\u201cimap\u201d"))
    with pytest.raises(ConfigurationError, match=r"U\+201C") as caught:
        spend(wrong, token)
    assert (caught.value.conn_id, caught.value.step) == (CONN_ID, "token request")
    assert client.server.token_requests == 0
