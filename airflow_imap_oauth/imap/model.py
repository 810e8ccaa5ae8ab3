# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What an IMAP session hands out, as data, and the verbs it offers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from airflow_imap_oauth.oauth.profiles import SaslMechanism


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapSettings:
    """
    How to reach one mailbox.

    :param user: The SASL user: the mailbox to open.
    :param tls: ``implicit`` (port 993) or ``starttls`` (never continued without TLS).
    :param sasl_mechanism: None takes OAUTHBEARER where offered, else XOAUTH2.
    :param ca_file: PEM file of additional authorities to trust, or None.
    :param proxy_url: The proxy to connect through, see
        :func:`airflow_imap_oauth.oauth.proxies.checked_proxy_url`; it may hold a password. None:
        no proxy, whatever the environment says.
    """

    conn_id: str
    host: str
    port: int = 993
    user: str
    tls: Literal["implicit", "starttls"] = "implicit"
    sasl_mechanism: SaslMechanism | None = None
    ca_file: str | None = None
    connect_timeout_seconds: float = 10.0
    read_timeout_seconds: float = 60.0
    proxy_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderInfo:
    """One mail folder of LIST: name (Unicode), delimiter (None: flat), attributes as sent."""

    name: str
    delimiter: str | None
    attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderState:
    """
    What EXAMINE or SELECT told.

    :param uidvalidity: 0 where the server sent none.
    :param uidnext: The next UID, or None where the server sent none.
    """

    name: str
    exists: int
    uidvalidity: int
    uidnext: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """
    One leaf part of a message, from BODYSTRUCTURE.

    :param section: IMAP section, for example ``1`` or ``2.1``.
    :param content_type: Lower-case ``type/subtype``.
    :param encoding: Lower-case Content-Transfer-Encoding; ``7bit`` where the server sent NIL.
    :param size_bytes: Encoded size as the server says, a hint only; None where unknown.
    :param filename: Decoded name (RFC 2231 and 2047, file name before ``name``); None: none.
        It comes from the sender: never use it as a path without
        :func:`airflow_imap_oauth.imap.names.safe_base_name`.
    :param disposition: Lower-case ``attachment``, ``inline`` ..., or None.
    """

    section: str
    content_type: str
    encoding: str
    size_bytes: int | None = None
    filename: str | None = None
    disposition: str | None = None
    content_id: str | None = None
    charset: str | None = None

    @property
    def is_attachment(self) -> bool:
        """Whether people call it an attachment: it has a file name, or is declared as one."""
        return self.filename is not None or self.disposition == "attachment"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageMetadata:
    """
    What is known of a message before a byte of its body is read.

    :param internaldate_at: Aware UTC; None where the server sent none that can be read.
    :param size_bytes: RFC822.SIZE, a hint only; None where unknown.
    :param parts: Leaf parts in order. Empty where the structure could not be read: see
        ``structure_error``.
    :param headers: Raw header block as asked for, or None.
    :param structure_error: Why ``parts`` is not to be trusted, or None.
    """

    uid: int
    flags: tuple[str, ...] = ()
    internaldate_at: datetime | None = None
    size_bytes: int | None = None
    parts: tuple[Part, ...] = ()
    headers: bytes | None = field(default=None, repr=False)
    structure_error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRequest:
    """
    Ask for one part of one message.

    :param section: IMAP section; ``""`` is the whole message.
    :param encoding: How to decode: ``base64``, ``quoted-printable``, or anything else for as is.
    :param size_hint_bytes: Encoded size if known; decides how it is batched, nothing more.
    """

    uid: int
    section: str
    encoding: str = "binary"
    size_hint_bytes: int | None = None


@dataclass(slots=True, kw_only=True)
class PartReport:
    """
    What was learned while a part was read; whole once its pieces are exhausted.

    :param encoded_bytes: Bytes received, before decoding.
    :param damage: What was wrong with the transfer encoding, for a human; None: nothing. The
        pieces are what could be decoded.
    """

    encoded_bytes: int = 0
    damage: str | None = None


@dataclass(frozen=True, slots=True)
class FetchedPart:
    """
    One part on its way.

    :param request: What was asked for.
    :param report: Filled while ``pieces`` are read.
    :param pieces: The decoded bytes in order, each piece at most a few MiB. Iterating raises
        :class:`~airflow_imap_oauth.exceptions.ImapCommandError` or
        :class:`~airflow_imap_oauth.exceptions.ImapProtocolError` when this part alone cannot be
        had (gone, refused, garbled: the session lives on), and
        :class:`~airflow_imap_oauth.exceptions.ImapConnectionError` or
        :class:`~airflow_imap_oauth.exceptions.ImapUnavailableError` when the session is lost.
    """

    request: PartRequest
    pieces: Iterator[bytes]
    report: PartReport = field(default_factory=PartReport)


class MailSession(Protocol):
    """
    A narrow IMAP session: UIDs only, EXAMINE only, nothing that changes the mailbox.

    Every method raises :class:`~airflow_imap_oauth.exceptions.ImapError` kinds: a lost
    connection :class:`~airflow_imap_oauth.exceptions.ImapConnectionError` (a retry helps), NO or
    BAD :class:`~airflow_imap_oauth.exceptions.ImapCommandError`. Arguments with CR, LF or NUL are
    refused with :class:`~airflow_imap_oauth.exceptions.ConfigurationError` before a byte is sent.
    """

    @property
    def capabilities(self) -> frozenset[str]:
        """Upper-case capabilities after authentication."""
        ...

    def list_folders(self, pattern: str = "*") -> Sequence[FolderInfo]:
        """LIST; a name that cannot be decoded is kept as sent."""
        ...

    def examine(self, folder: str) -> FolderState:
        r"""Open a folder read-only (``\Seen`` stays as it is). Folder names are Unicode."""
        ...

    def search(
        self, criteria: str = "ALL", *, uid_from: int = 1, uid_to: int | None = None
    ) -> list[int]:
        """
        UID SEARCH in the open folder, ascending, only UIDs with ``uid_from <= uid <= uid_to``.

        :param criteria: A raw SEARCH string as in Airflow's ImapHook, for example
            ``(FROM "x" SINCE 01-Jan-2026)``; non-ASCII is sent as UTF-8.
        :param uid_to: None: no upper bound.
        """
        ...

    def fetch_metadata(
        self, uids: Sequence[int], *, headers: bool = False
    ) -> Iterator[MessageMetadata]:
        """
        Yield flags, date, size and structure for those of ``uids`` that still exist.

        :param headers: Also fetch the header fields that a record needs (see
            :data:`airflow_imap_oauth.imap.headers.RECORD_FIELDS`).
        """
        ...

    def fetch_parts(self, requests: Iterable[PartRequest]) -> Iterator[FetchedPart]:
        r"""
        Stream parts, without setting ``\Seen``, in pieces of bounded size.

        Small parts are batched so that round trips do not grow with their number; large ones
        come by partial fetch. Memory does not grow with the mail. Every request is answered by
        exactly one :class:`FetchedPart`, in any order; read its pieces before taking the next:
        what is left of them then cannot be read any more.
        """
        ...

    def noop(self) -> None:
        """NOOP: the connection still lives."""
        ...

    def close(self) -> None:
        """LOGOUT and close; never raises, never CLOSE or EXPUNGE."""
        ...
