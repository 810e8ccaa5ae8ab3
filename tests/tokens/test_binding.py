# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What secrets are bound to."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_imap_oauth.oauth.settings import Endpoints, TransportSettings
from airflow_imap_oauth.tokens.binding import binding
from tests.tokens.support import settings


def _bound(**endpoints: str) -> dict[str, str]:
    return binding(settings(endpoints=Endpoints(**endpoints)), "IMAP.Example.COM")


def test_every_place_that_receives_a_secret_is_bound() -> None:
    """Issuer, token and revocation endpoint, IMAP host and client id are bound."""
    bound = _bound(
        issuer="https://login.example.com",
        token_url="https://login.example.com/token",
        revoke_url="https://login.example.com/revoke",
        authorize_url="https://login.example.com/authorize",
    )
    assert bound == {
        "client_id": "app",
        "imap_host": "imap.example.com",
        "issuer": "https://login.example.com",
        "token_url": "https://login.example.com/token",
        "revoke_url": "https://login.example.com/revoke",
    }


def test_the_ca_file_is_bound() -> None:
    """Whoever names other authorities, which may vouch for another server, opens nothing."""
    one, other = (
        binding(settings(transport=TransportSettings(ca_file=path)), "imap.example.com")
        for path in ("/etc/ssl/ours.pem", "/tmp/mine.pem")
    )
    assert len({*map(str, (one, other, _bound()))}) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"grant": "service_account"},
        {"login": "chief@example.com"},
        {"mailbox": "chief@example.com"},
    ],
)
def test_without_a_sign_in_grant_and_mailbox_are_bound(change: dict[str, Any]) -> None:
    """A credential that opens every mailbox of an organization opens only the one it is for."""

    def bound(mailbox: str | None = None, **values: Any) -> dict[str, str]:
        used = settings(**{"grant": "client_credentials", **values})
        return binding(used, "imap.example.com", mailbox=mailbox)

    assert bound(**change) != bound()
    assert bound() != _bound()


def test_with_discovery_the_issuer_stands_for_the_endpoints() -> None:
    """Where only the issuer is configured, only the issuer is bound."""
    assert set(_bound(issuer="https://login.example.com")) == {"client_id", "imap_host", "issuer"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://LOGIN.example.com/Token", "https://login.example.com/Token"),
        ("HTTPS://login.example.com/Token", "https://login.example.com/Token"),
        ("https://login.example.com:443/Token", "https://login.example.com/Token"),
        ("https://[2001:DB8::1]:443/", "https://[2001:db8::1]/"),
    ],
)
def test_spellings_of_one_server_are_one(one: str, other: str) -> None:
    """A spelling that no client can take for another server changes nothing."""
    assert _bound(token_url=one) == _bound(token_url=other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://login.example.com/token", "https://login.example.com/Token"),
        ("https://login.example.com/token", "http://login.example.com/token"),
        ("https://login.example.com/token", "https://login.example.com:8443/token"),
        ("https://login.example.com/token", "https://login.example.com/token?x"),
        ("https://login.example.com/token", "https://login.example.com@evil.example/token"),
        ("https://login.example.com/token", "https://login.example.com\\@evil.example/token"),
        ("https://login.example.com/token", "https://login.example.com\t/token"),
        ("https://login.example.com/token", "https://login.example.com.evil.example/token"),
        ("https://kelvin.example/token", "https://\u212aelvin.example/token"),
        ("https://login.example.com/token", "https://login.example.com:no/token"),
    ],
)
def test_what_may_be_another_server_is_another(one: str, other: str) -> None:
    """Anything that a client might understand as another place is another binding."""
    assert _bound(token_url=one) != _bound(token_url=other)
