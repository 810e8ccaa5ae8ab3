# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Sign-in with an access token: what is sent, and what is made of a refusal."""

from __future__ import annotations

import base64
import json
import logging

import pytest

from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    ImapAuthenticationError,
    ImapCapabilityError,
    ImapCommandError,
    ImapProtocolError,
    ImapUnavailableError,
)
from airflow_imap_oauth.imap.sasl import initial_response
from airflow_imap_oauth.imap.session import probe
from airflow_imap_oauth.oauth.profiles import SaslMechanism
from tests.imap.accounts import Account
from tests.servers.embedded_imap import EmbeddedImapServer

MECHANISMS: tuple[SaslMechanism, ...] = ("xoauth2", "oauthbearer")
STEP = "IMAP sign-in"
STATUS = {"xoauth2": "401", "oauthbearer": "invalid_token"}
CLOSING = {"xoauth2": "", "oauthbearer": "AQ=="}


def _sign_ins(server: EmbeddedImapServer) -> list[str]:
    return [line.split(" ", 1)[1] for line in server.commands if "AUTHENTICATE" in line]


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_a_good_token_opens_its_mailbox(
    account: Account, mechanism: SaslMechanism, tls: str
) -> None:
    """Both mechanisms work over both ways to TLS."""
    port = account.server.port if tls == "implicit" else account.server.starttls_port
    with account.session("INBOX", sasl_mechanism=mechanism, tls=tls, port=port) as session:
        assert session.search() == []
        assert "IMAP4REV1" in session.capabilities
        assert "STARTTLS" not in session.capabilities


@pytest.mark.parametrize(
    ("offered", "wanted", "used"),
    [
        (("XOAUTH2", "OAUTHBEARER"), None, "OAUTHBEARER"),
        (("XOAUTH2",), None, "XOAUTH2"),
        (("OAUTHBEARER",), None, "OAUTHBEARER"),
        (("XOAUTH2", "OAUTHBEARER"), "xoauth2", "XOAUTH2"),
    ],
)
def test_the_mechanism_that_is_used(
    scripted: Account,
    embedded_imap: EmbeddedImapServer,
    offered: tuple[str, ...],
    wanted: SaslMechanism | None,
    used: str,
) -> None:
    """The one that is configured, else OAUTHBEARER where offered, else XOAUTH2."""
    embedded_imap.mechanisms = offered
    assert probe(scripted.settings) == "OAUTHBEARER" if "OAUTHBEARER" in offered else "XOAUTH2"
    with scripted.session(sasl_mechanism=wanted):
        assert _sign_ins(embedded_imap) == [f"AUTHENTICATE {used} <redacted>"]


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_without_sasl_ir_the_token_waits_for_the_go_ahead(
    scripted: Account, embedded_imap: EmbeddedImapServer, mechanism: SaslMechanism
) -> None:
    """Where the server does not take the token with the command, it follows on demand."""
    embedded_imap.capabilities = ("IMAP4rev1",)
    with scripted.session("INBOX", sasl_mechanism=mechanism):
        assert _sign_ins(embedded_imap) == [f"AUTHENTICATE {mechanism.upper()}"]


def test_a_long_token_waits_for_the_go_ahead(
    scripted: Account, embedded_imap: EmbeddedImapServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that may not fit the server's command line is sent on demand."""
    monkeypatch.setattr(embedded_imap, "token_check", lambda _token: scripted.login)
    scripted.open("t" * 5000).close()
    scripted.open("t" * 9000).close()
    assert [line.endswith("<redacted>") for line in _sign_ins(embedded_imap)] == [True, False]


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_refused_token(account: Account, mechanism: SaslMechanism) -> None:
    """The server's reason is kept: JSON status, response code, and both in the message."""
    expired = account.token(lifetime_seconds=-1)
    with account.fails(ImapAuthenticationError, STEP) as caught:
        account.open(expired, sasl_mechanism=mechanism)
    error = caught.value
    assert error.challenge is not None
    assert error.challenge["status"] == STATUS[mechanism]
    assert error.response_code == "AUTHENTICATIONFAILED"
    assert f"status: {STATUS[mechanism]}" in str(error)
    assert mechanism.upper() in str(error)
    assert error.hint
    assert not error.retry_helps


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("capabilities", [("IMAP4rev1", "SASL-IR"), ("IMAP4rev1",)])
def test_rfc7628_3_2_3_error_challenge_is_answered(
    scripted: Account,
    embedded_imap: EmbeddedImapServer,
    mechanism: SaslMechanism,
    capabilities: tuple[str, ...],
) -> None:
    """An empty line or a lone separator, never the token again; then LOGOUT."""
    embedded_imap.capabilities = capabilities
    with scripted.fails(ImapAuthenticationError, STEP):
        scripted.open(scripted.token(lifetime_seconds=-1), sasl_mechanism=mechanism)
    assert embedded_imap.challenge_answers == [CLOSING[mechanism]]
    assert embedded_imap.command_names[-2:] == ["AUTHENTICATE", "LOGOUT"]


def test_a_token_of_another_account(account: Account) -> None:
    """A good token does not open a mailbox that is not its own."""
    with account.fails(ImapAuthenticationError, STEP):
        account.open(user=f"not-{account.login}")


def test_unavailable_is_transient(account: Account) -> None:
    """Where the server cannot look the token up, waiting helps, and nobody blames the token."""
    account.authorization.fail_next("introspection", "html", times=5)
    with account.fails(ImapUnavailableError, STEP) as caught:
        account.open()
    assert caught.value.retry_helps
    assert "UNAVAILABLE" in str(caught.value)


@pytest.mark.parametrize("mechanism", [None, *MECHANISMS])
def test_no_mechanism_for_tokens(
    scripted: Account, embedded_imap: EmbeddedImapServer, mechanism: SaslMechanism | None
) -> None:
    """What the server offers instead is named, and no token leaves."""
    embedded_imap.mechanisms = ("PLAIN", "LOGIN")
    with scripted.fails(ImapCapabilityError, STEP) as caught:
        scripted.open(sasl_mechanism=mechanism)
    assert "LOGIN, PLAIN" in str(caught.value)
    assert _sign_ins(embedded_imap) == []


def test_the_mechanism_that_was_wanted_is_not_replaced(
    scripted: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """A configured mechanism is used or missing, never another one."""
    embedded_imap.mechanisms = ("XOAUTH2",)
    with scripted.fails(ImapCapabilityError, STEP):
        scripted.open(sasl_mechanism="oauthbearer")
    assert _sign_ins(embedded_imap) == []


def test_exchange_takes_its_ok_back(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """A sign-in that opened no mailbox is found out at once, with advice of its own."""
    embedded_imap.script("LIST", status="BAD User is authenticated but not connected.")
    with scripted.fails(ImapAuthenticationError, STEP) as caught:
        scripted.open()
    assert "no access to this mailbox" in caught.value.hint


def test_a_sign_in_that_the_server_does_not_understand(
    scripted: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """BAD without a challenge is not the token's fault."""
    embedded_imap.script("AUTHENTICATE", status="BAD what?")
    with scripted.fails(ImapCommandError, STEP) as caught:
        scripted.open()
    assert "BAD what?" in str(caught.value)


def test_a_greeting_that_claims_a_sign_in(
    scripted: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """PREAUTH is somebody else's mailbox: nothing is read from it."""
    embedded_imap.script("GREETING", answer=b"* PREAUTH [CAPABILITY IMAP4rev1] welcome\r\n")
    with scripted.fails(ImapProtocolError, STEP):
        scripted.open()
    assert _sign_ins(embedded_imap) == []


def test_a_sign_in_without_end(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """A server that challenges for ever is given up."""
    embedded_imap.script("AUTHENTICATE", answer=b"+ \r\n" * 50)
    with scripted.fails(ImapProtocolError, STEP):
        scripted.open()


@pytest.mark.parametrize("form", ["token", "response"])
@pytest.mark.parametrize("place", ["text", "alert", "challenge", "log", "after", "code"])
def test_a_server_that_repeats_the_token(
    scripted: Account,
    embedded_imap: EmbeddedImapServer,
    caplog: pytest.LogCaptureFixture,
    place: str,
    form: str,
) -> None:
    """What the server echoes reaches neither message nor log, wherever it stands."""
    token = scripted.token(lifetime_seconds=-1)
    settings = scripted.settings
    raw = initial_response(
        "xoauth2",
        user=scripted.login,
        access_token=token,
        host=settings.host,
        port=settings.port,
    )
    echo = token if form == "token" else base64.b64encode(raw).decode()
    challenge = base64.b64encode(json.dumps({"status": "400", "scope": echo}).encode()).decode()
    answer = {
        "text": f"{{tag}} NO [AUTHENTICATIONFAILED] {echo}\r\n",
        "code": f"{{tag}} NO [{echo}] refused\r\n",
        "after": "{tag} OK\r\n",
        "alert": f"{{tag}} NO [ALERT] {echo}\r\n",
        "challenge": f"+ {challenge}\r\n{{tag}} NO refused\r\n",
        "log": f"* OK [ALERT] {echo}\r\n{{tag}} NO refused\r\n",
    }[place]
    embedded_imap.script("AUTHENTICATE", answer=answer.encode())
    embedded_imap.script("LIST", status=f"NO [AUTHENTICATIONFAILED] {echo}")
    with scripted.fails(ImapAuthenticationError, STEP) as caught:
        scripted.open(token, sasl_mechanism="xoauth2")
    assert caught.value.response_code == (
        {"text": "AUTHENTICATIONFAILED", "after": "AUTHENTICATIONFAILED", "alert": "ALERT"}.get(
            place
        )
    )
    assert caught.value.challenge == ({"status": "400"} if place == "challenge" else None)
    assert echo[:16] not in f"{caught.value}{caplog.text}"


def test_a_farewell_that_repeats_the_token(
    scripted: Account, embedded_imap: EmbeddedImapServer
) -> None:
    """Nor does the last word of a server that hangs up."""
    token = scripted.token()
    embedded_imap.script("AUTHENTICATE", answer=f"* BYE [UNAVAILABLE] {token}\r\n".encode())
    with scripted.fails(ImapUnavailableError, STEP):
        scripted.open(token)


def test_an_alert_is_shown(
    scripted: Account, embedded_imap: EmbeddedImapServer, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 3501 section 7.1: what stands behind ALERT is for the user."""
    embedded_imap.script("LIST", before=b"* OK [ALERT] Maintenance\x1b at noon\r\n")
    with scripted.session():
        pass
    (record,) = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert record.getMessage().endswith("[ALERT] Maintenance at noon")


@pytest.mark.parametrize("changes", [{"user": "a\x01b"}, {"user": "a\r\nb"}, {"user": ""}])
def test_a_user_that_would_break_out(
    scripted: Account, embedded_imap: EmbeddedImapServer, changes: dict[str, str]
) -> None:
    """It is refused before a byte of the sign-in is sent."""
    with scripted.fails(ConfigurationError, STEP):
        scripted.open(**changes)
    assert _sign_ins(embedded_imap) == []


def test_round_trips_of_a_sign_in(scripted: Account, embedded_imap: EmbeddedImapServer) -> None:
    """Behind the greeting it costs the sign-in and its proof; capabilities were told."""
    with scripted.session() as session:
        assert "IDLE" in session.capabilities
        assert embedded_imap.command_names == ["CAPABILITY", "AUTHENTICATE", "LIST"]
