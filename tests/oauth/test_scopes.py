# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What was asked for against what was granted."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.oauth.profiles import get_profile
from airflow_imap_oauth.oauth.scopes import (
    asked_scopes,
    missing_scopes,
    split_scope,
    surplus_scopes,
    surplus_warning,
)
from airflow_imap_oauth.oauth.settings import Endpoints, OAuthSettings

IMAP = "IMAP.AccessAsUser.All"
OUTLOOK = f"https://outlook.office.com/{IMAP}"
GOOGLE = "https://mail.google.com/"
USERINFO = "https://www.googleapis.com/auth/userinfo"
#: What Exchange Online is called, in each cloud.
RESOURCES = [
    "https://outlook.office.com/",
    "https://outlook.office365.com/",
    "https://outlook.office365.us/",
    "https://outlook-dod.office365.us/",
    "https://partner.outlook.cn/",
    "https://outlook.office.com//",
    "00000002-0000-0ff1-ce00-000000000000/",
    "",
]


def client(**changes: Any) -> OAuthSettings:
    return OAuthSettings(
        **{
            "conn_id": "mail",
            "profile": get_profile("custom"),
            "client_id": "app",
            "endpoints": Endpoints(),
            "scopes": ("imap",),
            "login": "ada@example.test",
            **changes,
        }
    )


def warning(granted: tuple[str, ...] | None, **changes: Any) -> str | None:
    return surplus_warning(client(**changes), granted)


def test_rfc6749_3_3_scopes_are_split_at_spaces() -> None:
    """Each scope counts once, in its order."""
    assert split_scope("  b a  b\ta ") == ("b", "a")


@pytest.mark.parametrize("needed", RESOURCES)
@pytest.mark.parametrize("granted", RESOURCES)
def test_spellings_of_microsoft_are_one_scope(needed: str, granted: str) -> None:
    """Whichever name of Exchange Online stands before it, the permission is the same."""
    assert missing_scopes([needed + IMAP], [granted + IMAP]) == ()
    assert surplus_scopes([needed + IMAP], [granted + IMAP]) == ()


@pytest.mark.parametrize("resource", RESOURCES)
def test_whatever_is_permitted(resource: str) -> None:
    """No answer lists '.default', so that nothing is missing, and nothing is too much."""
    asked = [f"{resource}.default"]
    assert missing_scopes(asked, ["IMAP.AccessAsApp"]) == ()
    assert missing_scopes(asked, []) == ()
    assert surplus_scopes(asked, ["IMAP.AccessAsApp", "Mail.Read"]) == ()


def test_missing_scopes_are_named_as_asked_for() -> None:
    """What is missing is told in the words of the connection, in its order."""
    assert missing_scopes(["b", OUTLOOK, "a"], ["a"]) == ("b", OUTLOOK)


def test_resource_of_another_service_is_another_scope() -> None:
    """A permission of Graph is not that of Exchange Online."""
    graph = f"https://graph.microsoft.com/{IMAP}"
    assert missing_scopes([OUTLOOK], [graph]) == (OUTLOOK,)
    assert surplus_scopes([OUTLOOK], [OUTLOOK, graph]) == (graph,)


@pytest.mark.parametrize("scope", ["openid", "profile", "email", "offline_access"])
def test_identity_is_not_imap(scope: str) -> None:
    """What asks for identity or a refresh token is neither missed nor too much."""
    assert missing_scopes([scope], ["imap"]) == ()
    assert surplus_scopes(["imap"], ["imap", scope]) == ()


@pytest.mark.parametrize("scope", ["email", "profile"])
def test_google_names_identity_its_way(scope: str) -> None:
    """Google's long names of 'email' and 'profile' are those."""
    long = f"{USERINFO}.{scope}"
    assert missing_scopes([long], []) == ()
    assert missing_scopes([scope], [long]) == ()
    assert surplus_scopes([GOOGLE, "openid", "email"], [GOOGLE, "openid", long]) == ()


def test_more_than_was_asked_for_is_told() -> None:
    """Access that nobody needs is named, and where to take it away."""
    told = warning(("imap", "openid", "contacts", "calendar"))
    assert told is not None
    assert "contacts calendar" in told
    assert "imap " not in told
    assert "registration" in told


def test_extra_scopes_were_asked_for() -> None:
    """What a sign-in asks for besides is no surplus."""
    assert warning(("imap", "contacts"), extra_scopes=("contacts",)) is None


def test_no_warning_where_nothing_is_known() -> None:
    """Where the answer is silent, or the connection asks for nothing by name, nobody is warned."""
    assert warning(None) is None
    assert warning(()) is None
    assert warning(("contacts",), scopes=()) is None
    assert warning(("contacts",), scopes=(), extra_scopes=("openid",)) is None


@pytest.mark.parametrize("scope", ["!", "imap", OUTLOOK, GOOGLE, "a,b", "#[]~", "x:y/z?q=1"])
def test_rfc6749_3_3_what_a_scope_may_be_made_of(scope: str) -> None:
    """Every visible ASCII character but quote and backslash may be in a scope."""
    assert asked_scopes(client(scopes=(scope,))) == (scope,)


@pytest.mark.parametrize(
    ("scope", "character"),
    [
        ('"imap"', "U+0022"),
        ("imap\\", "U+005C"),
        ("imap contacts", "U+0020"),
        ("im\x1bap", "U+001B"),
        ("\u201cimap", "U+201C"),
        ("imap\udce9", "U+DCE9"),
        ("", "nothing"),
    ],
)
@pytest.mark.parametrize("name", ["scopes", "extra_scopes"])
def test_rfc6749_3_3_configured_scope_that_is_none(name: str, scope: str, character: str) -> None:
    """A configured scope that none can be is refused by its character, and not shown."""
    with pytest.raises(ConfigurationError) as caught:
        asked_scopes(client(**{name: (scope,)}))
    assert f"holds {character}," in caught.value.message
    assert "imap" not in caught.value.message
    assert "Set scopes of the connection" in caught.value.hint
