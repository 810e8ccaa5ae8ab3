# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
A destination in an object store, through any fsspec file system.

Only calls that no directory cache answers are used: a cache knows nothing of other writers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any

from airflow_imap_oauth.etl.store import store_fault, store_faults

# Bounds what is held in memory; S3 wants at least 5 MiB a part and takes 10,000 of them.
_BLOCK_BYTES = 8 * 1024 * 1024
# A store may refuse one of two simultaneous creations without letting the other through.
_CREATE_ATTEMPTS = 3


class ObjectStore:
    """
    Objects below one prefix.

    :param file_system: An fsspec file system.
    :param root: Prefix as that file system writes it: bucket and key.
    :param kind: Its protocol, for example ``s3``.
    :param shown: The root as people write it.
    """

    uniform = True

    def __init__(self, file_system: Any, root: str, *, kind: str, shown: str) -> None:
        self._fs = file_system
        self._root = root.rstrip("/")
        self._shown = shown
        self.kind = kind

    def read(self, name: str) -> bytes | None:
        """Return an object, or None where there is none."""
        with self._faults("read", name):
            try:
                return bytes(self._fs.cat_file(self._path(name)))
            except FileNotFoundError:
                return None

    def create(self, name: str, data: bytes) -> bool:
        """
        Create an object unless it exists.

        Libraries disagree on the exception for "exists", and a request may have been sent twice,
        so whatever happened, the object itself is asked who won.
        """
        attempts_left = _CREATE_ATTEMPTS
        while True:
            attempts_left -= 1
            try:
                self._create(name, data)
                return True
            except Exception as exc:  # noqa: BLE001  # judged by what the store holds now
                fault = store_fault(exc, f"create {name}", self._shown)
            found = self.read(name)
            if found is not None:
                return found == data
            if not attempts_left or not fault.retry_helps:
                raise fault

    def write(self, name: str, data: bytes) -> None:
        """Write a small object over an older one."""
        with self.upload(name) as upload:
            upload.write(data)

    @contextmanager
    def upload(self, name: str) -> Iterator[_ObjectUpload]:
        """Write an object in pieces; it appears when the context ends well."""
        with self._faults("write", name):
            handle = self._open(name, "wb")
        try:
            yield _ObjectUpload(handle, partial(self._faults, "write", name))
        except BaseException:
            _abandon(handle)
            raise
        with self._faults("write", name):
            try:
                handle.close()
            except BaseException:
                _abandon(handle)
                raise

    def names(self, folder: str) -> list[str]:
        """Return the base names in a folder, sorted."""
        with self._faults("list", folder):
            path = self._path(folder)
            self._fs.invalidate_cache(path)
            try:
                found = self._fs.ls(path, detail=False)
            except FileNotFoundError:
                return []
            return sorted(str(item).rstrip("/").rpartition("/")[2] for item in found)

    def remove(self, name: str) -> None:
        """Remove an object; nothing happens where there is none."""
        with self._faults("remove", name), suppress(FileNotFoundError):
            self._fs.rm_file(self._path(name))

    def sync(self) -> None:
        """Do nothing: an upload is durable when it has been completed."""

    def tidy(self) -> None:
        """Do nothing: uploads that were not completed are the store's own to expire."""

    def _create(self, name: str, data: bytes) -> None:
        handle = self._open(name, "xb")
        try:
            handle.write(data)
            handle.close()
        except BaseException:
            _abandon(handle)
            raise

    def _open(self, name: str, mode: str) -> Any:
        path = self._path(name)
        try:
            return self._fs.open(path, mode, block_size=_BLOCK_BYTES)
        except FileNotFoundError:
            # Stores with real folders want them made; those without never come here.
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            return self._fs.open(path, mode, block_size=_BLOCK_BYTES)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _faults(self, action: str, name: str) -> Iterator[None]:
        with store_faults(f"{action} {name}", self._shown):
            yield


class _ObjectUpload:
    def __init__(self, handle: Any, faults: Callable[[], AbstractContextManager[None]]) -> None:
        self._handle = handle
        self._faults = faults

    def write(self, data: bytes) -> None:
        """Append bytes."""
        with self._faults():
            self._handle.write(data)


def _abandon(handle: Any) -> None:
    """Give up an upload. Closing an fsspec file would complete it, also when it is collected."""
    with suppress(Exception):
        handle.discard()
    with suppress(Exception):
        handle.closed = True
