# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What comes back from the mail provider counts once, as it was sent for, and for nobody else."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from airflow_imap_oauth.ui.protection import BROWSER_COOKIE
from tests.hooks import connections
from tests.ui.authorizing import (
    UNKNOWN,
    WITH_IDENTITY,
    another_browser,
    begin,
    box,
    consented,
    forms,
    is_untouched,
    leaving,
    own_address,
    pasting,
)
from tests.ui.browsing import PAGES, PERSON, path, sign_in, text_of

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from tests.hooks.mailboxes import Mailbox

__all__ = ["box", "own_address"]
pytestmark = pytest.mark.usefixtures("own_address")

HOSTILE = "<script>alert(1)</script>"


def query_of(address: str) -> dict[str, str]:
    """Return the parameters of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def callback(**parameters: str) -> str:
    """Return the address of a callback."""
    return f"{PAGES}/callback?{urlencode(parameters)}"


# --- Who brings it --------------------------------------------------------------------------------


def test_two_api_servers_race(box: Mailbox, browser: TestClient) -> None:
    """Two API servers that are given the same answer at the same time exchange its code once."""
    from fastapi import FastAPI
    from fastapi.testclient import TestClient as Client

    from airflow_imap_oauth.ui.app import create_app

    sign_in(browser)
    arrived = consented(box, begin(browser, box.conn_id))
    together = threading.Barrier(2)
    told: list[str] = []

    def serve() -> None:
        application = FastAPI()
        application.mount(PAGES, create_app())
        with Client(application, follow_redirects=False, cookies=browser.cookies) as one:
            together.wait(10)
            told.append(text_of(one.get(arrived, headers=PERSON).text))

    servers = [threading.Thread(target=serve) for _ in range(2)]
    for server in servers:
        server.start()
    for server in servers:
        server.join(30)
    assert sorted("is authorized" in text for text in told) == [False, True]
    assert any(UNKNOWN in text for text in told)
    assert box.authorization.token_requests_by_grant == {"authorization_code": 1}


def test_answer_of_an_attacker(box: Mailbox, browser: TestClient) -> None:
    """Login CSRF: the attacker's answer is refused, and the victim's own is still good."""
    sign_in(browser, name="mallory")
    attackers = consented(box, begin(browser, box.conn_id), "mallory@example.test")
    another_browser(browser, "victim")
    own = consented(box, begin(browser, box.conn_id))
    assert UNKNOWN in text_of(browser.get(attackers, headers=PERSON).text)
    assert box.authorization.token_requests == 0
    assert "is authorized" in text_of(browser.get(own, headers=PERSON).text)


def test_rfc7636_code_of_an_attacker_in_the_victims_answer(
    box: Mailbox, browser: TestClient
) -> None:
    """Code injection: another sign-in's code does not fit this one's verifier."""
    sign_in(browser, name="mallory")
    attackers = query_of(consented(box, begin(browser, box.conn_id), "mallory@example.test"))
    another_browser(browser, "victim")
    own = query_of(consented(box, begin(browser, box.conn_id)))
    page = browser.get(callback(**{**own, "code": attackers["code"]}), headers=PERSON)
    assert page.status_code == 400
    assert is_untouched(box)


def test_viewer_of_one_connection(
    box: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may still change others, and no longer this one, gets nothing for the answer."""
    sign_in(browser)
    arrived = consented(box, begin(browser, box.conn_id))
    monkeypatch.setattr("tests.ui.auth_manager.READ_ONLY", box.conn_id)
    assert browser.get(arrived, headers=PERSON).status_code == 403
    assert box.authorization.token_requests == 0
    assert is_untouched(box)


# --- What it says ---------------------------------------------------------------------------------


def test_rfc9207_2_4_missing_issuer(box: Mailbox, browser: TestClient) -> None:
    """Where the server promises to name itself, an answer that does not is refused."""
    sign_in(browser)
    answer = query_of(consented(box, begin(browser, box.conn_id)))
    page = browser.get(callback(state=answer["state"], code=answer["code"]), headers=PERSON)
    assert "does not name its issuer" in text_of(page.text)
    assert box.authorization.token_requests == 0


@pytest.mark.parametrize("name", ["code", "state", "iss"])
def test_rfc6749_3_1_repeated_parameter(box: Mailbox, browser: TestClient, name: str) -> None:
    """An answer that says something twice is refused, whichever of the two is true."""
    sign_in(browser)
    arrived = consented(box, begin(browser, box.conn_id))
    page = browser.get(f"{arrived}&{name}={query_of(arrived)[name]}", headers=PERSON)
    assert page.status_code == 400
    assert box.authorization.token_requests == 0


@pytest.mark.parametrize(
    "parameter", ["next", "redirect_uri", "url", "continue", "RelayState", "connection_id"]
)
def test_nothing_in_an_answer_leads_elsewhere(
    box: Mailbox, browser: TestClient, parameter: str
) -> None:
    """Open redirect: no parameter sends the browser anywhere, or appears in a link."""
    sign_in(browser)
    target = "https://evil.test/"
    arrived = consented(box, begin(browser, box.conn_id))
    for address in (callback(**{parameter: target}), f"{arrived}&{urlencode({parameter: target})}"):
        page = browser.get(address, headers=PERSON)
        assert "location" not in page.headers
        assert "refresh" not in page.headers
        assert "evil.test" not in page.text
    assert "is authorized" in text_of(page.text)


@pytest.mark.parametrize("error", ["server_error", "temporarily_unavailable", "invalid_scope"])
def test_rfc6749_4_1_2_1_refusal_is_told(box: Mailbox, browser: TestClient, error: str) -> None:
    """What the server answers instead of a code is told, and its own words are no markup."""
    sign_in(browser)
    state = query_of(leaving(begin(browser, box.conn_id)))["state"]
    page = browser.get(
        callback(state=state, error=error, error_description=HOSTILE, iss=box.authorization.issuer),
        headers=PERSON,
    )
    assert page.status_code in (400, 503)
    assert error in text_of(page.text)
    assert "<script" not in page.text
    assert f'href="{path("/mailbox", connection_id=box.conn_id)}"' in page.text
    assert is_untouched(box)


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        ("html", {"status": 502}),
        ("reset", {}),
        ("json_error", {"error": "invalid_grant", "error_description": HOSTILE}),
        ("json_error", {"error": HOSTILE}),
        ("redirect", {"location": "https://evil.test/token"}),
    ],
    ids=str,
)
def test_exchange_that_fails(
    box: Mailbox, browser: TestClient, kind: Any, details: dict[str, Any]
) -> None:
    """Whatever the token endpoint answers instead, nothing is saved and nothing becomes markup."""
    sign_in(browser)
    arrived = consented(box, begin(browser, box.conn_id))
    box.authorization.fail_next("token", kind, times=5, **details)
    page = browser.get(arrived, headers=PERSON)
    assert page.status_code in (400, 503)
    assert 'role="alert"' in page.text
    assert "<script" not in page.text
    assert is_untouched(box)


# --- Where it comes to ----------------------------------------------------------------------------


def test_answer_for_a_loopback_address_is_none_for_the_callback(
    box: Mailbox, browser: TestClient
) -> None:
    """What was to be pasted cannot be brought by a redirect, so no listener can pass it on."""
    sign_in(browser)
    ended = box.authorization.consent(pasting(begin(browser, box.conn_id, way="paste")), box.login)
    page = browser.get(f"{PAGES}/callback?{urlsplit(ended).query}", headers=PERSON)
    assert page.status_code == 400
    assert "not the address" in text_of(page.text)
    assert box.authorization.token_requests == 0


@pytest.mark.parametrize("place", ["https://evil.test/", "http://127.0.0.1:1/", "http://[::1/"])
def test_pasted_address_of_elsewhere(box: Mailbox, browser: TestClient, place: str) -> None:
    """A pasted address counts only if it is the one that the browser was to be sent to."""
    sign_in(browser)
    answer = begin(browser, box.conn_id, way="paste")
    ended = box.authorization.consent(pasting(answer), box.login)
    ((action, hidden),) = forms(answer.text)
    pasted = f"{place}?{urlsplit(ended).query}"
    page = browser.post(action, data={**hidden, "address": pasted}, headers=PERSON)
    assert page.status_code == 400
    assert box.authorization.token_requests == 0
    assert is_untouched(box)


def test_pasted_address_counts_once(box: Mailbox, browser: TestClient) -> None:
    """Pasting the same address again is refused without asking anybody."""
    sign_in(browser)
    answer = begin(browser, box.conn_id, way="paste")
    ended = box.authorization.consent(pasting(answer), box.login)
    ((action, hidden),) = forms(answer.text)
    pasted = {**hidden, "address": ended}
    assert "is authorized" in text_of(browser.post(action, data=pasted, headers=PERSON).text)
    assert UNKNOWN in text_of(browser.post(action, data=pasted, headers=PERSON).text)
    assert box.authorization.token_requests == 1


def test_base_path_behind_a_proxy(
    box: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redirect URI, forms and links lie below the path of [api] base_url, whatever Host says."""
    base = "https://airflow.test/team/a"
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base)
    box.authorization.add_client(
        "behind-a-proxy", redirect_uris=[f"{base}{PAGES}/callback"], client_secret="a-secret-of-it"
    )
    extra = {"client_id": "behind-a-proxy", "client_secret": "a-secret-of-it"}
    connections.change(box.conn_id, extra=extra)
    sign_in(browser)
    browser.headers["host"] = "evil.test"
    opened = browser.get(path("/authorize", connection_id=box.conn_id), headers=PERSON)
    made = opened.headers["set-cookie"].partition("=")[2].partition(";")[0]
    browser.cookies.set(BROWSER_COOKIE, made)  # what the proxy would pass on
    action, hidden = forms(opened.text)[0]
    assert action.startswith("/team/a/imap-oauth/authorize?")
    answer = browser.post(action.removeprefix("/team/a"), data=hidden, headers=PERSON)
    arrived = box.authorization.consent(leaving(answer), box.login)
    assert arrived.startswith(f"{base}{PAGES}/callback?")
    page = browser.get(arrived.removeprefix(base), headers=PERSON)
    assert "is authorized" in text_of(page.text)
    assert f'href="/team/a{path("/check", connection_id=box.conn_id)}"' in page.text
    assert "evil.test" not in opened.text + answer.text + page.text


# --- What remains of it ---------------------------------------------------------------------------


def test_access_log_of_airflow_holds_no_code(
    box: Mailbox,
    browser: TestClient,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Airflow logs each request; code, state, verifier and nonce stand in none of its lines."""
    caplog.set_level("DEBUG")
    connections.change(box.conn_id, extra={"scopes": WITH_IDENTITY})
    sign_in(browser)
    left = query_of(leaving(begin(browser, box.conn_id)))
    answer = begin(browser, box.conn_id)
    logged = caplog.text
    arrived = consented(box, answer)
    caplog.clear()
    page = browser.get(arrived, headers=PERSON)
    browser.cookies.clear()
    browser.get(arrived, headers=PERSON)
    # What the person's browser and the authorization server log here is not ours.
    ours = [one for one in caplog.records if not one.name.startswith(("authlib", "httpx"))]
    logged += "\n".join((*capfd.readouterr(), *(one.getMessage() for one in ours)))
    assert f"path={PAGES}/callback" in logged
    verifiers = {sent.parameters["code_verifier"] for sent in box.authorization.recorded("token")}
    back = query_of(arrived)
    canaries = {*verifiers, back["code"], back["state"], left["state"], left["nonce"]}
    assert len(canaries) == 5
    for canary in canaries | (box.authorization.secrets_issued() - {""}):
        assert canary not in logged
        assert canary not in page.text


def test_access_log_of_the_server_holds_no_code(caplog: pytest.LogCaptureFixture) -> None:
    """The log of uvicorn, which has the whole address otherwise, has none of a callback's query."""
    import httpx
    import uvicorn
    from fastapi import FastAPI

    from airflow_imap_oauth.ui.app import create_app

    application = FastAPI()
    application.mount(PAGES, create_app())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(application, log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        serving = threading.Thread(target=server.run, args=([listening],))
        caplog.set_level("INFO")
        serving.start()
        try:
            port = listening.getsockname()[1]
            address = f"http://127.0.0.1:{port}{PAGES}/callback?code=canary&state=canary"
            answer = httpx.Client(trust_env=False).get(address)
        finally:
            server.should_exit = True
            serving.join(10)
    assert answer.status_code == 401
    lines = [record.getMessage() for record in caplog.records if record.name == "uvicorn.access"]
    assert any(f"{PAGES}/callback" in line for line in lines)
    assert not any("canary" in line for line in lines)


def test_address_is_passed_on_to_nobody(box: Mailbox, browser: TestClient) -> None:
    """Neither the page that leaves nor the one that comes back tells others its address."""
    sign_in(browser)
    leave = begin(browser, box.conn_id)
    back = browser.get(consented(box, leave), headers=PERSON)
    assert leave.headers["referrer-policy"] == "same-origin"
    assert 'rel="noreferrer"' in leave.text
    assert back.headers["referrer-policy"] == "no-referrer"
    for answer in (leave, back):
        assert answer.headers["cache-control"] == "no-store"
        assert "<script" not in answer.text
    assert 'href="http' not in back.text
