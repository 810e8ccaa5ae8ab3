# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""An account on a mail server, a source of tokens for it, and what every error must keep to."""

from __future__ import annotations

import base64
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from airflow_imap_oauth.exceptions import ImapOAuthError
from airflow_imap_oauth.imap.model import ImapSettings, MailSession, PartRequest
from airflow_imap_oauth.imap.session import open_session
from tests.servers.authorization_server import AuthorizationServer
from tests.servers.mail_server import MailServer

CONN_ID = "mail-42"
# Shorter pieces of a token do not tell it.
_PIECE_CHARACTERS = 20

AnyError = TypeVar("AnyError", bound=ImapOAuthError)


class Account:
    """One account on one server."""

    def __init__(self, server: MailServer, authorization: AuthorizationServer, login: str) -> None:
        self.server = server
        self.authorization = authorization
        self.login = login
        self.settings = ImapSettings(
            conn_id=CONN_ID,
            host=server.host,
            port=server.port,
            user=login,
            ca_file=str(authorization.ca_file),
            read_timeout_seconds=10.0,
        )

    def token(self, *, lifetime_seconds: int = 3600) -> str:
        """Return a new access token."""
        return self.authorization.mint_access_token(self.login, lifetime_seconds=lifetime_seconds)

    def deliver(self, *mails: bytes, folder: str = "INBOX", **options: Any) -> None:
        """Put messages into a folder, UIDs from 1 on."""
        for raw in mails:
            self.server.deliver(self.login, raw, folder=folder, **options)

    def open(self, token: str | None = None, **changes: Any) -> MailSession:
        """Sign in."""
        return open_session(replace(self.settings, **changes), token or self.token())

    @contextmanager
    def session(self, folder: str | None = None, **changes: Any) -> Iterator[MailSession]:
        """Sign in, and open a folder if one is named."""
        session = self.open(**changes)
        try:
            if folder is not None:
                session.examine(folder)
            yield session
        finally:
            session.close()

    @contextmanager
    def fails(self, kind: type[AnyError], step: str) -> Iterator[pytest.ExceptionInfo[AnyError]]:
        """
        Expect an error of exactly this kind.

        Whatever it is, it names connection and step, says one line, and holds neither a secret nor
        anything of a library.
        """
        with pytest.raises(kind) as caught:
            yield caught
        error = caught.value
        assert type(error) is kind
        assert (error.conn_id, error.step) == (CONN_ID, step)
        assert str(error).startswith(f"connection '{CONN_ID}', {step}: ")
        assert str(error).isprintable()
        shown = "".join(traceback.format_exception(error))
        assert "imaplib" not in shown.replace("imaplib gives up", "")
        assert "imapclient" not in shown
        assert not secrets_in(f"{shown}{vars(error)}{error.args}", self.authorization)


def secrets_in(text: str, authorization: AuthorizationServer) -> list[str]:
    """Return the secrets that a text holds, whole, in part or in base64."""
    found = []
    for secret in authorization.secrets_issued():
        encoded = base64.b64encode(secret.encode()).decode()
        # A response holds the token behind other text, so its base64 has one of three phases.
        pieces = [
            secret[at : at + _PIECE_CHARACTERS]
            for at in range(max(len(secret) - _PIECE_CHARACTERS, 0) + 1)
        ]
        for phase in range(1, 3):
            shifted = base64.b64encode(b"x" * phase + secret.encode()).decode()
            pieces.append(shifted[4:-8])
        pieces.append(encoded[:-4])
        if any(piece in text for piece in pieces):
            found.append(secret)
    return found


class Tokens:
    """
    A source that hands out given tokens: the next one after each rejection.

    :ivar rejected: What was rejected.
    :ivar asked: How often a token was asked for.
    """

    def __init__(self, *tokens: str) -> None:
        self._tokens = tokens
        self.rejected: list[str] = []
        self.asked = 0

    def get_access_token(self) -> str:
        """Return the current token."""
        self.asked += 1
        return self._tokens[min(len(self.rejected), len(self._tokens) - 1)]

    def reject_access_token(self, access_token: str, /) -> None:
        """Go on to the next."""
        self.rejected.append(access_token)


def read_parts(session: MailSession, requests: Sequence[PartRequest]) -> dict[PartRequest, bytes]:
    """Fetch parts whole."""
    return {part.request: b"".join(part.pieces) for part in session.fetch_parts(requests)}


def file_request(uid: int, **changes: Any) -> PartRequest:
    """Ask for the file of a message of :func:`tests.imap.mails.with_file`."""
    values: dict[str, Any] = {"uid": uid, "section": "2", "encoding": "base64", **changes}
    return PartRequest(**values)
