# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
A destination in a local folder.

Everything is written to a temporary file, made durable, and then given its name: by ``link`` where
only one may win (a rename overwrites; opening with ``x`` shows an empty file to readers and leaves
one behind when the process is killed), by ``rename`` where the content does not depend on who
writes it.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from airflow_imap_oauth.etl.store import store_faults

_TEMPORARY = "tmp"
# Every write refreshes a file's time: what is older belongs to no living process.
_LEFTOVER_AGE_SECONDS = 24 * 3600
# File systems that cannot flush a folder say so; they keep its entries in their own way.
_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)


class LocalStore:
    """
    Files below one folder, which is made when the first file is written.

    :param root: Absolute path.
    """

    kind = "file"
    uniform = False

    def __init__(self, root: str) -> None:
        self._root = Path(root)
        self._known: set[Path] = set()
        self._unsynced: set[Path] = set()

    def read(self, name: str) -> bytes | None:
        """Return a file's content, or None where there is none."""
        with self._faults("read", name):
            try:
                return (self._root / name).read_bytes()
            except FileNotFoundError:
                return None

    def create(self, name: str, data: bytes) -> bool:
        """Create a file, whole and durable, unless it exists."""
        with self._faults("create", name):
            path = self._root / name
            self._make_folder(path.parent)
            temporary = self._write_temporary(data)
            try:
                os.link(temporary, path)
            except FileExistsError:
                return path.read_bytes() == data
            finally:
                temporary.unlink()
            self._unsynced.add(path.parent)
        self.sync()
        return True

    def write(self, name: str, data: bytes) -> None:
        """Write a small file over an older one, durable."""
        with self.upload(name) as upload:
            upload.write(data)
        self.sync()

    @contextmanager
    def upload(self, name: str) -> Iterator[_LocalUpload]:
        """Write a file in pieces; it gets its name when the context ends well."""
        path = self._root / name
        with self._faults("write", name):
            self._make_folder(path.parent)
            temporary, stream = self._open_temporary()
        try:
            yield _LocalUpload(stream, partial(self._faults, "write", name))
            with self._faults("write", name):
                _flush(stream)
                stream.close()
                temporary.replace(path)
                self._unsynced.add(path.parent)
        except BaseException:
            with suppress(OSError):
                stream.close()
            temporary.unlink(missing_ok=True)
            raise

    def names(self, folder: str) -> list[str]:
        """Return the base names in a folder, sorted."""
        with self._faults("list", folder):
            try:
                return sorted(path.name for path in (self._root / folder).iterdir())
            except FileNotFoundError:
                return []

    def remove(self, name: str) -> None:
        """Remove a file; nothing happens where there is none."""
        with self._faults("remove", name):
            (self._root / name).unlink(missing_ok=True)

    def sync(self) -> None:
        """Make the names of all files written so far durable; their content is already."""
        while self._unsynced:
            folder = self._unsynced.pop()
            with self._faults("sync", str(folder)):
                _sync_folder(folder)

    def tidy(self) -> None:
        """Remove temporary files that no living process can own."""
        with self._faults("tidy", _TEMPORARY):
            oldest = time.time() - _LEFTOVER_AGE_SECONDS
            for name in self.names(_TEMPORARY):
                path = self._root / _TEMPORARY / name
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < oldest:
                        path.unlink()

    def _make_folder(self, folder: Path) -> None:
        if folder in self._known:
            return
        missing = folder
        made = []
        while not missing.is_dir():
            made.append(missing)
            missing = missing.parent
        folder.mkdir(parents=True, exist_ok=True)
        self._unsynced.update(path.parent for path in made)
        self._known.add(folder)

    def _open_temporary(self) -> tuple[Path, BinaryIO]:
        self._make_folder(self._root / _TEMPORARY)
        path = self._root / _TEMPORARY / f"{os.getpid()}-{secrets.token_hex(8)}"
        return path, path.open("xb", buffering=0)

    def _write_temporary(self, data: bytes) -> Path:
        path, stream = self._open_temporary()
        try:
            with stream:
                _LocalUpload(stream, partial(self._faults, "write", path.name)).write(data)
                _flush(stream)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    @contextmanager
    def _faults(self, action: str, name: str) -> Iterator[None]:
        with store_faults(f"{action} {name}", str(self._root)):
            yield


class _LocalUpload:
    """An unbuffered file: what was written is with the system, nothing is written at its close."""

    def __init__(
        self, stream: BinaryIO, faults: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._stream = stream
        self._faults = faults

    def write(self, data: bytes) -> None:
        """Append bytes."""
        with self._faults():
            rest = memoryview(data)
            while rest:
                rest = rest[self._stream.write(rest) :]


def _flush(stream: BinaryIO) -> None:
    os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)
