# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What a browser or a person brings back from the sign-in."""

from __future__ import annotations

import pytest

from airflow_imap_oauth.exceptions import AuthorizationFlowError
from airflow_imap_oauth.oauth.callback import read_callback

REDIRECT = "http://127.0.0.1:8123/callback"


@pytest.mark.parametrize(
    "text",
    [
        f"{REDIRECT}?code=a%2Bb&state=s",
        f"  {REDIRECT}?code=a%2Bb&state=s\n",
        "127.0.0.1:8123/callback?code=a%2Bb&state=s",
        f"{REDIRECT}?code=a%2Bb&state=s#_=_",
        "?code=a%2Bb&state=s",
        "code=a%2Bb&state=s",
        "state=s&code=a%2Bb&session_state=x&code_extra=1",
    ],
)
def test_url_and_query_are_read(text: str) -> None:
    """The whole address and its query alone are as good."""
    answer = read_callback(text, REDIRECT)
    assert (answer.code, answer.state, answer.error) == ("a+b", "s", None)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:8124/callback",
        "http://127.0.0.1:8123/other",
        "http://localhost:8123/callback",
        "https://evil.example/callback",
        "file://127.0.0.1:8123/callback",
        "https://[::1/callback",
    ],
)
def test_other_addresses_are_refused(address: str) -> None:
    """An address that is not the redirect URI is refused, and the right one is named."""
    with pytest.raises(AuthorizationFlowError, match="not the address") as caught:
        read_callback(f"{address}?code=secret&state=s", REDIRECT)
    assert REDIRECT in caught.value.hint
    assert "secret" not in str(caught.value)


def test_address_without_query_is_refused_by_place() -> None:
    """The address of the consent page, pasted by mistake, is no redirect."""
    with pytest.raises(AuthorizationFlowError, match="not the address"):
        read_callback("https://login.example.com/consent", REDIRECT)


@pytest.mark.parametrize("name", ["code", "state", "error", "iss"])
def test_rfc6749_3_1_repeated_parameter_is_refused(name: str) -> None:
    """A parameter must not come twice."""
    with pytest.raises(AuthorizationFlowError, match=f"'{name}' more than once"):
        read_callback(f"code=c&state=s&error=e&iss=i&{name}=again", REDIRECT)


def test_empty_parameter_counts_as_absent() -> None:
    """RFC 6749 section 3.1: a parameter without value is as if it were left out."""
    assert read_callback("code=&state=s", REDIRECT).code is None


def test_overlong_text_is_refused() -> None:
    """A pasted book is not searched for a code."""
    with pytest.raises(AuthorizationFlowError, match="too long"):
        read_callback("code=" + "x" * 20_000, REDIRECT)


@pytest.mark.parametrize("text", ["", "?", "hello", "&" * 200 + "=", "a=1&" * 100])
def test_other_text_holds_nothing(text: str) -> None:
    """Text without parameters yields none."""
    try:
        answer = read_callback(text, REDIRECT)
    except AuthorizationFlowError:
        return
    assert (answer.code, answer.state, answer.error) == (None, None, None)


def test_code_and_state_are_not_shown() -> None:
    """The representation holds neither code nor state."""
    assert "secret" not in repr(read_callback("code=secret1&state=secret2", REDIRECT))
