# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Mail-provider profiles: built in, and by entry point."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.oauth.profiles import ENTRY_POINT_GROUP, get_profile, profile_names
from airflow_imap_oauth.oauth.urls import checked_url

Install = Callable[[str, str, str], None]

PROFILE = """
from airflow_imap_oauth.oauth.profiles import MailProviderProfile
def {name}():
    return MailProviderProfile(name="{name}", label="Mine", engine="rfc6749", scopes=("imap",))
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Give a function that installs a distribution with one module and one entry point."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(distribution: str, name: str, code: str) -> None:
        module = f"{distribution}_module"
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{distribution}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{name} = {module}:{name}\n")
        monkeypatch.delitem(sys.modules, module, raising=False)

    return install


def test_built_in_profiles_come_first() -> None:
    """The names begin with what this package knows."""
    assert profile_names()[:3] == ("microsoft", "google", "custom")


def test_unknown_mail_provider_lists_the_known_ones() -> None:
    """A wrong name is answered with the right ones, and is not repeated."""
    with pytest.raises(ConfigurationError, match="microsoft, google, custom") as caught:
        get_profile("hotmail-of-my-secret")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["microsoft", "google"])
def test_values_have_dated_sources(name: str) -> None:
    """What is said of a mail provider can be looked up, and when it was."""
    sources = get_profile(name).sources
    assert sources
    for source in sources:
        assert source.url.startswith("https://")
        assert date(2025, 1, 1) < source.read_on


@pytest.mark.parametrize("name", ["microsoft", "google"])
def test_endpoints_are_https(name: str) -> None:
    """Every known endpoint is fit to receive secrets."""
    profile = get_profile(name)
    for url in (profile.issuer, profile.authorize_url, profile.token_url, profile.revoke_url):
        if url is not None:
            filled = url.replace("{tenant_id}", "common")
            assert checked_url(filled, what="endpoint", allow_loopback_http=False)


def test_google_asks_for_a_refresh_token_every_time() -> None:
    """Without these parameters a second consent at Google brings no refresh token."""
    params = get_profile("google").authorize_params
    assert params == {"access_type": "offline", "prompt": "consent"}


def test_profile_by_entry_point(install: Install) -> None:
    """A package adds a mail provider by a function."""
    install("mine", "mymail", PROFILE.format(name="mymail"))
    assert "mymail" in profile_names()
    assert get_profile("mymail").label == "Mine"


def test_profile_object_by_entry_point(install: Install) -> None:
    """An entry point may also be the profile itself."""
    install("mine", "mymail", PROFILE.format(name="mymail") + "\nmymail = mymail()\n")
    assert get_profile("mymail").scopes == ("imap",)


def test_names_load_no_entry_point(install: Install) -> None:
    """Listing the names runs no foreign code."""
    install("mine", "mymail", "raise RuntimeError")
    assert "mymail" in profile_names()


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("raise RuntimeError('secret')", "RuntimeError"),
        ("import module_that_is_not_there", "ModuleNotFoundError"),
        ("", "AttributeError"),
        ("mymail = 7", "TypeError"),
        ("def mymail(): return 7", "does not give a profile"),
        (
            PROFILE.format(name="othername").replace("def othername", "def mymail"),
            "does not give a profile named 'mymail'",
        ),
    ],
)
def test_broken_entry_point_names_its_package(install: Install, code: str, problem: str) -> None:
    """A faulty package is named, without its traceback."""
    install("mine", "mymail", code)
    with pytest.raises(ConfigurationError, match=problem) as caught:
        get_profile("mymail")
    assert "package mine" in caught.value.hint
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


def test_built_in_profile_cannot_be_replaced(install: Install) -> None:
    """A package cannot send the tokens of existing connections elsewhere."""
    install("mine", "google", PROFILE.format(name="google"))
    assert get_profile("google").label == "Google Workspace and Gmail"
    assert profile_names().count("google") == 1


def test_two_packages_with_one_name_are_refused(install: Install) -> None:
    """Which of two packages wins is not left to chance."""
    install("mine", "mymail", PROFILE.format(name="mymail"))
    install("theirs", "mymail", PROFILE.format(name="mymail"))
    with pytest.raises(ConfigurationError, match="Several packages") as caught:
        get_profile("mymail")
    assert "mine, theirs" in caught.value.hint
