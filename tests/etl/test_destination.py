# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Destinations that cannot be written, that fail midway, and that are no local disk."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem
from upath import UPath

from airflow_imap_oauth.etl import FetchOptions, fetch, open_destination
from airflow_imap_oauth.etl.object_store import ObjectStore
from airflow_imap_oauth.etl.paths import Destination
from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    DestinationError,
    DestinationUnavailableError,
    ImapConnectionError,
)
from tests.etl.conftest import ACCOUNT, Landed
from tests.etl.memory_mailbox import MemoryMailbox, mail

SECRET = "https://store.test/x?sig=canary"


class Bucket(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A store of its own, with faults as object stores have them."""

    store: dict[str, Any] = {}  # noqa: RUF012  # replaced for every instance
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.store = {}
        self.pseudo_dirs = [""]
        self.exclusive = True
        self.refusal: Exception = OSError(errno.EINVAL, f"PreconditionFailed {SECRET}")
        self.fault: Exception | None = None
        self.fails_after: int | None = None
        self.requests_are_doubled = False

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if mode == "rb":
            return super()._open(path, mode, **options)
        if self.fails_after is not None:
            self.fails_after -= 1
            if self.fails_after < 0:
                assert self.fault is not None
                raise self.fault
        return _BucketFile(self, self._strip_protocol(path), exclusive=mode == "xb")


class _BucketFile:
    """Like those of object stores: nothing is there before it is closed, closing completes it."""

    def __init__(self, bucket: Bucket, path: str, *, exclusive: bool) -> None:
        self.bucket, self.path, self.exclusive = bucket, path, exclusive
        self.data = b""
        self.closed = False
        self.discarded = False

    def write(self, data: bytes) -> None:
        self.data += data

    def discard(self) -> None:
        self.discarded = True

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        for _ in range(2 if self.bucket.requests_are_doubled else 1):
            if self.exclusive and self.bucket.exclusive and self.path in self.bucket.store:
                raise self.bucket.refusal
            self.bucket.store[self.path] = MemoryFile(self.bucket, self.path, self.data)

    def __del__(self) -> None:
        """Complete, as those of fsspec do."""
        self.close()


class BucketPath:
    """The part of ``ObjectStoragePath`` that is used."""

    protocol = "bucket"

    def __init__(self, bucket: Bucket) -> None:
        self.fs, self.path = bucket, "/name/mail"

    def __str__(self) -> str:
        """Return it as people write it."""
        return "bucket://name/mail"


@pytest.fixture
def bucket() -> Bucket:
    """Give an empty store."""
    return Bucket()


def run(destination: Destination, mailbox: MemoryMailbox, run_id: str = "run") -> Any:
    """Carry out a run."""
    return fetch(mailbox, destination, FetchOptions(), account=ACCOUNT, run_id=run_id)


def test_mail_lands_in_an_object_store(bucket: Bucket) -> None:
    """A run, and a second one, work on any fsspec file system."""
    mailbox = MemoryMailbox(mail(a_csv=b"1"), mail())

    first = run(open_destination(BucketPath(bucket)), mailbox, "first")
    mailbox.deliver(mail())
    second = run(open_destination(BucketPath(bucket)), mailbox, "second")

    assert (first.counts.messages, second.counts.messages) == (2, 1)
    assert first.manifest.startswith("bucket://name/mail/runs/")
    assert len([path for path in bucket.store if path.endswith(".eml")]) == 3
    assert not [path for path in bucket.store if "/tmp/" in path]


def test_mail_lands_through_universal_pathlib(tmp_path: Path) -> None:
    """Without Airflow a ``UPath`` is a destination, local or not."""
    for path in (UPath(tmp_path), UPath("memory://test_mail_lands/x")):
        result = run(open_destination(path), MemoryMailbox(mail()))
        assert UPath(result.manifest).read_bytes()


def test_a_store_that_overwrites_is_refused(bucket: Bucket) -> None:
    """Where two runs could both create one commit, nothing is landed."""
    bucket.exclusive = False

    with pytest.raises(DestinationError, match="overwrite each other") as caught:
        open_destination(BucketPath(bucket))

    assert not caught.value.retry_helps
    assert bucket.store == {}


def test_a_store_is_tried_only_once(bucket: Bucket) -> None:
    """A destination that has been proved good is opened with reading alone."""
    open_destination(BucketPath(bucket))
    bucket.fails_after, bucket.fault = 0, AssertionError("written to")

    open_destination(BucketPath(bucket))


def test_a_commit_whose_request_was_sent_twice_is_ours(bucket: Bucket) -> None:
    """The second copy of our own request is refused; the object tells that we had won."""
    destination = open_destination(BucketPath(bucket))
    bucket.requests_are_doubled = True

    result = run(destination, MemoryMailbox(mail()))

    assert result.counts.messages == 1


@pytest.mark.parametrize(
    ("error", "retry_helps"),
    [
        (PermissionError(f"denied {SECRET}"), False),
        (FileNotFoundError("no such bucket"), False),
        (ImportError("no such library"), False),
        (OSError(errno.EBUSY, f"slow down {SECRET}"), True),
        (TimeoutError(SECRET), True),
        (RuntimeError(SECRET), True),
    ],
)
def test_faults_of_a_store_are_told_without_its_words(
    bucket: Bucket, error: Exception, retry_helps: bool
) -> None:
    """Whatever a library raises becomes our error, which knows whether a retry helps."""
    destination = open_destination(BucketPath(bucket))
    bucket.fails_after, bucket.fault = 0, error
    mailbox = MemoryMailbox(mail())

    with pytest.raises(DestinationError) as caught:
        run(destination, mailbox)

    assert isinstance(caught.value, DestinationUnavailableError) is retry_helps
    assert caught.value.retry_helps is retry_helps
    assert "bucket://name/mail" in str(caught.value)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert mailbox.requested == []


@pytest.mark.parametrize("writes", range(3, 12))
def test_a_store_that_fails_midway_loses_nothing(bucket: Bucket, writes: int) -> None:
    """Whichever write fails, the next try lands what is missing, once."""
    mailbox = MemoryMailbox(mail(a_csv=b"1"), mail())
    destination = open_destination(BucketPath(bucket))
    bucket.fails_after, bucket.fault = writes, ConnectionResetError("reset")
    try:
        run(destination, mailbox)
    except DestinationUnavailableError:
        bucket.fails_after = None
        run(destination, mailbox)

    commits = [path for path in bucket.store if "/commits/" in path]
    assert len(commits) == 1
    assert len([path for path in bucket.store if "/runs/" in path]) == 1


def test_a_broken_upload_leaves_what_was_there(bucket: Bucket) -> None:
    """Half an object never replaces a whole one, not even when it is collected as garbage."""
    store = ObjectStore(bucket, "/name", kind="bucket", shown="bucket://name")
    store.write("x", b"whole")

    def break_off() -> None:
        with store.upload("x") as upload:
            upload.write(b"ha")
            raise ImapConnectionError("lost")

    with pytest.raises(ImapConnectionError):
        break_off()

    assert store.read("x") == b"whole"


def test_a_destination_below_a_file_is_told_before_mail_is_read(tmp_path: Path) -> None:
    """A path that cannot be a folder is refused, with path, step and hint."""
    (tmp_path / "file").write_text("x")

    with pytest.raises(DestinationError) as caught:
        open_destination(tmp_path / "file" / "mail")

    assert not caught.value.retry_helps
    assert caught.value.step == "destination"
    assert str(tmp_path) in str(caught.value)
    assert caught.value.hint


def test_a_destination_that_became_unwritable_is_told_before_mail_is_read(
    landed: Landed,
) -> None:
    """Mail is not read when there is nowhere to put it."""
    mailbox = MemoryMailbox(mail())
    destination = open_destination(landed.root)
    (landed.root / "tmp").rmdir()
    (landed.root / "tmp").write_text("in the way")

    with pytest.raises(DestinationError):
        run(destination, mailbox)

    assert mailbox.requested == []


def test_a_relative_path_is_refused() -> None:
    """Every worker has another current folder."""
    with pytest.raises(ConfigurationError, match="relative"):
        open_destination(Path("mail"))


@pytest.mark.parametrize("fault", [ValueError("canary"), ImportError("canary")])
def test_a_file_system_that_is_not_installed_is_named(fault: Exception) -> None:
    """Where the worker has no library for such URLs, the error says what to install."""

    class Missing:
        protocol, path = "s3", "/bucket/mail"

        def __str__(self) -> str:
            return "s3://bucket/mail"

        @property
        def fs(self) -> Any:
            raise fault

    with pytest.raises(DestinationError, match=r"'s3'.*Install") as caught:
        open_destination(cast("Any", Missing()))

    assert not caught.value.retry_helps
    assert "canary" not in str(caught.value)


def test_a_folder_without_hard_links_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that cannot link cannot hold a ledger, and the error says so."""

    def no_links(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)

    with pytest.raises(DestinationError):
        open_destination(tmp_path)


def test_a_full_disk_ends_the_attempt(landed: Landed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room the attempt ends with a clear error; what is committed stays."""
    mailbox = MemoryMailbox(mail(), mail())
    landed.fetch(mailbox, "first")
    mailbox.deliver(mail())
    destination = open_destination(landed.root)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DestinationUnavailableError, match="No space left"):
            run(destination, mailbox, "second")

    assert run(destination, mailbox, "second").counts.messages == 1


def test_only_old_leftovers_are_tidied(landed: Landed) -> None:
    """Temporary files of killed processes go after a day, those of living ones stay."""
    landed.fetch(MemoryMailbox(), "first")
    old, young = (landed.root / "tmp" / name for name in ("old", "young"))
    for file in (old, young):
        file.write_text("half")
    day_before = time.time() - 90_000
    os.utime(old, (day_before, day_before))

    landed.fetch(MemoryMailbox(mail()), "second")

    assert [file.name for file in (landed.root / "tmp").iterdir()] == ["young"]


def test_memory_does_not_grow_with_the_mail(landed: Landed) -> None:
    """A message of any size passes through in pieces."""
    import tracemalloc

    pieces, piece_bytes = 64, 1024 * 1024
    mailbox = MemoryMailbox(mail())

    def large(_request: object) -> Iterator[bytes]:
        return (bytes(piece_bytes) for _ in range(pieces))

    mailbox._pieces = large  # type: ignore[method-assign]
    tracemalloc.start()
    try:
        result = landed.fetch(mailbox, "run")
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert result.counts.stored_bytes == pieces * piece_bytes
    assert peak_bytes < 8 * piece_bytes
