# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Authorizing a connection in the browser."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_imap_oauth.admin import pending
from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from tests.hooks import connections
from tests.ui.authorizing import (
    BASE_URL,
    UNKNOWN,
    WITH_IDENTITY,
    another_browser,
    authorized,
    begin,
    box,
    consented,
    forms,
    is_untouched,
    own_address,
)
from tests.ui.browsing import PERSON, form_of, path, sign_in, text_of

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from tests.hooks.mailboxes import Mailbox

__all__ = ["box", "own_address"]
pytestmark = pytest.mark.usefixtures("own_address")


# --- Signing in -----------------------------------------------------------------------------------


def test_sign_in_authorizes(box: Mailbox, browser: TestClient) -> None:
    """Somebody signs in and consents; token and client secret are sealed, and tasks get tokens."""
    connections.change(box.conn_id, extra={"scopes": WITH_IDENTITY})
    sign_in(browser)
    page = authorized(browser, box)
    assert page.status_code == 200
    told = text_of(page.text)
    assert f"{box.conn_id} is authorized" in told
    assert box.login in told
    password, extra = connections.stored(box.conn_id)
    assert (password or "").startswith("sealed:v1:")
    assert extra["client_secret"].startswith("sealed:v1:")
    assert extra["issuer"] == box.authorization.issuer
    requests = box.authorization.token_requests
    assert ImapOAuthHook(box.conn_id).get_access_token()
    assert box.authorization.token_requests == requests


def test_page_says_what_is_asked_and_of_whom(box: Mailbox, browser: TestClient) -> None:
    """Before anybody leaves, account, scopes and redirect URI are shown."""
    sign_in(browser)
    told = text_of(browser.get(path("/authorize", connection_id=box.conn_id)).text)
    assert box.login in told
    assert "imap" in told
    assert f"{BASE_URL}/imap-oauth/callback" in told


def test_pasted_address_authorizes(box: Mailbox, browser: TestClient) -> None:
    """Where no redirect comes back, the address at which the browser ended is as good."""
    sign_in(browser)
    answer = begin(browser, box.conn_id, way="paste")
    found = re.search(r'<a href="([^"]*)" target="_blank"', answer.text)
    assert found is not None
    ended = box.authorization.consent(unescape(found[1]), box.login)
    assert not ended.startswith(BASE_URL)
    action, hidden = form_of(answer.text)
    page = browser.post(action, data={**hidden, "address": f" {ended}\n"}, headers=PERSON)
    assert "is authorized" in text_of(page.text)


@pytest.mark.parametrize("address", ["", "nothing", "http://127.0.0.1/?code=x", "?state=a&state=b"])
def test_pasted_nonsense_is_explained(box: Mailbox, browser: TestClient, address: str) -> None:
    """What is no answer to a sign-in is refused with what to do."""
    sign_in(browser)
    action, hidden = form_of(begin(browser, box.conn_id, way="paste").text)
    page = browser.post(action, data={**hidden, "address": address}, headers=PERSON)
    assert page.status_code == 400
    assert "Paste the whole address" in text_of(page.text)


def test_code_entered_on_another_device(
    box: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page shows a code, waits, asks no sooner than it may, and sees that it was entered."""
    sign_in(browser)
    answer = begin(browser, box.conn_id, way="device")
    code = re.search(r"<strong>([A-Z0-9-]{4,})</strong>", answer.text)
    again = re.search(r'http-equiv="refresh" content="\d+; url=([^"]*)"', answer.text)
    assert code is not None
    assert again is not None
    requests = box.authorization.token_requests
    assert "Waiting" in browser.get(unescape(again[1])).text
    assert box.authorization.token_requests == requests
    box.authorization.decide_device(code[1], box.login)
    box.authorization.advance_clock(60)
    now = pending.utc_now() + timedelta(seconds=60)
    monkeypatch.setattr("airflow_imap_oauth.ui.pages.device.utc_now", lambda: now)
    page = browser.get(unescape(again[1]))
    assert "is authorized" in text_of(page.text)
    assert UNKNOWN in text_of(browser.get(unescape(again[1]), headers=PERSON).text)


def test_device_code_of_another_user(box: Mailbox, browser: TestClient) -> None:
    """The address of a waiting page is of no use to anybody else."""
    sign_in(browser)
    answer = begin(browser, box.conn_id, way="device")
    again = re.search(r'http-equiv="refresh" content="\d+; url=([^"]*)"', answer.text)
    assert again is not None
    another_browser(browser, "mallory")
    assert UNKNOWN in text_of(browser.get(unescape(again[1]), headers=PERSON).text)


def test_connection_of_the_environment_is_shown_what_to_store(
    box: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Airflow cannot write is shown sealed, and nothing is saved."""
    extra = connections.custom(box.authorization)
    name, value = connections.environment(
        box.conn_id, host=box.mail.host, port=box.mail.port, login=box.login, extra=extra
    )
    monkeypatch.setenv(name, value)
    sign_in(browser)
    page = authorized(browser, box)
    found = re.search(r"readonly>(sealed:v1:[^<]*)</textarea>", page.text)
    assert found is not None
    assert is_untouched(box)
    monkeypatch.setenv(name, json.dumps({**json.loads(value), "password": found[1]}))
    assert ImapOAuthHook(box.conn_id).get_access_token()


def test_connection_of_an_application_is_proved(box: Mailbox, browser: TestClient) -> None:
    """Where nobody signs in, the credential is tried and sealed."""
    connections.change(box.conn_id, extra={"grant": "client_credentials"})
    sign_in(browser)
    page = begin(browser, box.conn_id)
    assert f"{box.conn_id} works" in text_of(page.text)
    _, extra = connections.stored(box.conn_id)
    assert extra["client_secret"].startswith("sealed:v1:")


def test_another_account_has_to_be_allowed(box: Mailbox, browser: TestClient) -> None:
    """Another account than the one that authorized before is refused, unless that was chosen."""
    connections.change(box.conn_id, extra={"scopes": WITH_IDENTITY})
    sign_in(browser)
    assert "is authorized" in text_of(authorized(browser, box).text)
    before = connections.stored(box.conn_id)
    other = f"other-{box.login}"
    arrived = consented(box, begin(browser, box.conn_id), other)
    page = browser.get(arrived, headers=PERSON)
    assert "not the account which authorized before" in text_of(page.text)
    assert connections.stored(box.conn_id) == before
    arrived = consented(box, begin(browser, box.conn_id, other_account="yes"), other)
    told = text_of(browser.get(arrived, headers=PERSON).text)
    assert "is authorized" in told
    assert f"You signed in as {other}" in told


# --- Where it cannot be done ----------------------------------------------------------------------


@pytest.mark.parametrize("base_url", ["", "http://airflow.example.com", "ftp://localhost"])
def test_without_an_address_of_its_own_no_redirect_is_offered(
    box: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch, base_url: str
) -> None:
    """Where no mail provider could send a browser back safely, that way is refused, and why."""
    sign_in(browser)
    opened = browser.get(path("/authorize", connection_id=box.conn_id))
    action, hidden = forms(opened.text)[0]
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    told = text_of(browser.get(path("/authorize", connection_id=box.conn_id)).text)
    assert "base_url is not" in told
    refused = browser.post(action, data=hidden, headers=PERSON)
    assert refused.status_code == 400
    assert "base_url is not" in text_of(refused.text)


def test_no_key_is_told_before_anybody_leaves(
    box: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a key to seal with, nobody is sent to sign in for nothing."""
    monkeypatch.setenv("AIRFLOW__IMAP_OAUTH__TOKEN_KEYS", "no key")
    sign_in(browser)
    page = browser.get(path("/authorize", connection_id=box.conn_id), headers=PERSON)
    assert page.status_code == 400
    assert "token_keys" in text_of(page.text)


@pytest.mark.parametrize("extra", [{"tls": "none"}, {"client_id": ""}, {"issuer": "http://x.test"}])
def test_wrong_settings_are_told(box: Mailbox, browser: TestClient, extra: dict[str, str]) -> None:
    """What is wrong with the connection is told before anybody leaves, or in place of leaving."""
    sign_in(browser)
    connections.change(box.conn_id, extra=extra)
    page = browser.get(path("/authorize", connection_id=box.conn_id), headers=PERSON)
    if page.status_code == 200:
        page = begin(browser, box.conn_id)
    assert page.status_code == 400
    assert 'role="alert"' in page.text
    assert is_untouched(box)


def test_application_of_the_environment_can_only_be_checked(
    box: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody signs in and Airflow cannot write, the page leads to the check."""
    connections.change(box.conn_id, extra={"grant": "client_credentials"})
    sign_in(browser)
    opened = browser.get(path("/authorize", connection_id=box.conn_id), headers=PERSON)
    ((action, hidden),) = forms(opened.text)
    extra = connections.custom(box.authorization, grant="client_credentials")
    name, value = connections.environment(
        box.conn_id, host=box.mail.host, port=box.mail.port, login=box.login, extra=extra
    )
    monkeypatch.setenv(name, value)
    opened = browser.get(path("/authorize", connection_id=box.conn_id), headers=PERSON)
    assert forms(opened.text) == []
    assert f'href="{path("/check", connection_id=box.conn_id)}"' in opened.text
    assert browser.post(action, data=hidden, headers=PERSON).status_code == 409
    assert is_untouched(box)


def test_credential_that_fails_is_not_sealed(box: Mailbox, browser: TestClient) -> None:
    """Where the application's own credential does not work, the page says so."""
    wrong = {"grant": "client_credentials", "client_secret": "a-wrong-secret"}
    connections.change(box.conn_id, extra=wrong)
    sign_in(browser)
    page = begin(browser, box.conn_id)
    assert page.status_code == 400
    assert "invalid_client" in text_of(page.text)
    assert "a-wrong-secret" not in page.text
    assert is_untouched(box)


# --- What to know afterwards ----------------------------------------------------------------------


def test_warnings_stand_beside_the_success(
    box: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another name, the end of the secret and a broken token store are told; the token is kept."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    extra = {"scopes": WITH_IDENTITY, "credential_expires_on": "2026-01-31"}
    connections.change(box.conn_id, extra=extra)
    sign_in(browser)
    arrived = consented(box, begin(browser, box.conn_id), f"other-{box.login}")
    monkeypatch.setenv("AIRFLOW__IMAP_OAUTH__TOKEN_STORE", "file")
    monkeypatch.setenv("AIRFLOW__IMAP_OAUTH__FILE_FOLDER", str(blocked))
    told = text_of(browser.get(arrived, headers=PERSON).text)
    assert "is authorized" in told
    assert f"You signed in as other-{box.login}" in told
    assert "client secret ended on 2026-01-31" in told
    assert "token store does not work yet" in told
    assert (connections.stored(box.conn_id)[0] or "").startswith("sealed:v1:")
