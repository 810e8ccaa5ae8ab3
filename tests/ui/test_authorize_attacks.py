# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What others may try while somebody authorizes a connection in the browser."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_imap_oauth.admin import pending
from airflow_imap_oauth.ui.protection import BROWSER_COOKIE
from tests.hooks import connections
from tests.ui.authorizing import (
    BASE_URL,
    UNKNOWN,
    another_browser,
    authorized,
    begin,
    box,
    consented,
    forms,
    is_untouched,
    leaving,
    own_address,
)
from tests.ui.browsing import PERSON, path, sign_in, text_of

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from tests.hooks.mailboxes import Mailbox

__all__ = ["box", "own_address"]
pytestmark = pytest.mark.usefixtures("own_address")


def test_replayed_callback(box: Mailbox, browser: TestClient) -> None:
    """An answer counts once: the second time nobody is asked."""
    sign_in(browser)
    arrived = consented(box, begin(browser, box.conn_id))
    assert browser.get(arrived).status_code == 200
    requests = box.authorization.token_requests
    assert UNKNOWN in text_of(browser.get(arrived, headers=PERSON).text)
    assert box.authorization.token_requests == requests


def test_callback_of_another_user(box: Mailbox, browser: TestClient) -> None:
    """An answer that was stolen is of no use to another user, and still good for the true one."""
    name = sign_in(browser)
    arrived = consented(box, begin(browser, box.conn_id))
    cookies = dict(browser.cookies)
    own = browser.cookies[BROWSER_COOKIE]
    another_browser(browser, "mallory")
    browser.cookies.set(BROWSER_COOKIE, own)
    assert UNKNOWN in text_of(browser.get(arrived, headers=PERSON).text)
    assert is_untouched(box)
    another_browser(browser, name)
    browser.cookies.set(BROWSER_COOKIE, cookies[BROWSER_COOKIE])
    assert "is authorized" in text_of(browser.get(arrived, headers=PERSON).text)


def test_callback_in_another_browser(box: Mailbox, browser: TestClient) -> None:
    """An answer lured into another browser of the same user (login CSRF) is refused."""
    name = sign_in(browser)
    arrived = consented(box, begin(browser, box.conn_id))
    another_browser(browser, name)
    assert UNKNOWN in text_of(browser.get(arrived, headers=PERSON).text)
    assert is_untouched(box)
    assert box.authorization.token_requests == 0


def test_two_servers_race_for_one_callback(box: Mailbox, browser: TestClient) -> None:
    """However many processes get the same answer, the code is exchanged once."""
    sign_in(browser)
    arrived = consented(box, begin(browser, box.conn_id))
    together = threading.Barrier(4)
    told: list[str] = []

    def arrive() -> None:
        together.wait(10)
        told.append(text_of(browser.get(arrived, headers=PERSON).text))

    racers = [threading.Thread(target=arrive) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(30)
    assert sum("is authorized" in text for text in told) == 1
    assert box.authorization.token_requests == 1


def test_late_callback(box: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """After ten minutes an answer comes too late, and nobody is asked."""
    sign_in(browser)
    arrived = consented(box, begin(browser, box.conn_id))
    later = pending.utc_now() + timedelta(minutes=10, seconds=1)
    monkeypatch.setattr(pending, "utc_now", lambda: later)
    assert "took too long" in text_of(browser.get(arrived, headers=PERSON).text)
    assert box.authorization.token_requests == 0


@pytest.mark.parametrize(
    "query", ["", "code=x", "code=x&state=guess", "state=%00", "state=" + "x" * 9000]
)
def test_guessed_callback(box: Mailbox, browser: TestClient, query: str) -> None:
    """An answer to no sign-in is refused, whatever it holds."""
    sign_in(browser)
    page = browser.get(f"/imap-oauth/callback?{query}", headers=PERSON)
    assert page.status_code == 400
    assert box.authorization.token_requests == 0


def test_answer_of_another_server(box: Mailbox, browser: TestClient) -> None:
    """An answer that names another issuer (mix-up, RFC 9207) sends the code nowhere."""
    sign_in(browser)
    arrived = consented(box, begin(browser, box.conn_id))
    query = parse_qs(urlsplit(arrived).query)
    forged = arrived.replace(
        query["iss"][0].replace(":", "%3A").replace("/", "%2F"), "https%3A%2F%2Fevil.test"
    )
    assert forged != arrived
    assert "another issuer" in text_of(browser.get(forged, headers=PERSON).text)
    assert box.authorization.token_requests == 0


def test_viewer_cannot_begin(box: Mailbox, browser: TestClient) -> None:
    """Who may not change a connection can neither open the page nor send its form."""
    sign_in(browser)
    opened = browser.get(path("/authorize", connection_id=box.conn_id))
    action, hidden = forms(opened.text)[0]
    for role in ("VIEWER", "USER"):
        sign_in(browser, role)
        assert browser.get(path("/authorize", connection_id=box.conn_id)).status_code == 403
        assert browser.post(action, data=hidden).status_code == 403


@pytest.mark.parametrize("page", ["/authorize", "/device", "/paste"])
@pytest.mark.parametrize("role", ["OP", "ADMIN"])
def test_forged_form(box: Mailbox, browser: TestClient, page: str, role: str) -> None:
    """A form of another site begins nothing and finishes nothing."""
    sign_in(browser, role)
    address = path(page, connection_id=box.conn_id)
    assert browser.post(address, data={"address": "?state=x"}).status_code == 403
    opened = browser.get(path("/authorize", connection_id=box.conn_id))
    fields = next(
        fields for action, fields in forms(opened.text) if f"{page}?" in action or page == "/paste"
    )
    headers = {"Origin": "https://evil.test"}
    assert browser.post(address, data=fields, headers=headers).status_code == 403
    assert box.authorization.token_requests == 0


@pytest.mark.parametrize(
    "page", ["/authorize?connection_id=x", "/callback?state=x", "/device?flow=x"]
)
def test_nobody_is_asked_to_sign_in_first(browser: TestClient, page: str) -> None:
    """Who is not signed in to Airflow is sent there, without the answer of an authorization."""
    answer = browser.get(f"/imap-oauth{page}", headers=PERSON)
    assert answer.status_code == 303
    assert "state" not in answer.headers["location"]


def test_permission_withdrawn_meanwhile(box: Mailbox, browser: TestClient) -> None:
    """Who may no longer change the connection when the browser comes back changes nothing."""
    name = sign_in(browser)
    arrived = consented(box, begin(browser, box.conn_id))
    sign_in(browser, "VIEWER", name)
    assert browser.get(arrived).status_code == 403
    assert is_untouched(box)


@pytest.mark.parametrize(
    "change", [{"issuer": "https://localhost:1"}, {"client_id": "another"}, {"ca_file": "/x.pem"}]
)
def test_connection_changed_meanwhile(
    box: Mailbox, browser: TestClient, change: dict[str, str]
) -> None:
    """What somebody points elsewhere during a sign-in gets neither code nor secret."""
    sign_in(browser)
    arrived = consented(box, begin(browser, box.conn_id))
    connections.change(box.conn_id, extra=change)
    assert "changed while you signed in" in text_of(browser.get(arrived, headers=PERSON).text)
    assert box.authorization.token_requests == 0


def test_refusal_with_markup_is_shown_as_text(box: Mailbox, browser: TestClient) -> None:
    """What a server says for itself cannot become part of the page."""
    sign_in(browser)
    state = parse_qs(urlsplit(leaving(begin(browser, box.conn_id))).query)["state"][0]
    page = browser.get(
        f"/imap-oauth/callback?state={state}&error=%3Cscript%3E&error_description=%3Cscript%3E"
        f"&iss={box.authorization.issuer}",
        headers=PERSON,
    )
    assert page.status_code == 400
    assert "<script" not in page.text
    assert is_untouched(box)


def test_denial_is_told(box: Mailbox, browser: TestClient) -> None:
    """Who does not consent sees that nothing was saved, and how to go on."""
    sign_in(browser)
    answer = begin(browser, box.conn_id)
    arrived = box.authorization.consent(leaving(answer), box.login, allow=False)
    page = browser.get(arrived.removeprefix(BASE_URL), headers=PERSON)
    assert "did not consent" in text_of(page.text)
    assert is_untouched(box)


def test_begun_too_often(box: Mailbox, browser: TestClient) -> None:
    """Nobody begins more than ten sign-ins a minute."""
    sign_in(browser)
    answers = [begin(browser, box.conn_id) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0


def test_what_nobody_came_back_for_is_swept(
    box: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sign-ins that were given up leave no rows behind."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    def keys() -> list[str]:
        with create_session() as session:
            found = session.scalars(select(Variable.key)).all()
        return [key for key in found if key.startswith("imap_oauth_authorization__")]

    sign_in(browser)
    before = keys()
    begin(browser, box.conn_id)
    (given_up,) = set(keys()) - set(before)
    later = pending.utc_now() + timedelta(minutes=11)
    monkeypatch.setattr(pending, "utc_now", lambda: later)
    begin(browser, box.conn_id)
    assert given_up not in keys()


@pytest.mark.parametrize("end", ["", "x", "\u00b2", "9" * 100, "\u0661\u0662"])
def test_variable_that_only_looks_like_one(box: Mailbox, browser: TestClient, end: str) -> None:
    """What somebody has put among the Variables by hand stops no sign-in, and is swept."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    key = f"imap_oauth_authorization__{end}"
    with create_session() as session:
        session.add(Variable(key=key, val="by hand"))  # type: ignore[no-untyped-call]
    sign_in(browser)
    assert "is authorized" in text_of(authorized(browser, box).text)
    with create_session() as session:
        assert session.scalar(select(Variable.key).where(Variable.key == key)) is None


def test_audit_log_says_who(box: Mailbox, browser: TestClient) -> None:
    """That somebody authorized, and which connection, stands in Airflow's audit log."""
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    name = sign_in(browser)
    authorized(browser, box)
    with create_session() as session:
        query = select(Log).where(Log.event == "imap_oauth.authorized").order_by(Log.id.desc())
        entry = session.scalars(query).first()
        assert entry is not None
        assert entry.owner == name
        assert json.loads(entry.extra)["connection"] == box.conn_id


def test_no_secret_gets_out(
    box: Mailbox, browser: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither pages nor logs nor Variables nor audit rows hold a code, a verifier or a token."""
    from airflow.models.log import Log
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    caplog.set_level("DEBUG", logger="airflow_imap_oauth")
    sign_in(browser)
    answer = begin(browser, box.conn_id)
    with create_session() as session:
        waiting = [row.get_val() or "" for row in session.scalars(select(Variable)).all()]
    arrived = consented(box, answer)
    page = browser.get(arrived, headers=PERSON)
    with create_session() as session:
        stored = [row.get_val() or "" for row in session.scalars(select(Variable)).all()]
        audit = [str(row.extra) for row in session.scalars(select(Log)).all()]
    shown = [page.text, caplog.text, *waiting, *stored, *audit]
    query = parse_qs(urlsplit(arrived).query)
    canaries = {*box.authorization.secrets_issued(), query["code"][0], query["state"][0]}
    assert [canary for canary in canaries if any(canary in text for text in shown)] == []


def test_cookie_of_the_browser(
    box: Mailbox, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is out of reach of scripts and other sites, and with https goes over nothing else."""
    sign_in(browser)
    plain = browser.get(path("/authorize", connection_id=box.conn_id)).headers["set-cookie"]
    assert "HttpOnly" in plain
    assert "SameSite=lax" in plain
    assert "Secure" not in plain
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.test/team/a")
    browser.cookies.delete(BROWSER_COOKIE)
    secure = browser.get(path("/authorize", connection_id=box.conn_id)).headers["set-cookie"]
    assert "Secure" in secure
    assert "Path=/team/a/imap-oauth" in secure
