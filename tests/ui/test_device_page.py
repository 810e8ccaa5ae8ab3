# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Signing in by a code that is entered on another device, while a page waits."""

from __future__ import annotations

import re
import threading
from html import unescape
from typing import TYPE_CHECKING

import pytest

from airflow_imap_oauth.ui.protection import BROWSER_COOKIE
from tests.hooks import connections
from tests.ui.authorizing import (
    UNKNOWN,
    WITH_IDENTITY,
    authorized,
    begin,
    box,
    is_untouched,
    own_address,
)
from tests.ui.browsing import PERSON, path, sign_in, text_of
from tests.ui.waiting import Waiting

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from tests.hooks.mailboxes import Mailbox

__all__ = ["box", "own_address"]
pytestmark = pytest.mark.usefixtures("own_address")


def variables() -> list[str]:
    """Return the values of all Variables, with Airflow's own encryption taken off."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return [str(row.get_val()) for row in session.scalars(select(Variable)).all()]


@pytest.fixture
def waiting(box: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch) -> Waiting:
    """Give a page that waits, of a user who may change connections."""
    sign_in(browser)
    page = Waiting(browser, box, monkeypatch)
    page.begin()
    return page


def test_code_address_and_end_are_shown(box: Mailbox, browser: TestClient) -> None:
    """The page names the code, where to enter it and until when, and looks again by itself."""
    sign_in(browser)
    answer = begin(browser, box.conn_id, way="device")
    assert answer.status_code == 200
    told = text_of(answer.text)
    assert re.search(r"https://localhost:\d+/activate", told)
    assert re.search(r"good until \d\d:\d\d UTC", told)
    assert 'rel="noopener noreferrer"' in answer.text
    assert "<script" not in answer.text


def test_entered_code_authorizes_once(waiting: Waiting) -> None:
    """As soon as the code was entered, the page says so; a second look finds nothing."""
    assert "Waiting" in text_of(waiting.look_in_time().text)
    waiting.decide()
    assert f"{waiting.box.conn_id} is authorized" in text_of(waiting.look_in_time().text)
    password, _ = connections.stored(waiting.box.conn_id)
    assert (password or "").startswith("sealed:v1:")
    polls = waiting.polls
    assert UNKNOWN in text_of(waiting.look().text)
    assert waiting.polls == polls


def test_rfc8628_3_5_server_is_asked_once_an_interval(waiting: Waiting) -> None:
    """However often somebody looks, the server is asked no sooner than it said."""
    for _ in range(3):
        assert "Waiting" in text_of(waiting.look().text)
    assert waiting.polls == 0
    waiting.pass_by(waiting.seconds)
    for _ in range(3):
        assert "Waiting" in text_of(waiting.look().text)
    assert waiting.polls == 1


def test_rfc8628_3_5_slow_down_is_heeded(waiting: Waiting) -> None:
    """A server that wants to be asked more seldom is."""
    waiting.box.authorization.fail_next("token", "json_error", status=400, error="slow_down")
    page = waiting.look_in_time()
    before = waiting.seconds
    waiting.show(page)
    assert waiting.seconds == before + 5
    waiting.pass_by(before)
    waiting.decide()
    assert "Waiting" in text_of(waiting.look().text)
    assert waiting.polls == 1
    assert "is authorized" in text_of(waiting.look_in_time().text)


def test_server_out_of_order_does_not_end_the_waiting(waiting: Waiting) -> None:
    """A fault of the server that passes costs time, and not the sign-in."""
    waiting.box.authorization.fail_next("token", "html", status=502)
    waiting.show(waiting.look_in_time())
    waiting.decide()
    assert "is authorized" in text_of(waiting.look_in_time().text)


def test_many_looks_at_once_ask_once(waiting: Waiting) -> None:
    """Of several API servers that are asked for the page at once, one asks the mail provider."""
    waiting.decide()
    waiting.pass_by(waiting.seconds)
    together = threading.Barrier(4)
    told: list[str] = []

    def look() -> None:
        together.wait(10)
        told.append(text_of(waiting.look().text))

    racers = [threading.Thread(target=look) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(30)
    assert waiting.polls == 1
    assert sum("is authorized" in text for text in told) == 1
    assert all("is authorized" in text or "Waiting" in text or UNKNOWN in text for text in told)


def test_server_that_died_while_asking(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    """An API server that ends in the middle of a question leaves the sign-in to the others."""

    def die(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("airflow_imap_oauth.oauth.device_authorization.poll", die)
        with pytest.raises(RuntimeError, match="killed"):
            waiting.look_in_time()
    waiting.decide()
    assert "Waiting" in text_of(waiting.look_in_time().text)
    waiting.pass_by(60)
    assert "is authorized" in text_of(waiting.look().text)


def test_denial_ends_it(waiting: Waiting) -> None:
    """Who denies on the other device ends the sign-in, and nothing is saved."""
    waiting.decide(allow=False)
    page = waiting.look_in_time()
    assert page.status_code == 400
    assert "access_denied" in text_of(page.text)
    assert 'http-equiv="refresh"' not in page.text
    assert UNKNOWN in text_of(waiting.look().text)
    assert is_untouched(waiting.box)


def test_code_that_nobody_enters_ends(waiting: Waiting) -> None:
    """When the code is no longer good, the page says so and the server is left alone."""
    waiting.pass_by(901)
    page = waiting.look()
    assert page.status_code == 400
    assert "took too long" in text_of(page.text)
    assert 'http-equiv="refresh"' not in page.text
    assert waiting.polls == 0


def test_server_that_calls_the_code_expired(waiting: Waiting) -> None:
    """What the server says of the end of a code counts, too."""
    waiting.box.authorization.fail_next("token", "json_error", status=400, error="expired_token")
    page = waiting.look_in_time()
    assert page.status_code == 400
    assert 'http-equiv="refresh"' not in page.text
    assert UNKNOWN in text_of(waiting.look().text)


@pytest.mark.parametrize("who", ["another user", "another browser"])
def test_page_of_somebody_else(waiting: Waiting, who: str) -> None:
    """The address of a waiting page is of no use to another user, nor in another browser."""
    waiting.decide()
    own = waiting.browser.cookies[BROWSER_COOKIE]
    name = sign_in(waiting.browser)
    waiting.browser.cookies.clear()
    if who == "another user":
        waiting.browser.cookies.set(BROWSER_COOKIE, own, path="/imap-oauth")
        sign_in(waiting.browser)
    else:
        sign_in(waiting.browser, name=name)
    assert UNKNOWN in text_of(waiting.look_in_time().text)
    assert waiting.polls == 0


@pytest.mark.parametrize("flow", ["x" * 43, "%00" * 20, "ä" * 20, "x" * 101, "x"])
def test_guessed_page(browser: TestClient, flow: str) -> None:
    """The address of no sign-in leads to a page that says so."""
    sign_in(browser)
    page = browser.get(f"/imap-oauth/device?flow={flow}", headers=PERSON)
    assert page.status_code in (400, 422)
    assert page.headers["content-type"].startswith("text/html")


def test_flow_of_a_redirect_is_no_page(box: Mailbox, browser: TestClient) -> None:
    """The state of a sign-in by redirect opens no waiting page."""
    sign_in(browser)
    answer = begin(browser, box.conn_id)
    state = re.search(r"state=([\w-]{20,})", unescape(answer.text))
    assert state is not None
    page = browser.get(path("/device", flow=state[1]), headers=PERSON)
    assert page.status_code == 400
    assert "another way" in text_of(page.text)


def test_permission_withdrawn_meanwhile(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may no longer change the connection gets nothing for a code that was entered."""
    waiting.decide()
    monkeypatch.setattr("tests.ui.auth_manager.READ_ONLY", waiting.box.conn_id)
    assert waiting.look_in_time().status_code == 403
    assert waiting.polls == 0
    assert is_untouched(waiting.box)


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://localhost:1"},
        {"exchange_url": "https://localhost:1/token"},
        {"device_url": "https://localhost:1/device"},
        {"client_id": "another"},
    ],
    ids=str,
)
def test_connection_pointed_elsewhere_meanwhile(waiting: Waiting, change: dict[str, str]) -> None:
    """What somebody points elsewhere while the page waits gets neither code nor secret."""
    waiting.decide()
    connections.change(waiting.box.conn_id, extra=change)
    assert "changed while you signed in" in text_of(waiting.look_in_time().text)
    assert waiting.polls == 0


def test_server_is_the_one_it_was_begun_with(waiting: Waiting) -> None:
    """The issuer's metadata are not asked again, so what they name by then gets no code."""
    waiting.decide()
    waiting.box.authorization.reset_counters()
    assert "is authorized" in text_of(waiting.look_in_time().text)
    assert not waiting.box.authorization.recorded("discovery")


def test_another_account_has_to_be_allowed(
    box: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another account than the one that authorized before is refused, unless that was chosen."""
    connections.change(box.conn_id, extra={"scopes": WITH_IDENTITY})
    sign_in(browser)
    assert "is authorized" in text_of(authorized(browser, box).text)
    before = connections.stored(box.conn_id)
    waiting = Waiting(browser, box, monkeypatch)
    waiting.begin()
    waiting.decide(f"other-{box.login}")
    assert "not the account" in text_of(waiting.look_in_time().text)
    assert connections.stored(box.conn_id) == before
    waiting.begin(other_account="yes")
    waiting.decide(f"other-{box.login}")
    assert "is authorized" in text_of(waiting.look_in_time().text)


def test_mail_provider_without_it(box: Mailbox, browser: TestClient) -> None:
    """Where there is no such grant, the way is not offered, and says why if it is tried anyway."""
    sign_in(browser)
    opened = browser.get(path("/authorize", connection_id=box.conn_id), headers=PERSON)
    found = re.search(r'action="([^"]*/device\?[^"]*)">\s*<input [^>]*value="([^"]*)"', opened.text)
    assert found is not None
    connections.add(
        box.conn_id,
        login=box.login,
        extra={"mail_provider": "google", "client_id": "app", "client_secret": "a-client-secret"},
    )
    opened = browser.get(path("/authorize", connection_id=box.conn_id), headers=PERSON)
    assert "/device?" not in opened.text
    page = browser.post(unescape(found[1]), data={"form_token": found[2]}, headers=PERSON)
    assert page.status_code == 400
    assert "offers no sign-in by device code" in text_of(page.text)


def test_begun_too_often(box: Mailbox, browser: TestClient) -> None:
    """Nobody asks for more than ten codes a minute."""
    sign_in(browser)
    answers = [begin(browser, box.conn_id, way="device") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]


def test_no_secret_gets_out(
    waiting: Waiting, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Device code and tokens stand on no page, in no log and no row; the flow in no log."""
    caplog.set_level("DEBUG")
    shown = [waiting.look_in_time().text, *variables()]
    waiting.decide()
    shown += [waiting.look_in_time().text, connections.everything_in_the_database()]
    logged = caplog.text + "".join(capfd.readouterr())
    for secret in waiting.box.authorization.secrets_issued() - {""}:
        assert not [text for text in (*shown, logged) if secret in text]
    flow = waiting.address.partition("flow=")[2]
    assert flow not in logged
    assert flow not in connections.everything_in_the_database()
