# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Mail-provider profiles: built in, and by entry point."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from dataclasses import MISSING, fields
from datetime import date, timedelta
from pathlib import Path

import pytest

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.oauth.mail_providers import BUILT_IN
from airflow_imap_oauth.oauth.profiles import (
    ENTRY_POINT_GROUP,
    MailProviderProfile,
    get_profile,
    profile_names,
)
from airflow_imap_oauth.oauth.urls import checked_url

KNOWN = [profile for profile in BUILT_IN.values() if profile.name != "custom"]
DEFAULTS = {
    field.name: {} if field.default is MISSING else field.default
    for field in fields(MailProviderProfile)
}
VALUES = DEFAULTS.keys() - {
    *("name", "label", "engine", "sources", "missing_refresh_token_hint"),
}

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
    assert profile_names()[: len(BUILT_IN)] == tuple(BUILT_IN)
    assert {"microsoft", "google", "yahoo", "zoho", "custom"} < BUILT_IN.keys()


def test_unknown_mail_provider_lists_the_known_ones() -> None:
    """A wrong name is answered with the right ones, and is not repeated."""
    with pytest.raises(ConfigurationError, match=r"microsoft, .*google, .*custom") as caught:
        get_profile("hotmail-of-my-secret")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("profile", KNOWN, ids=lambda profile: profile.name)
def test_every_value_has_a_source(profile: MailProviderProfile) -> None:
    """What is said of a mail provider can be looked up."""
    said = {name for name in VALUES if getattr(profile, name) != DEFAULTS[name]}
    sourced = {name for source in profile.sources for name in source.values}
    assert said <= sourced
    assert sourced <= {field.name for field in fields(MailProviderProfile)}
    assert all(source.url.startswith("https://") for source in profile.sources)


@pytest.mark.parametrize("profile", KNOWN, ids=lambda profile: profile.name)
def test_no_source_is_older_than_a_year(profile: MailProviderProfile) -> None:
    """Mail providers change: each value is looked up anew within twelve months."""
    oldest = min(source.read_on for source in profile.sources)
    assert date.today() - oldest < timedelta(days=366)  # noqa: DTZ011  # a day more or less


@pytest.mark.parametrize("profile", KNOWN, ids=lambda profile: profile.name)
def test_endpoints_are_https(profile: MailProviderProfile) -> None:
    """Every known endpoint is fit to receive secrets."""
    urls = (profile.issuer, profile.authorize_url, profile.token_url, profile.device_url)
    for url in (*urls, profile.revoke_url, profile.jwks_url):
        if url is not None:
            filled = url.replace("{tenant_id}", "common").replace("{region}", "com.au")
            assert "{" not in filled
            assert checked_url(filled, what="endpoint", allow_loopback_http=False)


def test_the_page_of_mail_providers_says_what_the_profiles_say() -> None:
    """The documentation is what ``make docs`` writes; it marks what is not confirmed."""
    folder = Path(__file__).parents[2] / "docs"
    written = runpy.run_path(str(folder / "mail_providers.py"))["page"]()
    assert (folder / "mail_providers.md").read_text(encoding="utf-8") == written
    assert "**(unconfirmed)**" in written


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
