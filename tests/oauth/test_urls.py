# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Which URLs may receive a secret."""

from __future__ import annotations

import pytest

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.oauth.urls import checked_url, is_loopback_host, origin


@pytest.mark.parametrize(
    "url",
    [
        "https://login.example.com/token",
        "https://login.example.com:8443/token?tenant=a",
        "https://[2001:db8::1]/token",
        "HTTPS://login.example.com",
    ],
)
def test_https_is_accepted(url: str) -> None:
    """Any host is accepted over https."""
    assert checked_url(url, what="issuer", allow_loopback_http=False).hostname


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "[::1]"])
def test_http_to_loopback_needs_the_setting(host: str) -> None:
    """Plain http is for loopback hosts under the test setting alone."""
    url = f"http://{host}:8080/token"
    assert checked_url(url, what="issuer", allow_loopback_http=True)
    with pytest.raises(ConfigurationError, match="not https"):
        checked_url(url, what="issuer", allow_loopback_http=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://login.example.com/token",
        "http://localhost.example.com/",
        "http://127.0.0.1.example.com/",
        "http://0.0.0.0/",
        "ftp://login.example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "login.example.com/token",
        "//login.example.com/token",
        "https:///token",
        "https://login..example.com/token",
        f"https://{'a' * 64}.example.com/token",
        "https://",
        "",
        "https://login.example.com/to ken",
        "https://login.example.com/\r\nHost: other",
        "https://login.example.com:99999/",
        "https://login.example.com:port/",
        "https://[::1/",
        "https://exämple.com/",
        "https://user@login.example.com/",
        "https://user:secret@login.example.com/",
        "https://@login.example.com/",
        "https://login.example.com/#fragment",
    ],
)
def test_rfc9700_2_6_other_urls_are_refused(url: str) -> None:
    """What is not plain https is refused, and the message does not repeat a password."""
    with pytest.raises(ConfigurationError) as caught:
        checked_url(url, what="token endpoint", allow_loopback_http=True)
    assert "token endpoint" in str(caught.value)
    assert "secret" not in str(caught.value).replace("Secrets are sent there", "")


def test_origin_knows_default_ports() -> None:
    """A URL with the default port is of the same origin as one without."""
    one = checked_url("https://Login.example.com/a", what="x", allow_loopback_http=False)
    two = checked_url("https://login.example.com:443/b", what="x", allow_loopback_http=False)
    other = checked_url("https://login.example.com:444/b", what="x", allow_loopback_http=False)
    assert origin(one) == origin(two) != origin(other)


def test_names_are_not_loopback() -> None:
    """A name that a resolver could point anywhere is not loopback."""
    assert not is_loopback_host("localhost.localdomain")
