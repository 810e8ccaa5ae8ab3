# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Sign-in with a password: which command carries it, what a refusal means; it stays secret."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace

import pytest

from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    ImapAuthenticationError,
    ImapCapabilityError,
    ImapCommandError,
    ImapProtocolError,
    ImapUnavailableError,
)
from airflow_imap_oauth.imap.password import open_session_with_password
from airflow_imap_oauth.imap.sasl import plain_response
from tests.imap.accounts import Account
from tests.imap.mails import note
from tests.servers.dovecot_config import PASSWORD
from tests.servers.embedded_imap import CAPABILITIES, EmbeddedImapServer
from tests.servers.http_proxy import ForwardProxy

STEP = "IMAP sign-in"
CANARY = "canary-4c1e-Geheimnis"
NO_SASL_IR = tuple(name for name in CAPABILITIES if name != "SASL-IR")


@pytest.fixture(autouse=True)
def _no_password_in_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Look for the passwords in what was logged at the most talkative level."""
    yield
    logged = "\n".join(f"{one.getMessage()}{one.args}" for one in caplog.get_records("call"))
    assert not _pieces_in(logged, CANARY, PASSWORD)


def _pieces_in(text: str, *passwords: str) -> list[str]:
    """Return the pieces of passwords, bare or in base64, that a text holds."""
    forms = [
        form
        for password in passwords
        for form in (password, base64.b64encode(b"\0" + password.encode()).decode()[4:-4])
    ]
    return [form for form in forms for at in range(len(form) - 7) if form[at : at + 8] in text]


@pytest.fixture
def allowing(
    scripted: Account, embedded_imap: EmbeddedImapServer, monkeypatch: pytest.MonkeyPatch
) -> Account:
    """Give an account whose server takes the canary, by LOGIN and PLAIN."""
    monkeypatch.setattr(embedded_imap, "passwords", {scripted.login: CANARY}, raising=False)
    embedded_imap.mechanisms = ("XOAUTH2", "PLAIN")
    return scripted


def _sent(server: EmbeddedImapServer) -> list[str]:
    return [line.split(" ", 1)[1] for line in server.commands]


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_a_good_password_opens_its_mailbox(
    account: Account, monkeypatch: pytest.MonkeyPatch, tls: str
) -> None:
    """Both ways to TLS lead to the same session as a token."""
    if isinstance(account.server, EmbeddedImapServer):
        passwords = {account.login: PASSWORD}
        monkeypatch.setattr(account.server, "passwords", passwords, raising=False)
    account.deliver(note())
    port = account.server.port if tls == "implicit" else account.server.starttls_port
    session = open_session_with_password(replace(account.settings, tls=tls, port=port), PASSWORD)
    session.examine("INBOX")
    assert session.search() == [1]
    assert "UIDPLUS" in session.capabilities
    session.close()


def test_a_wrong_password(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hint speaks of the password; neither message nor repr shows it."""
    if isinstance(account.server, EmbeddedImapServer):
        passwords = {account.login: PASSWORD}
        monkeypatch.setattr(account.server, "passwords", passwords, raising=False)
    with account.fails(ImapAuthenticationError, STEP) as caught:
        open_session_with_password(account.settings, CANARY)
    error = caught.value
    assert error.response_code == "AUTHENTICATIONFAILED"
    assert "password" in error.hint
    assert "scope" not in error.hint
    assert not error.retry_helps
    assert not _pieces_in(f"{error}{error!r}{vars(error)}", CANARY)


def test_plain_travels_with_the_command(
    allowing: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """PLAIN is used where offered; the session costs the round trips of one with a token."""
    open_session_with_password(allowing.settings, CANARY)
    assert _sent(embedded_imap) == ["CAPABILITY", "AUTHENTICATE PLAIN <redacted>", 'LIST "" ""']


def test_plain_waits_for_the_go_ahead(allowing: Account, embedded_imap: EmbeddedImapServer) -> None:
    """Without SASL-IR the response follows on demand."""
    embedded_imap.capabilities = NO_SASL_IR
    open_session_with_password(allowing.settings, CANARY).close()
    assert "AUTHENTICATE PLAIN" in _sent(embedded_imap)


@pytest.mark.parametrize("capabilities", [CAPABILITIES, ("IMAP4rev1",)])
@pytest.mark.parametrize(
    ("user", "password", "sent"),
    [
        ("ann", 'a "b\\', 'LOGIN "ann" "a \\"b\\\\"'),
        ("ann", "käse", 'LOGIN "ann" {5$}\r\nkäse'),
        ("änn", "käse", "LOGIN {4$}\r\nänn {5$}\r\nkäse"),
    ],
)
def test_login_where_plain_is_not_offered(
    scripted: Account,
    embedded_imap: EmbeddedImapServer,
    monkeypatch: pytest.MonkeyPatch,
    capabilities: tuple[str, ...],
    user: str,
    password: str,
    sent: str,
) -> None:
    """LOGIN quotes ASCII and sends the rest as literals, with or without LITERAL+."""
    monkeypatch.setattr(embedded_imap, "passwords", {user: password}, raising=False)
    embedded_imap.capabilities = capabilities
    embedded_imap.mechanisms = ("XOAUTH2",)
    session = open_session_with_password(replace(scripted.settings, user=user), password)
    assert "IMAP4REV1" in session.capabilities
    session.close()
    plus = "+" if "LITERAL+" in capabilities else ""
    assert sent.replace("$", plus) in _sent(embedded_imap)


@pytest.mark.parametrize("offered", [CAPABILITIES, NO_SASL_IR])
def test_plain_takes_any_text(
    allowing: Account,
    embedded_imap: EmbeddedImapServer,
    monkeypatch: pytest.MonkeyPatch,
    offered: tuple[str, ...],
) -> None:
    """User names and passwords are sent as UTF-8."""
    passwords = {"jürgen@例え.test": 'pä"ß\\ wörd'}
    monkeypatch.setattr(embedded_imap, "passwords", passwords)
    embedded_imap.capabilities = offered
    settings = replace(allowing.settings, user="jürgen@例え.test")
    open_session_with_password(settings, 'pä"ß\\ wörd').close()


def test_no_password_is_sent_where_none_is_taken(
    scripted: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """LOGINDISABLED without PLAIN ends the sign-in before it begins."""
    with scripted.fails(ImapCapabilityError, STEP) as caught:
        open_session_with_password(scripted.settings, CANARY)
    assert "takes no passwords (it offers: OAUTHBEARER, XOAUTH2)" in caught.value.message
    assert caught.value.hint
    assert embedded_imap.command_names == ["CAPABILITY", "LOGOUT"]


@pytest.mark.parametrize("mechanisms", [("PLAIN",), ("XOAUTH2",)])
@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        ("NO wrong", ImapAuthenticationError, "app password"),
        ("NO [EXPIRED] old", ImapAuthenticationError, "password expired"),
        ("NO [CONTACTADMIN] locked", ImapAuthenticationError, "administrator"),
        ("NO [UNAVAILABLE] later", ImapUnavailableError, "credentials are not at fault"),
        ("BAD what?", ImapCommandError, "BAD what?"),
    ],
)
def test_refusals(
    allowing: Account,
    embedded_imap: EmbeddedImapServer,
    mechanisms: tuple[str, ...],
    status: str,
    kind: type[ImapCommandError],
    told: str,
) -> None:
    """The response code decides what to do next, whichever command was used."""
    embedded_imap.mechanisms = mechanisms
    embedded_imap.script("AUTHENTICATE" if "PLAIN" in mechanisms else "LOGIN", status=status)
    with allowing.fails(kind, STEP) as caught:
        open_session_with_password(allowing.settings, CANARY)
    assert told in str(caught.value)
    assert embedded_imap.command_names[-1] == "LOGOUT"


def test_exchange_takes_its_ok_back(allowing: Account, embedded_imap: EmbeddedImapServer) -> None:
    """A sign-in that opened no mailbox is found out at once."""
    embedded_imap.script("LIST", status="BAD User is authenticated but not connected.")
    with allowing.fails(ImapAuthenticationError, STEP) as caught:
        open_session_with_password(allowing.settings, CANARY)
    assert "no access to this mailbox" in caught.value.hint


def test_a_server_that_asks_for_more_is_cancelled(
    allowing: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """PLAIN is one response; it is not repeated."""
    embedded_imap.script("AUTHENTICATE", answer=b"+ \r\n" * 50)
    with allowing.fails(ImapProtocolError, STEP):
        open_session_with_password(allowing.settings, CANARY)
    assert not [line for line in embedded_imap.commands if CANARY in line]


@pytest.mark.parametrize("mechanisms", [("PLAIN",), ("XOAUTH2",)])
@pytest.mark.parametrize("password", [CANARY, 'sh"ort-ä'])
@pytest.mark.parametrize("form", ["bare", "quoted", "base64", "response"])
@pytest.mark.parametrize("place", ["text", "alert", "code", "after", "farewell"])
def test_a_server_that_repeats_the_password(
    allowing: Account,
    embedded_imap: EmbeddedImapServer,
    caplog: pytest.LogCaptureFixture,
    mechanisms: tuple[str, ...],
    password: str,
    form: str,
    place: str,
) -> None:
    """What the server echoes reaches neither message nor log, wherever it stands."""
    embedded_imap.mechanisms = mechanisms
    response = plain_response(user=allowing.login, password=password)
    echo = {
        "bare": password,
        "quoted": password.replace('"', '\\"'),
        "base64": base64.b64encode(password.encode()).decode(),
        "response": base64.b64encode(response).decode(),
    }[form]
    answer = {
        "text": f"{{tag}} NO [AUTHENTICATIONFAILED] {echo}\r\n",
        "alert": f"* OK [ALERT] {echo}\r\n{{tag}} NO refused\r\n",
        "code": f"{{tag}} NO [{echo}] refused\r\n",
        "after": "{tag} OK\r\n",
        "farewell": f"* BYE [UNAVAILABLE] {echo}\r\n",
    }[place]
    command = "AUTHENTICATE" if "PLAIN" in mechanisms else "LOGIN"
    # A literal has to be asked for, which a scripted answer does not.
    embedded_imap.script(command, answer=answer.encode())
    embedded_imap.script("LIST", status=f"NO {echo}")
    kind = ImapUnavailableError if place == "farewell" else ImapAuthenticationError
    with allowing.fails(kind, STEP) as caught:
        open_session_with_password(allowing.settings, password)
    assert echo not in f"{caught.value}{vars(caught.value)}{caplog.text}"
    assert echo[:16] not in f"{caught.value}{vars(caught.value)}{caplog.text}"


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("", CANARY),
        ("a\0b", CANARY),
        ("a\r\nb", CANARY),
        ("a", ""),
        ("a", f"{CANARY}\0"),
        ("a", f"{CANARY}\n"),
        ("a", f"{CANARY}\ud800"),
    ],
)
def test_what_cannot_be_sent(
    allowing: Account, embedded_imap: EmbeddedImapServer, user: str, password: str
) -> None:
    """It is refused before a byte of the sign-in, and not shown."""
    with allowing.fails(ConfigurationError, STEP) as caught:
        open_session_with_password(replace(allowing.settings, user=user), password)
    assert not _pieces_in(f"{caught.value!r}{vars(caught.value)}", CANARY)
    assert embedded_imap.command_names in ([], ["LOGOUT"], ["CAPABILITY", "LOGOUT"])


def test_a_greeting_that_claims_a_sign_in(
    allowing: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """PREAUTH is somebody else's mailbox: no password is sent."""
    embedded_imap.script("GREETING", answer=b"* PREAUTH [CAPABILITY IMAP4rev1] welcome\r\n")
    with allowing.fails(ImapProtocolError, STEP):
        open_session_with_password(allowing.settings, CANARY)
    assert "LOGIN" not in embedded_imap.command_names


def test_a_password_through_a_proxy(allowing: Account) -> None:
    """The way to the server is the same as for tokens."""
    with ForwardProxy("socks5") as proxy:
        settings = replace(allowing.settings, proxy_url=proxy.url)
        open_session_with_password(settings, CANARY).close()
        assert proxy.connections == 1
