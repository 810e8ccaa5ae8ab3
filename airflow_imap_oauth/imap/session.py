# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The IMAP session over IMAPClient's connection: read-only, by UID, one command at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    ImapCommandError,
    ImapOAuthError,
    MailFolderNotFoundError,
)
from airflow_imap_oauth.imap._wire import Wire
from airflow_imap_oauth.imap.criteria import SearchCriteria, parse_criteria
from airflow_imap_oauth.imap.folder_names import decode_folder_name, encode_folder_name, quote
from airflow_imap_oauth.imap.metadata import MetadataFetch
from airflow_imap_oauth.imap.model import (
    FetchedPart,
    FolderInfo,
    FolderState,
    ImapSettings,
    MailSession,
    MessageMetadata,
    PartRequest,
)
from airflow_imap_oauth.imap.parts import PartFetch
from airflow_imap_oauth.imap.refusals import Refusal
from airflow_imap_oauth.imap.responses import (
    RowError,
    Segment,
    Value,
    group_rows,
    number,
    parse_row,
)
from airflow_imap_oauth.imap.sasl import SASL_NAMES
from airflow_imap_oauth.imap.shown import shown
from airflow_imap_oauth.imap.sign_in import choose_mechanism, sign_in
from airflow_imap_oauth.oauth.tls import client_context

# imaplib gives up a connection on a line of more than 1,000,000 bytes.
_MAX_SEARCH_LINE_BYTES = 900_000
# Mail that may arrive between EXAMINE and SEARCH.
_SPARE_MESSAGES = 1000
_HIGHEST_UID = 4_294_967_295


def open_session(settings: ImapSettings, access_token: str | Callable[[], str]) -> MailSession:
    """
    Connect over verified TLS and sign in.

    Behind the greeting it costs three round trips, or four where the server does not take the
    token with the command.

    :param access_token: It is sent once, over TLS only, and kept nowhere. A callable is asked for
        it once the server has answered: a token may cost a refresh token, which must not be spent
        for a server that is not there.
    :raises ImapConnectionError: If the server cannot be reached. A retry helps.
    :raises ImapTlsError: If TLS cannot be had or the certificate is not trusted.
    :raises ImapCapabilityError: If the server takes no tokens.
    :raises ImapAuthenticationError: If it refuses this token. A fresh token may help.
    :raises ImapUnavailableError: If it is busy or throttles. A retry helps, a new token does not.
    """
    return open_session_by(settings, access_token, sign_in)


def open_session_by(
    settings: ImapSettings,
    secret: str | Callable[[], str],
    sign_in_with: Callable[[Wire, ImapSettings, str], None],
) -> MailSession:
    """
    Connect over verified TLS and sign in with any kind of secret.

    :param sign_in_with: Signs in on a connection that has TLS, and proves it by a command.
    :raises ImapOAuthError: What connection and sign-in raise, located.
    """
    with _located(settings.conn_id, "IMAP connection"):
        wire = Wire.connect(settings, client_context(settings.ca_file))
    try:
        known = secret if isinstance(secret, str) else secret()
        with _located(settings.conn_id, "IMAP sign-in"):
            sign_in_with(wire, settings, known)
    except BaseException:
        wire.log_out()
        raise
    return ImapSession(wire, settings.conn_id)


def probe(settings: ImapSettings) -> str:
    """
    Connect over verified TLS without signing in, and return the SASL mechanism that would be used.

    :raises ImapError: As :func:`open_session` does, up to the sign-in.
    """
    with _located(settings.conn_id, "IMAP connection"):
        wire = Wire.connect(settings, client_context(settings.ca_file))
        try:
            offered = wire.offered_before_sign_in()
            return SASL_NAMES[choose_mechanism(settings.sasl_mechanism, offered)]
        finally:
            wire.log_out()


class ImapSession:
    """One signed-in connection; see :class:`~airflow_imap_oauth.imap.model.MailSession`."""

    def __init__(self, wire: Wire, conn_id: str) -> None:
        self._wire = wire
        self._conn_id = conn_id
        self._open: FolderState | None = None
        # Names as sent that differ from what encoding the shown name would give.
        self._names_as_sent: dict[str, bytes] = {}

    @property
    def capabilities(self) -> frozenset[str]:
        """Upper-case capabilities after authentication; asked for once where they were not told."""
        with self._at("CAPABILITY"):
            return self._wire.offered()

    def list_folders(self, pattern: str = "*") -> Sequence[FolderInfo]:
        """LIST; a name that cannot be decoded is shown as sent, and can be opened by that."""
        with self._at("LIST"):
            self._wire.take("LIST")
            self._require_ok(self._wire.command(b'LIST "" ' + quote(encode_folder_name(pattern))))
            rows = group_rows(self._wire.take("LIST"))
            return [folder for row in rows if (folder := self._folder(row)) is not None]

    def _folder(self, row: list[Segment]) -> FolderInfo | None:
        try:
            attributes, delimiter, raw, *_ = parse_row(row)
        except (RowError, ValueError):
            return None  # not even a name can be told
        if not isinstance(raw, bytes):
            raw = b"NIL"  # a folder of this name, sent without quotes
        name = decode_folder_name(raw)
        if _encoded_or_none(name) != raw:
            self._names_as_sent[name] = raw
        return FolderInfo(
            name=name,
            delimiter=delimiter.decode("latin-1") if isinstance(delimiter, bytes) else None,
            attributes=tuple(_words(attributes)),
        )

    def examine(self, folder: str) -> FolderState:
        r"""Open a folder read-only: ``\Seen`` stays as it is."""
        with self._at("EXAMINE"):
            encoded = self._names_as_sent.get(folder) or encode_folder_name(folder)
            self._open = None
            self._wire.forget_responses()
            refusal = self._wire.command(b"EXAMINE " + quote(encoded))
            if refusal is not None and refusal.status == "NO" and not refusal.is_unavailable:
                raise MailFolderNotFoundError(
                    f"The mail folder '{shown(folder)}' cannot be opened: {refusal.shown}",
                    hint="Check its name (case and delimiter count) and the account's rights.",
                )
            self._require_ok(refusal)
            uidnext = self._told("UIDNEXT")
            self._open = FolderState(
                name=folder,
                exists=self._told("EXISTS") or 0,
                uidvalidity=self._told("UIDVALIDITY") or 0,
                uidnext=uidnext or None,
            )
            return self._open

    def search(
        self, criteria: str = "ALL", *, uid_from: int = 1, uid_to: int | None = None
    ) -> list[int]:
        """UID SEARCH, in windows where one answer would not fit the line reader."""
        with self._at("SEARCH"):
            parsed = parse_criteria(criteria)
            folder = self._require_open()
            first, last = max(uid_from, 1), _HIGHEST_UID if uid_to is None else uid_to
            found: set[int] = set()
            for window_first, window_last in self._windows(folder, first, last):
                found.update(self._search_window(parsed, window_first, window_last))
            # ``n:*`` also means the last message where that is below n: filter.
            return sorted(uid for uid in found if first <= uid <= last)

    def _windows(
        self, folder: FolderState, first: int, last: int
    ) -> Iterator[tuple[int, int | None]]:
        """Yield UID ranges; None as an end is ``*``."""
        if first > last:
            return
        open_end = None if last >= _HIGHEST_UID else last
        bound = folder.uidnext or _HIGHEST_UID
        uid_bytes = len(str(bound)) + 1
        fits = _MAX_SEARCH_LINE_BYTES // uid_bytes
        if folder.exists + _SPARE_MESSAGES <= fits:
            yield first, open_end
            return
        if folder.uidnext is None:
            bound = max(self._search_window(parse_criteria("ALL"), None, None), default=1) + 1
        while first + fits < min(bound, last):
            yield first, first + fits - 1
            first += fits
        yield first, open_end

    def _search_window(
        self, criteria: SearchCriteria, first: int | None, last: int | None
    ) -> list[int]:
        """Run one UID SEARCH; no ``first`` asks for the highest UID."""
        line = b"UID SEARCH" + (b" CHARSET UTF-8" if criteria.needs_charset else b"")
        if first is None:
            line += b" UID *"
        elif first > 1 or last is not None or not criteria.pieces:
            line += f" UID {first}:{'*' if last is None else last}".encode()
        self._wire.take("SEARCH")
        pieces = criteria.pieces
        if pieces:
            pieces = (line + b" ", *pieces)
        self._require_ok(self._wire.command(*(pieces or (line,))))
        return [uid for row in self._wire.take("SEARCH") for uid in _uids(row)]

    def fetch_metadata(
        self, uids: Sequence[int], *, headers: bool = False
    ) -> Iterator[MessageMetadata]:
        """Yield what is known of each message, batch by batch, in ascending order of UIDs."""
        fetch = MetadataFetch(self._wire, self._fetching(), headers=headers)
        return fetch.run(sorted({uid for uid in uids if 0 < uid <= _HIGHEST_UID}))

    def fetch_parts(self, requests: Iterable[PartRequest]) -> Iterator[FetchedPart]:
        r"""Stream parts, without setting ``\Seen``, in pieces of bounded size."""
        return PartFetch(self._wire, self._fetching()).run(requests)

    def noop(self) -> None:
        """NOOP: the connection still lives."""
        with self._at("NOOP"):
            self._require_ok(self._wire.command(b"NOOP"))

    def close(self) -> None:
        """LOGOUT and close; never raises, never CLOSE or EXPUNGE."""
        self._wire.log_out()

    # --- Inside ---------------------------------------------------------------------------------

    def _told(self, kind: str) -> int | None:
        rows = self._wire.take(kind)
        last = rows[-1] if rows else None
        return number(last.strip()) if isinstance(last, bytes) else None

    def _require_open(self) -> FolderState:
        if self._open is None:
            raise ImapCommandError("No mail folder is open: call examine first.")
        return self._open

    def _fetching(self) -> Callable[[], AbstractContextManager[None]]:
        """Return what goes around each FETCH: UIDs mean nothing in another folder."""
        folder = self._open

        @contextmanager
        def at() -> Iterator[None]:
            with self._at("FETCH"):
                if folder is None:
                    self._require_open()
                elif self._open is not folder:
                    raise ImapCommandError("The mail folder was changed while it was being read.")
                yield

        return at

    def _require_ok(self, refusal: Refusal | None) -> None:
        if refusal is None:
            return
        if refusal.is_unavailable:
            raise refusal.unavailable("this command")
        raise ImapCommandError(f"The server refused the command: {refusal.shown}")

    @contextmanager
    def _at(self, command: str) -> Iterator[None]:
        with _located(self._conn_id, f"IMAP {command}"):
            yield


@contextmanager
def _located(conn_id: str, step: str) -> Iterator[None]:
    try:
        yield
    except ImapOAuthError as error:
        error.located(conn_id=conn_id, step=step)
        raise


def _encoded_or_none(name: str) -> bytes | None:
    try:
        return encode_folder_name(name)
    except ConfigurationError:
        return None


def _words(value: Value) -> Iterator[str]:
    if isinstance(value, tuple):
        yield from (word.decode("ascii", "replace") for word in value if isinstance(word, bytes))


def _uids(row: Segment) -> Iterator[int]:
    """Read the numbers of a SEARCH line; ``(MODSEQ 5)`` may follow them (RFC 7162)."""
    if isinstance(row, bytes):
        for word in row.partition(b"(")[0].split():
            uid = number(word)
            if uid:
                yield uid
