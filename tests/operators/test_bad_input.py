# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Bad input: each is told clearly, by hook and operator alike, before any harm is done."""

from __future__ import annotations

import re
import socket
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_imap_oauth.exceptions import ImapOAuthError
from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from airflow_imap_oauth.operators.imap_oauth import ImapOAuthFetchOperator
from tests.hooks import connections
from tests.hooks.mailboxes import Mailbox, with_files
from tests.operators.running import Run
from tests.servers.certificates import CertificateAuthority
from tests.servers.embedded_imap import EmbeddedImapServer

CANARY = "canary-of-a-secret"
MAIL = with_files(("report.csv", b"1,2,3"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """
    One bad input.

    :param fields: Of the connection, in place of the good ones; ``{...}`` is filled in.
    :param extra: Keys of its ``extra``, in place of the good ones.
    :param folder: The mail folder.
    :param destination: Below the test's folder.
    :param step: That the error names.
    :param says: Words of the error and its hint, as a regular expression.
    :param transient: Whether a retry could help.
    :param token_requests: How many at most reach the authorization server.
    """

    name: str
    fields: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    folder: str = "INBOX"
    destination: str = "landed"
    step: str = "settings"
    says: str
    transient: bool = False
    token_requests: int = 0

    def __str__(self) -> str:
        """Name the test."""
        return self.name


BAD = [
    Bad(
        name="unknown mail provider",
        extra={"mail_provider": "hotmail"},
        says="mail provider is unknown.*custom.*google.*microsoft",
    ),
    Bad(name="no mail provider", extra={"mail_provider": None}, says="'mail_provider'.*not set"),
    Bad(name="no client id", extra={"client_id": ""}, says="'client_id'.*not set.*registered"),
    Bad(name="malformed URL", extra={"issuer": "https//login"}, says="'issuer'"),
    Bad(name="URL without TLS", extra={"exchange_url": "http://x.test/t"}, says="exchange_url"),
    Bad(name="host is a URL", fields={"host": "imaps://localhost"}, says="not a host name"),
    Bad(name="unknown key", extra={"clientid": CANARY}, says="'clientid'.*'client_id'"),
    Bad(name="unsupported value", extra={"tls": "none"}, says="'none'.*'tls'.*starttls"),
    Bad(name="missing CA file", extra={"ca_file": "/no/ca.pem"}, step="", says="/no/ca.pem"),
    Bad(
        name="no CA file",
        extra={"ca_file": None},
        step="IMAP connection",
        says="certificate.*not trusted.*ca_file",
    ),
    Bad(
        name="no refresh token",
        fields={"password": None},
        step="token",
        says="airflow imap-oauth login",
    ),
    Bad(
        name="sealed with another key",
        fields={"password": "sealed:v1:0123456789ab:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
        step="",
        says="0123456789ab.*token_keys",
    ),
    Bad(
        name="refresh token of nobody",
        fields={"password": CANARY},
        step="token re",  # the request, or what is remembered of it
        says="invalid_grant.*airflow imap-oauth login",
        token_requests=1,
    ),
    Bad(
        name="wrong secret",
        extra={"client_secret": CANARY},
        step="token request",
        says="client secret",
        token_requests=2,
    ),
    Bad(
        name="authorization server unreachable",
        extra={"issuer": "https://localhost:{closed_port}"},
        step="discovery",
        says="cannot be reached|refused",
        transient=True,
    ),
    Bad(
        name="authorization server untrusted",
        extra={"issuer": "https://localhost:{untrusted_port}"},
        step="discovery",
        says="certificate.*ca_file",
    ),
    Bad(
        name="host does not exist",
        fields={"host": "no-such-host.invalid"},
        step="IMAP connection",
        says="'no-such-host.invalid' cannot be resolved.*spelling",
        transient=True,
    ),
    Bad(
        name="port is closed",
        fields={"port": "{closed_port}"},
        step="IMAP connection",
        says="cannot be reached.*firewall",
        transient=True,
    ),
    Bad(
        name="mail server untrusted",
        fields={"port": "{untrusted_port}"},
        step="IMAP connection",
        says="certificate.*not trusted.*ca_file",
    ),
    Bad(
        name="no IMAP server",
        fields={"port": "{authorization_port}"},
        extra={"connect_timeout_seconds": 1, "read_timeout_seconds": 1},
        step="IMAP connection",
        says="localhost",
        transient=True,
    ),
    Bad(
        name="missing folder",
        folder="Nowhere",
        step="IMAP EXAMINE",
        says="'Nowhere' cannot be opened.*name",
        token_requests=1,
    ),
    Bad(
        name="folder of another session",
        folder="INBOX\r\nA1 LOGOUT",
        step="IMAP EXAMINE",
        says="line|control",
        token_requests=1,
    ),
    Bad(
        name="unwritable destination",
        destination="file/landed",
        step="",
        says="file/landed.*(folder|destination) ",
        token_requests=1,  # the hook is told where to save after it has signed in
    ),
]


@pytest.fixture(scope="module")
def untrusted_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Give the port of a mail server with a certificate of an unknown authority."""
    stranger = CertificateAuthority.create(tmp_path_factory.mktemp("stranger"))
    with EmbeddedImapServer(lambda _: None, stranger) as server:
        yield server.port


@pytest.fixture
def values(embedded_mailbox: Mailbox, untrusted_port: int) -> Iterator[dict[str, int]]:
    """Give what is known only now, and keep the closed port from being taken."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield {
            "closed_port": closed.getsockname()[1],
            "untrusted_port": untrusted_port,
            "authorization_port": embedded_mailbox.authorization.port,
        }


def filled(given: dict[str, Any], values: dict[str, int]) -> dict[str, Any]:
    """Fill in ``{...}``."""
    texts = {k: v.format(**values) if isinstance(v, str) else v for k, v in given.items()}
    return {k: int(v) if k == "port" else v for k, v in texts.items()}


def by_hook(mailbox: Mailbox, bad: Bad, folder: Path) -> tuple[str, bool, str]:
    """Let the hook fail; return message, whether a retry helps, and the traceback shown."""

    def use() -> None:
        with ImapOAuthHook(mailbox.conn_id) as hook:
            hook.download_mail_attachments(
                "report.csv", str(folder / bad.destination), mail_folder=bad.folder
            )

    with pytest.raises(ImapOAuthError) as caught:
        use()
    error = caught.value
    assert error.conn_id == mailbox.conn_id
    assert error.step
    return str(error), error.retry_helps, "".join(traceback.format_exception(error))


def by_operator(mailbox: Mailbox, bad: Bad, folder: Path) -> tuple[str, bool, str]:
    """Let a task fail; return the same."""
    attempt = Run(
        lambda task_id: ImapOAuthFetchOperator(
            task_id=task_id,
            retries=1,
            imap_conn_id=mailbox.conn_id,
            mail_folder=bad.folder,
            destination=str(folder / bad.destination),
        )
    ).attempt()
    assert attempt.state in ("failed", "up_for_retry")
    assert isinstance(attempt.error, AirflowFailException) is (attempt.state == "failed")
    return str(attempt.error), attempt.state == "up_for_retry", attempt.shown


def check_told(mailbox: Mailbox, bad: Bad, told: tuple[str, bool, str]) -> None:
    """Check that an error is clear, and shows nothing of the machinery and nothing secret."""
    message, transient, shown = told
    assert message.startswith(f"connection '{mailbox.conn_id}', {bad.step}"), message
    assert re.search(bad.says, message), message
    assert transient is bad.transient, message
    frames = re.findall(r'File "(.*?)"', shown)
    assert not [path for path in frames if re.search(r"imaplib|imapclient|httpx|ssl\.py", path)]
    assert "During handling" not in shown
    assert "direct cause" not in shown
    for secret in {*mailbox.authorization.secrets_issued(), CANARY}:
        assert secret not in shown


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_bad_input(
    embedded_mailbox: Mailbox, values: dict[str, int], tmp_path: Path, bad: Bad
) -> None:
    """It names connection, step and remedy, shows no library and no secret, and harms nothing."""
    mailbox = embedded_mailbox
    mailbox.deliver(MAIL)
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "landed").mkdir()
    good, _ = connections.stored(mailbox.conn_id)
    fields = {"password": good, **filled(bad.fields, values)}
    mailbox.connect(**fields, extra=filled(bad.extra, values))
    mailbox.authorization.reset_counters()

    check_told(mailbox, bad, by_hook(mailbox, bad, tmp_path))
    check_told(mailbox, bad, by_operator(mailbox, bad, tmp_path))

    assert mailbox.authorization.token_requests <= bad.token_requests
    landed = [path for path in (tmp_path / "landed").rglob("*") if path.is_file()]
    assert [path.name for path in landed if path.suffix != ".json"] == []
    assert mailbox.search("UNSEEN") == [1]
    # Once it is mended, the connection works with the refresh token that it had.
    mailbox.connect(password=good)
    with ImapOAuthHook(mailbox.conn_id) as hook:
        assert hook.retrieve_mail_attachments("report.csv") == [("report.csv", b"1,2,3")]
