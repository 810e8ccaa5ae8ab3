# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Dovecot and the embedded server do alike what the tests of the package rely on."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime, timezone

import pytest

from tests.mailbox import WELL_FORMED
from tests.servers.authorization_server import AuthorizationServer
from tests.servers.certificates import CertificateAuthority
from tests.servers.imap_clients import SASL_RESPONSES, LineClient, signed_in
from tests.servers.mail_server import MailServer

RAW = WELL_FORMED[0].raw
NewLogin = Callable[[], str]


@pytest.fixture
def login(imap_login: NewLogin) -> str:
    """Give a new account."""
    return imap_login()


@pytest.fixture
def token(authorization_server: AuthorizationServer, login: str) -> str:
    """Give an access token of that account."""
    return authorization_server.mint_access_token(login)


@pytest.mark.parametrize("mechanism", SASL_RESPONSES)
def test_signs_in_over_implicit_tls(
    mail_server: MailServer, ca: CertificateAuthority, login: str, token: str, mechanism: str
) -> None:
    """A valid token opens its account over implicit TLS."""
    with LineClient(mail_server, ca) as client:
        assert f"AUTH={mechanism}".encode() in client.greeting
        assert client.authenticate(mechanism, login, token)[-1].startswith(b"OK")


@pytest.mark.parametrize("mechanism", SASL_RESPONSES)
def test_signs_in_over_starttls(
    mail_server: MailServer, ca: CertificateAuthority, login: str, token: str, mechanism: str
) -> None:
    """A valid token opens its account after STARTTLS."""
    with LineClient(mail_server, ca, tls=False) as client:
        client.start_tls()
        assert client.authenticate(mechanism, login, token)[-1].startswith(b"OK")


def test_refuses_sign_in_in_the_clear(
    embedded_imap: MailServer, ca: CertificateAuthority, login: str, token: str
) -> None:
    """Without TLS no token is accepted; Dovecot takes one from its own machine."""
    with LineClient(embedded_imap, ca, tls=False) as client:
        assert not client.authenticate("XOAUTH2", login, token)[-1].startswith(b"OK")


@pytest.mark.parametrize("mechanism", SASL_RESPONSES)
def test_signs_in_without_initial_response(
    mail_server: MailServer, ca: CertificateAuthority, login: str, token: str, mechanism: str
) -> None:
    """The token may come after the server's empty challenge."""
    with LineClient(mail_server, ca) as client:
        tag = client.begin(f"AUTHENTICATE {mechanism}")
        assert client.read().rstrip() == b"+"
        client.send(SASL_RESPONSES[mechanism](login, token).encode() + b"\r\n")
        assert client.finish(tag)[-1].startswith(b"OK")


def test_user_name_is_compared_without_case(
    mail_server: MailServer, ca: CertificateAuthority, login: str, token: str
) -> None:
    """The SASL user may be written in upper case."""
    with LineClient(mail_server, ca) as client:
        assert client.authenticate("XOAUTH2", login.upper(), token)[-1].startswith(b"OK")


@pytest.mark.parametrize(
    ("mechanism", "status"), [("XOAUTH2", "401"), ("OAUTHBEARER", "invalid_token")]
)
@pytest.mark.parametrize("fault", ["garbage", "expired", "revoked", "of another account"])
def test_rejects_a_token(
    mail_server: MailServer,
    ca: CertificateAuthority,
    authorization_server: AuthorizationServer,
    imap_login: NewLogin,
    fault: str,
    mechanism: str,
    status: str,
) -> None:
    """A bad token gets the JSON challenge of its mechanism, then NO; a good one still works."""
    login = imap_login()
    owner = imap_login() if fault == "of another account" else login
    bad = authorization_server.mint_access_token(
        owner, lifetime_seconds=-1 if fault == "expired" else 60
    )
    if fault == "revoked":
        authorization_server.revoke_all(login)
    with LineClient(mail_server, ca) as client:
        challenge, *_, last = client.authenticate(
            mechanism, login, "garbage" if fault == "garbage" else bad
        )
        assert json.loads(base64.b64decode(challenge[2:]))["status"] == status
        assert last.startswith(b"NO [AUTHENTICATIONFAILED]")
        good = authorization_server.mint_access_token(login)
        assert client.authenticate(mechanism, login, good)[-1].startswith(b"OK")


def test_authorization_server_down_is_no_fault_of_the_token(
    mail_server: MailServer,
    ca: CertificateAuthority,
    authorization_server: AuthorizationServer,
    login: str,
    token: str,
) -> None:
    """When tokens cannot be looked up, the answer is UNAVAILABLE, without a challenge."""
    authorization_server.fail_next("introspection", "html", times=5)
    with LineClient(mail_server, ca) as client:
        answer = client.authenticate("XOAUTH2", login, token)
    assert len(answer) == 1
    assert answer[0].startswith(b"NO [UNAVAILABLE]")


def test_delivers_in_order_with_dates_and_flags(
    mail_server: MailServer, ca: CertificateAuthority, login: str, token: str
) -> None:
    """UIDs are 1, 2, 3 in the order of delivery; dates and flags are those given."""
    moment = datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone.utc)
    flags = ["\\Seen", "\\Flagged"]
    for number in range(1, 4):
        raw = b"Subject: %d\r\n\r\nbody\r\n" % number
        mail_server.deliver(login, raw, internaldate=moment, flags=flags if number == 2 else ())
    with signed_in(mail_server, ca, login, token) as client:
        rows = client.fetch([1, 2, 3], ["BODY.PEEK[HEADER]", "INTERNALDATE", "FLAGS"])
    assert [rows[uid][b"BODY[HEADER]"][9:10] for uid in (1, 2, 3)] == [b"1", b"2", b"3"]
    assert {rows[uid][b"INTERNALDATE"] for uid in rows} == {moment}
    seen = [uid for uid in rows if b"\\Seen" in rows[uid][b"FLAGS"]]
    flagged = [uid for uid in rows if b"\\Flagged" in rows[uid][b"FLAGS"]]
    assert (seen, flagged) == ([2], [2])


@pytest.mark.parametrize(
    "folder", ["Rechnungen", "S\u00fcd/M\u00e4rz & Co", "\u58f2\u4e0a", "a.b", 'q"uote', "sp ace"]
)
def test_folder_names(
    mail_server: MailServer, ca: CertificateAuthority, login: str, token: str, folder: str
) -> None:
    """Folders of any Unicode name are listed and opened."""
    mail_server.deliver(login, RAW, folder=folder)
    with signed_in(mail_server, ca, login, token, folder=folder) as client:
        assert client.search() == [1]
        assert folder in [name for _, _, name in client.list_folders()]
        assert [delimiter for _, delimiter, _ in client.list_folders()] == [b"/"] * len(
            client.list_folders()
        )


def test_missing_folder_is_refused(
    mail_server: MailServer, ca: CertificateAuthority, login: str, token: str
) -> None:
    """Opening a folder that does not exist is answered with NO, not with BAD."""
    with LineClient(mail_server, ca) as client:
        client.authenticate("XOAUTH2", login, token)
        assert client.command("EXAMINE Missing")[-1].startswith(b"NO ")


def test_empty_folder(
    mail_server: MailServer, ca: CertificateAuthority, login: str, token: str
) -> None:
    """A folder can be made without a message in it."""
    mail_server.create_folder(login, "Empty")
    with signed_in(mail_server, ca, login, token, folder="Empty") as client:
        assert client.search() == []


def test_expunge_from_outside(
    mail_server: MailServer, ca: CertificateAuthority, login: str, token: str
) -> None:
    """A message can be removed while somebody looks; the others keep their UIDs."""
    for _ in range(3):
        mail_server.deliver(login, RAW)
    with signed_in(mail_server, ca, login, token) as client:
        mail_server.expunge(login, 2)
        client.noop()
        assert client.search() == [1, 3]


def test_renumber(
    mail_server: MailServer, ca: CertificateAuthority, login: str, token: str
) -> None:
    """A folder can get another UIDVALIDITY, with the same messages from UID 1 on."""
    for number in range(1, 4):
        mail_server.deliver(login, b"Subject: %d\r\n\r\n" % number)
    items = ["UIDVALIDITY", "UIDNEXT", "MESSAGES"]
    with signed_in(mail_server, ca, login, token) as client:
        before = client.folder_status("INBOX", items)
        mail_server.expunge(login, 1)
    mail_server.renumber(login)
    with signed_in(mail_server, ca, login, token) as client:
        after = client.folder_status("INBOX", items)
        first = client.fetch([1], ["BODY.PEEK[HEADER]"])[1][b"BODY[HEADER]"]
    assert after[b"UIDVALIDITY"] > before[b"UIDVALIDITY"]
    assert (before[b"MESSAGES"], before[b"UIDNEXT"]) == (3, 4)
    assert (after[b"MESSAGES"], after[b"UIDNEXT"]) == (2, 3)
    assert first == b"Subject: 2\r\n\r\n"


def test_kick(mail_server: MailServer, ca: CertificateAuthority, login: str, token: str) -> None:
    """The server can end the connections of an account, with BYE to the one that waits."""
    with LineClient(mail_server, ca) as client:
        client.authenticate("XOAUTH2", login, token)
        client.command("EXAMINE INBOX")
        client.begin("IDLE")
        assert client.read().startswith(b"+")
        mail_server.kick(login)
        assert client.read().startswith(b"* BYE")
        assert client.read() == b""


def test_idle_tells_of_new_mail(
    mail_server: MailServer, ca: CertificateAuthority, login: str, token: str
) -> None:
    """Who waits in IDLE is told when a message arrives."""
    mail_server.deliver(login, RAW)
    with LineClient(mail_server, ca) as client:
        client.authenticate("XOAUTH2", login, token)
        client.command("EXAMINE INBOX")
        tag = client.begin("IDLE")
        assert client.read().startswith(b"+")
        mail_server.deliver(login, RAW)
        while (line := client.read()) != b"* 2 EXISTS":
            assert line.startswith(b"* ")
        client.send(b"DONE\r\n")
        assert client.finish(tag)[-1].startswith(b"OK")


def test_examine_leaves_everything_as_it_is(
    mail_server: MailServer, ca: CertificateAuthority, login: str, token: str
) -> None:
    """Reading a whole message in a folder opened by EXAMINE sets no flag."""
    mail_server.deliver(login, RAW)
    with signed_in(mail_server, ca, login, token) as client:
        assert client.fetch([1], ["BODY[]"])[1][b"BODY[]"] == RAW
        assert b"\\Seen" not in client.fetch([1], ["FLAGS"])[1][b"FLAGS"]


def test_select_and_body_set_seen(
    mail_server: MailServer, ca: CertificateAuthority, login: str, token: str
) -> None:
    """Reading BODY[] in a folder opened by SELECT sets the flag, as the standard wants."""
    mail_server.deliver(login, RAW)
    with LineClient(mail_server, ca) as client:
        client.authenticate("XOAUTH2", login, token)
        client.command("SELECT INBOX")
        client.command("FETCH 1 BODY[]")
        assert b"\\Seen" in client.command("FETCH 1 FLAGS")[0]


def test_the_log_holds_no_token(
    mail_server: MailServer, ca: CertificateAuthority, login: str, token: str
) -> None:
    """What the server logs tells who signed in, never with what."""
    with LineClient(mail_server, ca) as client:
        client.authenticate("XOAUTH2", login, token)
        client.command("LOGOUT")
    log = mail_server.log_text()
    assert token not in log
    assert SASL_RESPONSES["XOAUTH2"](login, token) not in log
