# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""One renewal at a time among hosts that share a folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_imap_oauth.exceptions import ConfigurationError, TokenStoreError
from airflow_imap_oauth.tokens.names import file_stem
from airflow_imap_oauth.tokens.private_folder import private_folder

if TYPE_CHECKING:
    from filelock import BaseFileLock

_STEP = "renewal lease"


class FileLease:
    """
    The lock of a file beside the records; see :class:`~.leases.Lease`.

    The operating system, or the server of a shared folder, ends it with its holder.
    """

    def __init__(self, folder: Path, conn_id: str) -> None:
        self._folder = folder
        self._conn_id = conn_id
        self._file = folder / f"{file_stem(conn_id)}.lease"
        self._lock: BaseFileLock | None = None

    def attempt(self, generation: int) -> bool:
        """Take the lock, unless somebody else has it."""
        del generation  # the lock itself tells
        from filelock import FileLock, Timeout  # noqa: PLC0415  # only whoever renews pays for it

        if self._lock is not None:
            return True
        lock = FileLock(self._file, mode=0o600)
        try:
            with private_folder(self._folder, create=True):
                lock.acquire(timeout=0)
        except Timeout:
            return False
        except (OSError, NotImplementedError) as error:
            raise TokenStoreError(
                f"The file '{self._file}' cannot be locked ({type(error).__name__}).",
                hint=f"Check space and permissions of the folder '{self._folder}'.",
                conn_id=self._conn_id,
                step=_STEP,
            ) from error
        except ConfigurationError as error:
            raise error.located(conn_id=self._conn_id, step=_STEP) from None
        self._lock = lock
        return True

    def may_begin(self) -> bool:
        """Agree: a holder that stands still keeps the lock."""
        return True

    def leave(self) -> None:
        """Give the lock back: no later holder of this host could take it over."""
        self.release()

    def end_left(self) -> None:
        """Do nothing: none is left standing."""

    def release(self) -> None:
        """Give the lock back; should that fail, it ends with this process."""
        lock, self._lock = self._lock, None
        if lock is not None:
            with suppress(OSError):
                lock.release()
