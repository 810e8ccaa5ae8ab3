# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Folders that only the user who runs this process can write."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from airflow_imap_oauth.exceptions import ConfigurationError

_HINT = "Use a folder that belongs to the user that runs Airflow, and that nobody else can write."
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def private_folder(folder: Path, *, create: bool) -> Iterator[int | None]:
    """
    Open a folder, and check that nobody else can put files there.

    What is done through the descriptor stays in that folder, whatever happens to the path.

    :param create: Make the folder, for this user alone, where it is missing.
    :return: The descriptor of the folder, or None if it is missing.
    :raises ConfigurationError: If it is a symbolic link or no folder, belongs to another user, or
        can be written by others. A retry cannot help.
    :raises OSError: If the operating system refuses.
    """
    descriptor = _opened(folder, create=create)
    if descriptor is None:
        yield None
        return
    try:
        _check(folder, os.fstat(descriptor))
        yield descriptor
    finally:
        os.close(descriptor)


def _opened(folder: Path, *, create: bool) -> int | None:
    if create:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
    try:
        return os.open(folder, _FOLDER_FLAGS)
    except FileNotFoundError:
        return None
    except OSError as error:
        if folder.is_symlink() or not folder.is_dir():
            raise ConfigurationError(
                f"'{folder}' is a symbolic link, or not a folder.", hint=_HINT
            ) from error
        raise


def _check(folder: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise ConfigurationError(f"The folder '{folder}' belongs to another user.", hint=_HINT)
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigurationError(f"The folder '{folder}' can be written by others.", hint=_HINT)
