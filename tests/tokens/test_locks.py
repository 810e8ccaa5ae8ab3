# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The renewal lock, with real threads and processes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from airflow_imap_oauth.exceptions import ConfigurationError, TokenStoreError
from airflow_imap_oauth.tokens.locks import RenewalLock, default_lock_folder

_HOLDER = """
import sys
from pathlib import Path
from airflow_imap_oauth.tokens.locks import RenewalLock
with RenewalLock(Path(sys.argv[1]), "mail").hold(timeout_seconds=5):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def _held_by_a_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def _attempt(folder: Path, conn_id: str = "mail") -> bool:
    with RenewalLock(folder, conn_id).attempt() as entered:
        return entered


def test_it_can_be_had_again(tmp_path: Path) -> None:
    """Once released, the lock is free, for waiting and for trying."""
    for _ in range(2):
        with RenewalLock(tmp_path / "locks", "mail").hold(timeout_seconds=1):
            pass
        assert _attempt(tmp_path / "locks")


def test_another_thread_does_not_enter(tmp_path: Path) -> None:
    """While a thread holds the lock, another one of the process neither enters nor waits."""
    entered: list[bool] = []
    with RenewalLock(tmp_path / "locks", "mail").hold(timeout_seconds=1):
        thread = threading.Thread(target=lambda: entered.append(_attempt(tmp_path / "locks")))
        thread.start()
        thread.join()
    assert entered == [False]


def test_another_process_does_not_enter(tmp_path: Path) -> None:
    """While a process holds the lock, others neither enter nor wait for ever."""
    with _held_by_a_process(tmp_path / "locks"):
        assert not _attempt(tmp_path / "locks")
        with (
            pytest.raises(TokenStoreError, match="Another process") as caught,
            RenewalLock(tmp_path / "locks", "mail").hold(timeout_seconds=0.1),
        ):
            pass
    assert caught.value.retry_helps
    assert caught.value.conn_id == "mail"


def test_other_connections_are_free(tmp_path: Path) -> None:
    """The lock of one connection does not stop another one."""
    with _held_by_a_process(tmp_path / "locks"):
        assert _attempt(tmp_path / "locks", "other")


def test_a_killed_holder_leaves_it_free(tmp_path: Path) -> None:
    """When its holder is killed, the lock is free at once."""
    with _held_by_a_process(tmp_path / "locks") as process:
        process.kill()
        process.wait()
        assert _attempt(tmp_path / "locks")


def test_a_forked_child_is_not_stuck(tmp_path: Path) -> None:
    """A child forked while a thread of its parent holds the lock can have it afterwards."""
    with RenewalLock(tmp_path / "locks", "mail").hold(timeout_seconds=1):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(writing)
                os.read(reading, 1)  # until the parent has released it
                os._exit(0 if _attempt(tmp_path / "locks") else 1)
            finally:
                os._exit(2)
        os.close(reading)
    os.close(writing)
    assert os.waitpid(child, 0)[1] == 0


def test_an_error_inside_releases_it(tmp_path: Path) -> None:
    """Whoever fails while holding the lock releases it."""
    with (
        pytest.raises(ZeroDivisionError),
        RenewalLock(tmp_path / "locks", "mail").hold(timeout_seconds=1),
    ):
        _ = 1 / 0
    assert _attempt(tmp_path / "locks")


def test_only_the_owner_can_use_it(tmp_path: Path) -> None:
    """Folder and lock file are closed to other users."""
    assert _attempt(tmp_path / "locks")
    paths = [tmp_path / "locks", *(tmp_path / "locks").iterdir()]
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o700, 0o600]


@pytest.mark.parametrize("kind", ["link", "file", "open"])
def test_an_unfit_folder_is_refused(tmp_path: Path, kind: str) -> None:
    """A link, a file or a folder open to others is refused; the message says what to use."""
    folder = tmp_path / "locks"
    if kind == "link":
        (tmp_path / "elsewhere").mkdir()
        folder.symlink_to("elsewhere")
    elif kind == "file":
        folder.write_text("")
    else:
        folder.mkdir()
        folder.chmod(0o777)
    with pytest.raises(
        ConfigurationError, match=r"connection 'mail', renewal lock: .*Use a folder"
    ):
        _attempt(folder)


def test_a_lock_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """A lock file that cannot be locked is a clear error that names the option."""
    (tmp_path / "locks" / "mail.lock").mkdir(parents=True)
    (tmp_path / "locks").chmod(0o700)
    with pytest.raises(ConfigurationError, match=r"\[imap_oauth\] lock_folder"):
        _attempt(tmp_path / "locks")


def test_the_default_folder_is_the_users_own() -> None:
    """Users of one host do not meet in one folder."""
    assert str(os.geteuid()) in default_lock_folder().name
