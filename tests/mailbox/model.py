# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A message for tests, and what is in it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """What a reader of the message sees as an attached file: its name and its decoded bytes."""

    filename: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """
    One message.

    :param name: What is special about it, in words with hyphens; unique in its table.
    :param raw: The message with CRLF line ends.
    :param attachments: The files in it by their true names, in order. Not given for broken mail
        where there is no truth.
    """

    name: str
    raw: bytes = field(repr=False)
    attachments: tuple[Attachment, ...] = ()

    def __str__(self) -> str:
        """Return the name: it names the test of this message."""
        return self.name
