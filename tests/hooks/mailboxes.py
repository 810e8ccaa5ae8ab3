# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A mailbox for tests: a connection in Airflow's database, and its account on a real server."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from imapclient import IMAPClient

from airflow_imap_oauth.hooks.variable_store import variable_key
from tests.hooks import connections
from tests.mailbox.building import attachment, entity, message, multipart

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer
    from tests.servers.embedded_imap import EmbeddedImapServer
    from tests.servers.mail_server import MailServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """An account, and the connection to it."""

    conn_id: str
    login: str
    mail: MailServer
    authorization: AuthorizationServer

    def connect(self, *, extra: dict[str, Any] | None = None, **fields: Any) -> None:
        """Write the connection, with a refresh token that nobody has used."""
        values = {
            "host": self.mail.host,
            "port": self.mail.port,
            "login": self.login,
            "password": self.authorization.mint_refresh_token(self.login),
            **fields,
        }
        custom = connections.custom(self.authorization, **(extra or {}))
        connections.add(self.conn_id, extra=custom, **values)

    def deliver(self, *mails: bytes, folder: str = "INBOX") -> None:
        """Put messages into a folder."""
        for raw in mails:
            self.mail.deliver(self.login, raw, folder=folder)

    def search(self, criteria: str, folder: str = "INBOX") -> list[int]:
        """Search a folder as another client."""
        context = ssl.create_default_context(cafile=str(self.authorization.ca_file))
        with IMAPClient(self.mail.host, self.mail.port, ssl_context=context) as client:
            client.oauth2_login(self.login, self.authorization.mint_access_token(self.login))
            client.select_folder(folder, readonly=True)
            return [*client.search(criteria)]


def with_files(*files: tuple[str, bytes], subject: str = "Report", sender: str = "a") -> bytes:
    """Return a mail that has files attached."""
    attached = [
        attachment("", content, parameter=f"filename*=utf-8''{quote(name, safe='')}")
        for name, content in files
    ]
    return message(
        multipart([entity(b"Please find the files attached.\r\n"), *attached]),
        subject=subject,
        sender=f"{sender}@shop.test",
    )


def forget_tokens(conn_id: str) -> None:
    """Delete the record of a connection's tokens."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(Variable).where(Variable.key == variable_key(conn_id)))


def _mailbox(mail: MailServer, authorization: AuthorizationServer, login: str) -> Iterator[Mailbox]:
    forget_masks()
    made = Mailbox(
        conn_id=f"mail_{secrets.token_hex(4)}", login=login, mail=mail, authorization=authorization
    )
    mail.create_folder(login, "INBOX")
    made.connect()
    yield made
    connections.remove(made.conn_id)
    forget_tokens(made.conn_id)


def forget_masks() -> None:
    """Drop the secrets of earlier tests: Airflow compiles all it knows anew for every new one."""
    from airflow._shared.secrets_masker import reset_secrets_masker as reset_core
    from airflow.sdk._shared.secrets_masker import reset_secrets_masker as reset_sdk

    reset_core()
    reset_sdk()


@pytest.fixture
def airflow_server(airflow_database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let connections be read from the database outside of tasks, as in the API server."""
    del airflow_database
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")


@pytest.fixture
def mailbox(
    airflow_server: None,
    mail_server: MailServer,
    authorization_server: AuthorizationServer,
    imap_login: Callable[[], str],
) -> Iterator[Mailbox]:
    """Give a mailbox on each mail server in turn."""
    del airflow_server
    yield from _mailbox(mail_server, authorization_server, imap_login())


@pytest.fixture
def embedded_mailbox(
    airflow_server: None,
    embedded_imap: EmbeddedImapServer,
    authorization_server: AuthorizationServer,
    imap_login: Callable[[], str],
) -> Iterator[Mailbox]:
    """Give a mailbox on the embedded server, which records and can be told to misbehave."""
    del airflow_server
    yield from _mailbox(embedded_imap, authorization_server, imap_login())
