# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Find attachments by name, read them, and save them to a local folder."""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from airflow.sdk.exceptions import AirflowException

from airflow_imap_oauth.exceptions import ConfigurationError, DestinationError, ImapError
from airflow_imap_oauth.imap.model import FetchedPart, MailSession, Part, PartRequest
from airflow_imap_oauth.imap.names import attachment_name

logger = logging.getLogger(__name__)

NOT_FOUND_MODES = ("raise", "warn", "ignore")

# A first small step finds the latest mail quickly; larger ones keep round trips few.
_FIRST_STEP = 100
_STEP = 2000
_CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class AttachmentNotFoundError(ImapError, AirflowException):
    """No attachment of that name was found. A retry helps once the mail has come."""

    retry_helps = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentQuery:
    """
    Which attachments are wanted; the arguments of Airflow's ``ImapHook``.

    :param name: The name as people see it, decoded; or a regular expression that its beginning
        matches (``re.match``).
    :param max_mails: Look at the latest so many mails that pass the filter; None: at all.
    :param mail_filter: A SEARCH string (RFC 3501 section 6.4.4).
    """

    name: str
    check_regex: bool = False
    latest_only: bool = False
    max_mails: int | None = None
    mail_folder: str = "INBOX"
    mail_filter: str = "All"

    def matcher(self) -> Callable[[str], bool]:
        """
        Return what tells whether a file name is wanted.

        :raises ConfigurationError: If an argument makes no sense. A retry cannot help.
        """
        for argument in ("name", "mail_folder", "mail_filter"):
            value = getattr(self, argument)
            if not isinstance(value, str):
                raise ConfigurationError(f"{argument} must be a text, not {value!r}.")
        limit = self.max_mails
        if limit is not None and (type(limit) is not int or limit < 1):
            raise ConfigurationError(f"max_mails must be a number from 1, or None, not {limit!r}.")
        if not self.check_regex:
            return self.name.__eq__
        try:
            pattern = re.compile(self.name)
        except re.error as error:
            raise ConfigurationError(
                f"The name is no regular expression: {error.msg}.",
                hint="Correct it, or leave check_regex out.",
            ) from None
        return lambda filename: pattern.match(filename) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One attachment that is wanted."""

    uid: int
    part: Part

    @property
    def request(self) -> PartRequest:
        """How to ask for it."""
        return PartRequest(
            uid=self.uid,
            section=self.part.section,
            encoding=self.part.encoding,
            size_hint_bytes=self.part.size_bytes,
        )


def find(session: MailSession, query: AttachmentQuery) -> list[Found]:
    """
    Find attachments, those of the latest mail first, without reading a byte of them.

    A part counts if it has a file name, declared as an attachment or not. A mail whose structure
    the server describes in a way that cannot be read is passed over with a warning.

    :return: At most one where ``latest_only`` is set.
    """
    matches = query.matcher()
    session.examine(query.mail_folder)
    uids = session.search(query.mail_filter)
    if query.max_mails is not None:
        uids = uids[-query.max_mails :]
    found: list[Found] = []
    for step in _steps(uids):
        for message in sorted(session.fetch_metadata(step), key=lambda each: -each.uid):
            if message.structure_error is not None:
                logger.warning(
                    "Mail folder '%s', UID %d: passed over, its structure cannot be read: %s",
                    query.mail_folder,
                    message.uid,
                    message.structure_error,
                )
            for part in message.parts:
                if part.filename is not None and matches(part.filename):
                    found.append(Found(uid=message.uid, part=part))
                    if query.latest_only:
                        return found
    return found


def read(session: MailSession, wanted: Sequence[Found]) -> list[tuple[str, bytes]]:
    """
    Read attachments into memory.

    :return: Name as the sender wrote it, and decoded content, in the order of ``wanted``. The name
        is not safe to use as a path.
    """
    contents = {found: b"".join(fetched.pieces) for found, fetched in _fetch(session, wanted)}
    return [(each.part.filename or "", contents[each]) for each in wanted]


def save(
    session: MailSession, wanted: Sequence[Found], folder: str | Path, *, overwrite: bool
) -> list[Path]:
    """
    Stream attachments to files of a folder, in bounded memory.

    Each file gets the safe base name of its attachment, and appears only when it is complete.
    Attachments of one call never overwrite each other: the latest keeps the name, the others get
    ``_1``, ``_2`` ... before the extension. A link in the folder is replaced, never followed.

    :param overwrite: Replace files that are there; False gives the new one a number, too.
    :return: The files, in the order of ``wanted``.
    :raises DestinationError: If the folder cannot be written. A retry cannot help.
    """
    with _opened(folder) as descriptor:
        names = _names(wanted, descriptor, overwrite=overwrite)
        for found, fetched in _fetch(session, wanted):
            names[found] = _save_one(fetched, names[found], descriptor, overwrite=overwrite)
    paths = [Path(folder) / names[each] for each in wanted]
    for path in paths:
        logger.info("Saved attachment '%s'.", path)
    return paths


def _steps(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    end, size = len(uids), _FIRST_STEP
    while end > 0:
        yield uids[max(0, end - size) : end]
        end, size = end - size, _STEP


def _fetch(session: MailSession, wanted: Sequence[Found]) -> Iterator[tuple[Found, FetchedPart]]:
    """Yield attachments on their way, in any order; warn of those that cannot be decoded whole."""
    by_key = {(each.uid, each.part.section): each for each in wanted}
    for fetched in session.fetch_parts(each.request for each in wanted):
        found = by_key[fetched.request.uid, fetched.request.section]
        yield found, fetched
        if fetched.report.damage is not None:
            logger.warning(
                "Attachment '%s' of UID %d is damaged, and is handed out as far as it goes: %s",
                attachment_name(found.part),
                found.uid,
                fetched.report.damage,
            )


@contextmanager
def _opened(folder: str | Path) -> Iterator[int]:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritable(folder, error) from None
    try:
        yield descriptor
    except OSError as error:
        raise _unwritable(folder, error) from None
    finally:
        os.close(descriptor)


def _unwritable(folder: str | Path, error: OSError) -> DestinationError:
    return DestinationError(
        f"The folder '{folder}' cannot be written ({error.strerror or type(error).__name__}).",
        hint="Give local_output_directory a folder that exists and that the worker may write.",
        step="saving attachments",
    )


def _names(wanted: Sequence[Found], folder: int, *, overwrite: bool) -> dict[Found, str]:
    taken: set[str] = set()
    names = {}
    for each in wanted:
        for name in _candidates(attachment_name(each.part)):
            # Some file systems do not tell cases apart.
            if name.casefold() not in taken and (overwrite or not _exists(name, folder)):
                break
        taken.add(name.casefold())
        names[each] = name
    return names


def _candidates(name: str) -> Iterator[str]:
    yield name
    stem, extension = Path(name).stem, Path(name).suffix
    number = 1
    while True:
        yield f"{stem}_{number}{extension}"
        number += 1


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _save_one(fetched: FetchedPart, name: str, folder: int, *, overwrite: bool) -> str:
    temporary = f".{secrets.token_hex(8)}.part"
    try:
        descriptor = os.open(temporary, _CREATE_FLAGS, 0o666, dir_fd=folder)
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(fetched.pieces)
        if not overwrite:
            name = _reserved(name, folder)
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    return name


def _reserved(name: str, folder: int) -> str:
    """Make an empty file that was not there, so that replacing it overwrites nobody's."""
    candidates = _candidates(name)
    while True:
        candidate = next(candidates)
        with suppress(FileExistsError):
            os.close(os.open(candidate, _CREATE_FLAGS, 0o666, dir_fd=folder))
            return candidate
