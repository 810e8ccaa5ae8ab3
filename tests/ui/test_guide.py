# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The set-up guides: complete, sourced, and with the addresses of this Airflow."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_imap_oauth.admin.guide_model import GuideStep
from airflow_imap_oauth.admin.guides import GUIDES
from airflow_imap_oauth.connection_form import connection_type
from airflow_imap_oauth.oauth.mail_providers import BUILT_IN
from airflow_imap_oauth.oauth.profiles import profile_names
from tests.ui.browsing import PERSON, path, sign_in, text_of

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

STEPS = [
    pytest.param(step, id=f"{name}-{way.grant}-{number}")
    for name, guide in GUIDES.items()
    for way in guide.ways
    for number, step in enumerate(way.steps)
]


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_mail_provider_has_a_guide(name: str) -> None:
    """For each of its grants, the guide of a mail provider says what to do."""
    assert {way.grant for way in GUIDES[name].ways} == set(BUILT_IN[name].grants)


def test_no_guide_is_of_nobody() -> None:
    """Each guide belongs to a mail provider that connections can name."""
    assert GUIDES.keys() == BUILT_IN.keys()


@pytest.mark.parametrize("step", STEPS)
def test_every_step_has_a_recent_source(step: GuideStep) -> None:
    """What is said can be looked up, and was within twelve months."""
    assert step.sources
    for source in step.sources:
        assert source.url.startswith("https://")
        assert date.today() - source.read_on < timedelta(days=366)  # noqa: DTZ011  # a day or so


@pytest.mark.parametrize("name", GUIDES)
def test_fields_are_called_as_in_the_form(name: str) -> None:
    """Whoever follows a guide finds its labels, and its choices, in the connection form."""
    fields = connection_type()["conn-fields"].values()
    labels = {field["label"]: field["schema"].get("values_display", {}) for field in fields}
    for way in GUIDES[name].ways:
        assert {label for label, _ in way.fields} <= labels.keys()
        grants = [value for label, value in way.fields if label == "How access is granted"]
        assert set(grants) <= set(labels["How access is granted"].values())
        assert bool(grants) == (way.grant != "user_consent")


def test_the_list_leads_to_every_guide(browser: TestClient) -> None:
    """Each link of the list opens a page."""
    sign_in(browser)
    html = browser.get(path("/guide"), headers=PERSON).text
    links = re.findall(r'<li><a href="([^"]*mail_provider=([^"]*))"', html)
    assert tuple(name for _, name in links) == profile_names()
    own = [link for link, name in links if name in BUILT_IN]
    assert {browser.get(link, headers=PERSON).status_code for link in own} == {200}


def test_broken_mail_provider_of_another_package_is_named(browser: TestClient) -> None:
    """It hides no other one, and its own page says which package to check."""
    sign_in(browser)
    # It needs a variable of the environment, which is set only where it is tested.
    assert "test_yahoo" in browser.get(path("/guide"), headers=PERSON).text
    answer = browser.get(path("/guide", mail_provider="test_yahoo"), headers=PERSON)
    assert answer.status_code == 400
    assert "imap-oauth-test-mail-providers" in answer.text


def test_redirect_uris_are_ready_to_copy(
    browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guide shows the address of this Airflow's pages, and that of the command."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.test/team/a/")
    sign_in(browser)
    html = browser.get("/imap-oauth/guide?mail_provider=microsoft").text
    assert "<code>https://airflow.test/team/a/imap-oauth/callback</code>" in html
    assert "<code>http://localhost</code>" in html
    html = browser.get("/imap-oauth/guide?mail_provider=zoho").text
    assert "<code>http://127.0.0.1:8765</code>" in html
    assert "--redirect-port 8765" in html


@pytest.mark.parametrize(
    ("base_url", "warning"),
    [
        ("", "set [api] base_url"),
        ("http://airflow.test", "plain http"),
        ("http://localhost:8080", ""),
    ],
)
def test_addresses_that_will_not_serve_are_told(
    browser: TestClient, monkeypatch: pytest.MonkeyPatch, base_url: str, warning: str
) -> None:
    """A missing or insecure address is found here and not at the mail provider."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    sign_in(browser)
    html = browser.get("/imap-oauth/guide?mail_provider=google").text
    assert warning in html
    assert ('class="problem"' in html) == bool(warning)


def test_what_an_administrator_does_is_marked(browser: TestClient) -> None:
    """The commands of Exchange and the delegation at Google are there, as administrator's steps."""
    sign_in(browser)
    text = text_of(browser.get("/imap-oauth/guide?mail_provider=microsoft").text)
    assert "Administrator: Make the application known to Exchange Online" in text
    assert "New-ServicePrincipal -AppId" in text
    text = text_of(browser.get("/imap-oauth/guide?mail_provider=google").text)
    assert "Administrator: As a super administrator, open the Admin console" in text


def test_unconfirmed_sources_are_marked(browser: TestClient) -> None:
    """What the mail provider does not say itself is told apart."""
    sign_in(browser)
    assert "not confirmed" in browser.get("/imap-oauth/guide?mail_provider=yahoo").text
    assert "not confirmed" not in browser.get("/imap-oauth/guide?mail_provider=microsoft").text


def test_unknown_mail_provider_is_not_found(browser: TestClient) -> None:
    """A wrong name is answered with a page, and as text."""
    sign_in(browser)
    answer = browser.get("/imap-oauth/guide?mail_provider=%3Cscript%3E", headers=PERSON)
    assert answer.status_code == 404
    assert "<script" not in answer.text
