# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What Dovecot and the embedded server have in common, so that one test runs on both."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol


class MailServer(Protocol):
    """
    A mail server on loopback that signs people in with OAuth 2.0 access tokens.

    Its certificate is of the test authority and names ``localhost`` and ``127.0.0.1``. An account
    exists as soon as it is named; UIDs of a new folder are 1, 2, 3 in the order of delivery. Folder
    names are Unicode, the hierarchy delimiter is ``/``.
    """

    host: str
    port: int
    starttls_port: int

    def deliver(
        self,
        login: str,
        raw: bytes,
        folder: str = "INBOX",
        internaldate: datetime | None = None,
        flags: Iterable[str] = (),
    ) -> None:
        r"""
        Put one message into a folder, made if missing.

        :param internaldate: Aware; None: now.
        :param flags: System flags such as ``\Seen``.
        """

    def create_folder(self, login: str, folder: str) -> None:
        """Make an empty folder; nothing happens when it exists."""

    def expunge(self, login: str, uid: int, folder: str = "INBOX") -> None:
        """Remove one message as another client would."""

    def renumber(self, login: str, folder: str = "INBOX") -> None:
        """Give the folder a new UIDVALIDITY; its messages stay, with UIDs from 1 in their order."""

    def kick(self, login: str) -> None:
        """End every connection of an account from the server's side."""

    def log_text(self) -> str:
        """Return what the server logged so far."""
