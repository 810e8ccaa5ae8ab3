# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The token store ``file``: one file per connection in a folder of one host."""

from __future__ import annotations

import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from airflow_imap_oauth.exceptions import ConfigurationError, TokenStoreError
from airflow_imap_oauth.tokens.file_lease import FileLease
from airflow_imap_oauth.tokens.leases import HostMemory, LeaseTerms
from airflow_imap_oauth.tokens.names import file_stem
from airflow_imap_oauth.tokens.private_folder import private_folder

_STEP = "token store"
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: A temporary file this old was left by a process that was killed: writing takes milliseconds.
_ABANDONED_SECONDS = 3600.0


class FileTokenStore:
    """
    Keeps each record in a file that only this user can read.

    A record is replaced as a whole: a reader sees the old one or the new one, also after a crash
    or a power failure. Links are not followed, and a folder that others can write is refused.

    :param folder: Made on the first save, where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def name(self) -> str:
        """The value of ``[imap_oauth] token_store`` that chooses this store."""
        return "file"

    def load(self, conn_id: str) -> str | None:
        """
        Return the record's text, or None where there is none.

        :raises TokenStoreError: If it cannot be read; a retry helps.
        :raises ConfigurationError: If folder or file are not this user's own. A retry cannot help.
        """
        with self._guarded(conn_id, "read"), private_folder(self._folder, create=False) as folder:
            if folder is None:
                return None
            try:
                descriptor = os.open(_file_name(conn_id), _READ_FLAGS, dir_fd=folder)
            except FileNotFoundError:
                return None
            with os.fdopen(descriptor, "rb") as file:
                self._check_file(os.fstat(descriptor))
                return file.read().decode(errors="replace")

    def save(self, conn_id: str, text: str) -> None:
        """
        Store the text; once this returns, it survives a power failure.

        :raises TokenStoreError: If it cannot be written; the old record stays. A retry helps.
        :raises ConfigurationError: If the folder is not this user's own. A retry cannot help.
        """
        with self._guarded(conn_id, "written"), private_folder(self._folder, create=True) as folder:
            if folder is None:
                raise FileNotFoundError
            temporary = f"{_temporary_prefix(conn_id)}{secrets.token_hex(8)}"
            try:
                descriptor = os.open(temporary, _CREATE_FLAGS, 0o600, dir_fd=folder)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(text.encode())
                    file.flush()
                    os.fsync(descriptor)
                os.rename(temporary, _file_name(conn_id), src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise
            os.fsync(folder)
            self._sweep(folder, conn_id)

    def delete(self, conn_id: str) -> None:
        """
        Remove the record; a missing one is no error.

        :raises TokenStoreError: If it cannot be removed; a retry helps.
        """
        with (
            self._guarded(conn_id, "deleted"),
            private_folder(self._folder, create=False) as folder,
        ):
            if folder is None:
                return
            with suppress(FileNotFoundError):
                os.unlink(_file_name(conn_id), dir_fd=folder)
                os.fsync(folder)

    def lease(self, terms: LeaseTerms, host: HostMemory) -> FileLease:
        """Return the lease of a connection: the lock of a file, for hosts that share the folder."""
        del host  # the operating system knows whether a holder lives
        return FileLease(self._folder, terms.conn_id)

    @contextmanager
    def _guarded(self, conn_id: str, verb: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TokenStoreError(
                f"The token file could not be {verb} ({error.strerror or type(error).__name__}).",
                hint=f"Check space and permissions of the folder '{self._folder}'.",
                conn_id=conn_id,
                step=_STEP,
            ) from error
        except ConfigurationError as error:
            raise error.located(conn_id=conn_id, step=_STEP) from error.__cause__

    def _check_file(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise ConfigurationError(
                f"A token file in '{self._folder}' is no plain file of this user.",
                hint="Remove it, and find out who put it there.",
            )

    def _sweep(self, folder: int, conn_id: str) -> None:
        prefix = _temporary_prefix(conn_id)
        with suppress(OSError):
            for name in os.listdir(folder):
                if name.startswith(prefix):
                    written_at = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
                    if time.time() - written_at > _ABANDONED_SECONDS:
                        os.unlink(name, dir_fd=folder)


def _file_name(conn_id: str) -> str:
    return f"{file_stem(conn_id)}.json"


def _temporary_prefix(conn_id: str) -> str:
    return f".{file_stem(conn_id)}.new."
