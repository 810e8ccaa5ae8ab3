# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What testing a connection finds out, and that it loses no refresh token."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from airflow_imap_oauth.connection_form import connection_type
from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from airflow_imap_oauth.hooks.verdict import verdict
from tests.hooks import connections

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer
    from tests.servers.embedded_imap import EmbeddedImapServer

BUTTON_ID = "xGHDKaKe"

pytestmark = pytest.mark.usefixtures("airflow_database")


class Stored:
    """A connection in the database, tested under its own id or by Airflow's button."""

    def __init__(
        self,
        server: AuthorizationServer,
        mail: EmbeddedImapServer,
        login: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.server = server
        self.login = login
        self.conn_id = login.partition("@")[0]
        self._monkeypatch = monkeypatch
        self._fields: dict[str, Any] = {
            "login": login,
            "host": mail.host,
            "port": mail.port,
            "password": server.mint_refresh_token(login),
        }
        self._extra = connections.custom(server)
        self.change()

    def change(self, *, extra: dict[str, Any] | None = None, **fields: Any) -> None:
        """Store it with changes."""
        self._fields |= fields
        self._extra |= extra or {}
        connections.add(self.conn_id, extra=self._extra, **self._fields)

    def test(self) -> tuple[bool, str]:
        """Test it under its own id."""
        return ImapOAuthHook(self.conn_id).test_connection()

    def press_button(self) -> tuple[bool, str]:
        """Test it as the API server does: a copy in the environment, under a random id."""
        fields = {**self._fields, "extra": json.dumps(self._extra)}
        self._monkeypatch.setenv(*connections.environment(BUTTON_ID, **fields))
        return ImapOAuthHook(BUTTON_ID.lower()).test_connection()


@pytest.fixture
def stored(
    authorization_server: AuthorizationServer,
    embedded_imap: EmbeddedImapServer,
    imap_login: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stored]:
    """Give a good connection whose refresh token was not used yet."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    made = Stored(authorization_server, embedded_imap, imap_login(), monkeypatch)
    yield made
    connections.remove(made.conn_id)


def test_a_fresh_connection_is_tested_without_spending_its_refresh_token(stored: Stored) -> None:
    """All but the sign-in is tried, and no token request is made."""
    for ok, text in (stored.test(), stored.press_button()):
        assert ok
        assert "sign-in was not tried" in text
        assert len(text) <= 150
    assert stored.server.token_requests == 0


def test_a_living_access_token_signs_in(stored: Stored) -> None:
    """Both ways sign in with the access token that the tasks use."""
    ImapOAuthHook(stored.conn_id).get_access_token()
    for ok, text in (stored.test(), stored.press_button()):
        assert (ok, text) == (True, f"Signed in to localhost as {stored.login}.")
    assert stored.server.token_requests == 1


def test_an_access_token_near_its_end_is_not_renewed(stored: Stored) -> None:
    """A rotating refresh token is not spent where the living access token ends soon."""
    stored.server.access_token_lifetime_seconds = 90
    ImapOAuthHook(stored.conn_id).get_access_token()
    assert stored.press_button()[0]
    assert stored.server.token_requests == 1


def test_the_button_leaves_no_record_of_its_own(stored: Stored) -> None:
    """Nothing is stored under the random id, whatever the mail provider."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    stored.press_button()
    ImapOAuthHook(stored.conn_id).get_access_token()
    stored.press_button()
    with create_session() as session:
        keys = session.scalars(select(Variable.key)).all()
    assert not [key for key in keys if BUTTON_ID.lower() in key.lower()]


@pytest.mark.parametrize(
    ("fields", "extra", "said"),
    [
        ({"password": None}, {}, "refresh token"),
        ({"password": "sealed:v1:00000000:AAAA"}, {}, "sealed"),
        ({"host": "127.0.0.1", "port": 9}, {}, "127.0.0.1"),
        ({}, {"issuer": "https://localhost:9"}, "reach"),
        ({}, {"mail_provider": "no-such"}, "mail provider"),
        ({}, {"ca_file": "/no/such/file.pem"}, "ca_file"),
    ],
)
def test_what_is_wrong_is_said(
    stored: Stored, fields: dict[str, Any], extra: dict[str, Any], said: str
) -> None:
    """A connection that cannot work is not called good, and the sentence names the reason."""
    stored.change(extra=extra, **fields)
    ok, text = stored.press_button()
    assert not ok
    assert said in text
    assert len(text) <= 150


def test_a_dead_refresh_token_is_said(stored: Stored) -> None:
    """Once the mail provider has refused it, the test says that somebody must authorize."""
    stored.server.revoke_all(stored.login)
    with pytest.raises(Exception, match="Authorize again"):
        ImapOAuthHook(stored.conn_id).get_access_token()
    ok, text = stored.press_button()
    assert not ok
    assert "authorize" in text.lower()


def test_a_missing_connection_shows_no_library_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """That there is none is said in our words."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    ok, text = ImapOAuthHook("no_such_connection").test_connection()
    assert not ok
    assert text == (
        "There is no such connection. Add it in Airflow under Admin, Connections, or correct the "
        "id."
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Short.", "Short."),
        (
            f"{'What failed is told in a whole sentence. ':>100}{'Then comes what to do ' * 5}",
            f"{'What failed is told in a whole sentence.':>99}",
        ),
        ("word " * 40, f"{('word ' * 29).rstrip()}…"),
    ],
)
def test_long_verdicts_end_between_sentences_or_words(text: str, shown: str) -> None:
    """What does not fit is cut where a reader would stop, not amid a word."""

    def read(_: str) -> Any:
        raise ConfigurationError(text)

    assert verdict("mail", read) == (False, shown)


def test_an_unexpected_error_is_named_by_its_kind_alone() -> None:
    """What a library says is not shown."""

    def read(_: str) -> Any:
        raise LookupError("words of a library")

    assert verdict("mail", read) == (False, "The connection cannot be read (LookupError).")


@pytest.mark.parametrize("key", connection_type()["conn-fields"])
def test_keys_are_called_what_the_form_calls_them(key: str) -> None:
    """Whoever presses the button sees labels, so the label comes with the key."""

    def read(_: str) -> Any:
        raise ConfigurationError(f"Key '{key}' of extra is not set.")

    label = connection_type()["conn-fields"][key]["label"]
    assert verdict("mail", read) == (False, f"'{label}' ({key}) is not set.")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (None, "There is no such connection."),
        ({"conn_type": "http"}, "is of type 'http'"),
        ({"host": "elsewhere.example.com"}, "to another host or mailbox"),
        ({"password": None}, "lacks host, login or password"),
    ],
    ids=["missing", "type", "host", "password"],
)
def test_an_unfit_fallback_is_said(
    stored: Stored, fields: dict[str, Any] | None, said: str
) -> None:
    """A fallback that could not serve is found by the test, before it is needed."""
    stored.change(extra={"fallback_conn_id": "no_fallback"})
    if fields is not None:
        whole = {"conn_type": "imap", "login": stored.login, "password": "app-password-of-a-test"}
        connections.add("no_fallback", **{**whole, **fields})
    for ok, text in (stored.test(), stored.press_button()):
        assert not ok
        assert text.startswith("Fallback 'no_fallback': ")
        assert said in text
        assert len(text) <= 150
    connections.remove("no_fallback")


def test_a_fit_fallback_is_not_used(stored: Stored) -> None:
    """A fallback in order is said to be complete, and nobody signs in by it."""
    stored.change(extra={"fallback_conn_id": "good_fallback"})
    connections.add(
        "good_fallback", conn_type="imap", login=stored.login, password="app-password-of-a-test"
    )
    ok, text = stored.press_button()
    assert (ok, "settings and fallback are complete" in text) == (True, True), text
    assert len(text) <= 150
    connections.remove("good_fallback")
