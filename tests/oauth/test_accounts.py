# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""When an account is surely another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_imap_oauth.oauth.accounts import Account, is_another
from tests.oauth.clients import LOGIN
from tests.oauth.dialects.clients import client_of, generic, sign_in

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

ENTRA = {"tid": "t", "oid": "o"}
OTHERS = {"iss": "https://i.example", "client_id": "c", "sub": "s"}


def account(**claims: str) -> Account:
    return Account(claims=claims)


@pytest.mark.parametrize("claims", [ENTRA, OTHERS])
def test_same_claims_are_the_same_account(claims: dict[str, str]) -> None:
    """The same claims are the same account, whatever address it has now."""
    assert not is_another(claims, Account(claims=claims, shown="new@example.test"))


@pytest.mark.parametrize("change", [{"oid": "p"}, {"tid": "u"}, {"oid": "O"}])
def test_another_object_or_tenant_of_entra(change: dict[str, str]) -> None:
    """At Entra another object is another account, and so is another tenant."""
    assert is_another(ENTRA, account(**{**ENTRA, **change}))


def test_another_subject() -> None:
    """For one issuer and client another subject is another account."""
    assert is_another(OTHERS, account(**{**OTHERS, "sub": "z"}))


@pytest.mark.parametrize(
    "found",
    [
        account(**{**OTHERS, "iss": "https://j.example", "sub": "z"}),
        account(**{**OTHERS, "client_id": "d", "sub": "z"}),
        account(**ENTRA),
        account(sub="s"),
        account(),
    ],
)
def test_what_cannot_be_compared_is_not_another(found: Account) -> None:
    """Another issuer or client may name the same account differently."""
    assert not is_another(OTHERS, found)
    assert not is_another(found.claims, account(**OTHERS))


def test_nobody_is_not_another() -> None:
    """Where either is not known, nothing is sure."""
    assert not is_another(None, account(**ENTRA))
    assert not is_another(ENTRA, None)
    assert not is_another(None, None)


@pytest.mark.parametrize("mail_provider", ["generic", "microsoft", "google"])
def test_two_people_who_sign_in(
    authorization_server: AuthorizationServer, mail_provider: str
) -> None:
    """Whoever signs in twice is the same account, and somebody else is another."""
    server = authorization_server
    settings = generic(server) if mail_provider == "generic" else client_of(server, mail_provider)
    first, again, other = (
        sign_in(server, settings, login).account for login in (LOGIN, LOGIN, "eve@example.test")
    )
    assert first is not None
    assert not is_another(first.claims, again)
    assert is_another(first.claims, other)
