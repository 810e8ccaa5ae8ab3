# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""One renewal at a time: among the threads of a process, and among the processes of a host."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_imap_oauth.exceptions import ConfigurationError, TokenStoreError
from airflow_imap_oauth.tokens.names import file_stem
from airflow_imap_oauth.tokens.private_folder import private_folder

_STEP = "renewal lock"
_POLL_SECONDS = 0.05

# By process id, because a forked child inherits locks that nobody in it will ever release. One
# entry per connection that this process has renewed.
_THREAD_LOCKS: dict[tuple[int, str], threading.Lock] = {}


def default_lock_folder() -> Path:
    """Return the folder for locks of this user on this host; nothing is made yet."""
    return Path(tempfile.gettempdir()) / f"airflow-imap-oauth-{os.geteuid()}"


class RenewalLock:
    """
    The right to renew one connection's tokens.

    Threads meet at a lock in memory; processes at a lock on a file, which the operating system
    releases when its holder dies.

    :param folder: Where lock files live: the same for all processes that shall meet. Made where
        it is missing; must be this user's own, and local to the host.
    """

    def __init__(self, folder: Path, conn_id: str) -> None:
        self._folder = folder
        self._file = folder / f"{file_stem(conn_id)}.lock"
        self._conn_id = conn_id

    @contextmanager
    def hold(self, *, timeout_seconds: float) -> Iterator[None]:
        """
        Wait for the right, and hold it.

        :raises TokenStoreError: If another holds it for that long. A retry helps.
        :raises ConfigurationError: If the folder is unfit. A retry cannot help.
        """
        with self._acquired(timeout_seconds) as entered:
            if not entered:
                raise TokenStoreError(
                    f"Another process has been renewing the tokens for {timeout_seconds:g} "
                    "seconds.",
                    hint="If this recurs, look for a stopped process that holds the lock "
                    f"'{self._file}'.",
                    conn_id=self._conn_id,
                    step=_STEP,
                )
            yield

    @contextmanager
    def attempt(self) -> Iterator[bool]:
        """
        Take the right if it is free, without waiting.

        :return: Whether it is held now.
        :raises ConfigurationError: If the folder is unfit. A retry cannot help.
        """
        with self._acquired(0) as entered:
            yield entered

    @contextmanager
    def _acquired(self, timeout_seconds: float) -> Iterator[bool]:
        deadline = time.monotonic() + timeout_seconds
        thread_lock = _THREAD_LOCKS.setdefault((os.getpid(), str(self._file)), threading.Lock())
        if not thread_lock.acquire(timeout=timeout_seconds):
            yield False
            return
        try:
            with self._file_held(max(0.0, deadline - time.monotonic())) as held:
                yield held
        finally:
            thread_lock.release()

    @contextmanager
    def _file_held(self, timeout_seconds: float) -> Iterator[bool]:
        from filelock import FileLock, Timeout  # noqa: PLC0415  # only whoever renews pays for it

        # A new object each time: one that is shared would count instead of lock.
        lock = FileLock(self._file, mode=0o600)
        held = True
        try:
            with private_folder(self._folder, create=True):
                lock.acquire(timeout=timeout_seconds, poll_interval=_POLL_SECONDS)
        except Timeout:
            held = False
        except (OSError, NotImplementedError) as error:
            raise self._unfit(error) from error
        except ConfigurationError as error:
            raise error.located(conn_id=self._conn_id, step=_STEP) from None
        try:
            yield held
        finally:
            if held:
                lock.release()

    def _unfit(self, error: Exception) -> ConfigurationError:
        return ConfigurationError(
            f"The lock file '{self._file}' cannot be locked ({type(error).__name__}).",
            hint="Set [imap_oauth] lock_folder to a local folder that the user running Airflow "
            "may write.",
            conn_id=self._conn_id,
            step=_STEP,
        )
