# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The few things a destination must be able to do, and how its faults are told."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from airflow_imap_oauth.exceptions import (
    DestinationError,
    DestinationUnavailableError,
    ImapOAuthError,
)

STEP = "destination"
# What only a human can mend. Everything else may be the store's bad hour.
_PERMANENT = (
    PermissionError,
    FileNotFoundError,
    NotADirectoryError,
    IsADirectoryError,
    ImportError,
    NotImplementedError,
    ValueError,
)
_PERMANENT_ERRNOS = frozenset({errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP, errno.EPERM})


class Upload(Protocol):
    """One object being written."""

    def write(self, data: bytes) -> None:
        """Append bytes."""
        ...


class Store(Protocol):
    """
    A tree of objects below one root; names are relative, with ``/``.

    Every method raises :class:`~airflow_imap_oauth.exceptions.DestinationError` (a retry cannot
    help) or :class:`~airflow_imap_oauth.exceptions.DestinationUnavailableError` (a retry may).
    """

    #: ``file``, or the protocol of the object store.
    kind: str
    #: Whether what is found out about this kind of store holds for every root of it.
    uniform: bool

    def read(self, name: str) -> bytes | None:
        """Return an object, or None where there is none."""
        ...

    def create(self, name: str, data: bytes) -> bool:
        """
        Create an object, whole and durable, unless it exists; of several callers one wins.

        :param data: Differs from what any other caller writes: that is how a caller whose
            request was sent twice knows that it has won.
        :return: Whether the object is ours.
        """
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a small object, durable, over an older one; no reader sees half of it."""
        ...

    def upload(self, name: str) -> AbstractContextManager[Upload]:
        """
        Write an object in pieces; it appears, whole, when the context ends without an exception.

        It is durable after the next :meth:`sync`.
        """
        ...

    def names(self, folder: str) -> list[str]:
        """Return the base names in a folder, sorted; empty where there is none."""
        ...

    def remove(self, name: str) -> None:
        """Remove an object; nothing happens where there is none."""
        ...

    def sync(self) -> None:
        """Make all uploads durable."""
        ...

    def tidy(self) -> None:
        """Remove what killed processes left half-written."""
        ...


@contextmanager
def store_faults(action: str, root: str) -> Iterator[None]:
    """
    Turn whatever a file system or a store's library raises into our error.

    Their texts are dropped: they may quote signed URLs or credentials.

    :param action: What was tried, for example ``write mail/x.eml``.
    """
    try:
        yield
    except ImapOAuthError:
        raise
    except Exception as exc:  # noqa: BLE001  # stores raise what their libraries please
        raise store_fault(exc, action, root) from None


def store_fault(exc: Exception, action: str, root: str) -> DestinationError:
    """Say what failed; transient unless only a human can mend it."""
    message = f"Cannot {action} in {root}: {_reason(exc)}."
    number = exc.errno if isinstance(exc, OSError) else None
    if isinstance(exc, _PERMANENT) or number in _PERMANENT_ERRNOS:
        return DestinationError(message, step=STEP)
    return DestinationUnavailableError(message, step=STEP)


def _reason(exc: Exception) -> str:
    if isinstance(exc, OSError) and exc.errno:
        return os.strerror(exc.errno)
    return type(exc).__name__
