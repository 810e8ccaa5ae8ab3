# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Where mail lands: a path object, looked into just enough to write to it safely.

Airflow's ``ObjectStoragePath`` and universal_pathlib's ``UPath`` fit; so does ``pathlib.Path``.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Protocol

from airflow_imap_oauth.etl.local_store import LocalStore
from airflow_imap_oauth.etl.names import MARKER
from airflow_imap_oauth.etl.object_store import ObjectStore
from airflow_imap_oauth.etl.schema import dump, load
from airflow_imap_oauth.etl.store import STEP, Store, store_faults
from airflow_imap_oauth.exceptions import ConfigurationError, DestinationError

_SCHEMA = "airflow-imap-oauth/destination"
_LOCAL = {"", "file", "local"}


class DestinationPath(Protocol):
    """What is used of ``ObjectStoragePath``."""

    @property
    def protocol(self) -> str:
        """For example ``s3``; empty for a local path."""
        ...

    @property
    def path(self) -> str:
        """Path as its file system writes it."""
        ...

    @property
    def fs(self) -> Any:
        """Its fsspec file system."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """
    An opened destination.

    :param shown: As people write it; an ``ObjectStoragePath`` can be made of it.
    """

    store: Store
    shown: str

    def locate(self, name: str) -> str:
        """Return the full path of an object."""
        return f"{self.shown.rstrip('/')}/{name}"

    def verify_writable(self) -> None:
        """
        Write and remove a probe.

        :raises DestinationError: The worker may not write there. A retry cannot help.
        """
        name = f"tmp/probe-{secrets.token_hex(8)}"
        self.store.write(name, b"probe")
        self._remove(name)
        self.store.tidy()

    def verify_exclusive(self) -> None:
        """
        Try whether the store lets two callers create the same object.

        :raises DestinationError: It does, so that two runs could both believe that they committed.
            A retry cannot help.
        """
        name = f"tmp/probe-{secrets.token_hex(8)}"
        try:
            won = self.store.create(name, b"first")
            second = self.store.create(name, b"second")
            if not won or second or self.store.read(name) != b"first":
                raise DestinationError(
                    f"{self.shown} cannot create an object only if it is not there yet, so two "
                    "runs could overwrite each other's commits.",
                    hint="Use a local file system with hard links, or a store with conditional "
                    "writes (S3, Google Cloud Storage, Azure).",
                    step=STEP,
                )
        finally:
            self._remove(name)

    def _remove(self, name: str) -> None:
        # Stores that never let anything be deleted keep their probes: a few bytes each.
        with suppress(DestinationError):
            self.store.remove(name)


def open_destination(
    path: DestinationPath | os.PathLike[str], *, read_only: bool = False
) -> Destination:
    """
    Open a destination; the first time, prove that it can hold a ledger and mark it.

    :param path: Need not exist yet.
    :param read_only: Write nothing: for those who only look into the ledger.
    :raises ConfigurationError: The path is relative. A retry cannot help.
    :raises DestinationError: It cannot be read, written, or created in exclusively. A retry cannot
        help, except with :class:`~airflow_imap_oauth.exceptions.DestinationUnavailableError`.
    :raises LedgerError: A newer version of this package wrote there. A retry cannot help.
    """
    shown = str(path)
    store = _open_store(path, shown)
    destination = Destination(store=store, shown=shown)
    marker = store.read(MARKER)
    known = marker and load(marker, MARKER, _SCHEMA).optional_text("store")
    if read_only:
        return destination
    if marker is None or not store.uniform or known != store.kind:
        destination.verify_exclusive()
    if marker is None:
        store.write(MARKER, dump(_SCHEMA, {"store": store.kind}))
    return destination


def _open_store(path: Any, shown: str) -> Store:
    if isinstance(path, PurePath) and not hasattr(path, "fs"):
        return LocalStore(_absolute(str(path)))
    with store_faults("open the destination", shown):
        if path.protocol in _LOCAL:
            return LocalStore(_absolute(path.path))
        return ObjectStore(_file_system(path), path.path, kind=path.protocol, shown=shown)


def _file_system(path: Any) -> Any:
    try:
        return path.fs
    except (ImportError, ValueError):
        raise DestinationError(
            f"There is no file system for '{path.protocol}' here, or its connection is incomplete.",
            hint="Install the Airflow provider that brings it on every worker (for s3:"
            " apache-airflow-providers-amazon[s3fs]), and check the connection in the URL.",
            step=STEP,
        ) from None


def _absolute(path: str) -> str:
    if not PurePath(path).is_absolute():
        raise ConfigurationError(
            f"The destination '{path}' is a relative path.",
            hint="Give an absolute path or a URL: workers run in folders of their own.",
            step=STEP,
        )
    return path
