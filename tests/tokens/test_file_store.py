# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The file store: the contract, and that nobody else gets at the files."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_imap_oauth.exceptions import ConfigurationError, TokenStoreError
from airflow_imap_oauth.tokens.file_store import FileTokenStore
from tests.tokens.lease_contract import (
    LEASING_CONTRACT,
    RELEASED_LEASE,
    lease_of,
)
from tests.tokens.store_contract import (
    AWKWARD_CONN_IDS,
    CONTRACT,
    Claim,
    claim_name,
)

_HOLDER = """
import pathlib, sys
from airflow_imap_oauth.tokens.file_store import FileTokenStore
from tests.tokens.lease_contract import lease_of
lease = lease_of(FileTokenStore(pathlib.Path(sys.argv[1])))
print(lease.attempt(1), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("claim", CONTRACT + LEASING_CONTRACT + RELEASED_LEASE, ids=claim_name)
def test_contract(claim: Claim, tmp_path: Path) -> None:
    """The file store keeps to the contract of all stores."""
    claim(FileTokenStore(tmp_path / "tokens"))


def test_lease_ends_with_its_process(tmp_path: Path) -> None:
    """The lease of a process that is killed is free for every host at once."""
    store = FileTokenStore(tmp_path / "tokens")
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, tmp_path / "tokens"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"True\n"
        assert not lease_of(store).attempt(1)
        holder.kill()
        holder.wait()
        assert lease_of(store).attempt(1)


def test_lease_leaves_records_alone(tmp_path: Path) -> None:
    """The lease is a file of its own, which only the owner can read."""
    store = FileTokenStore(tmp_path / "tokens")
    lease = lease_of(store)
    assert lease.attempt(1)
    assert store.load("mail") is None
    (file,) = (tmp_path / "tokens").iterdir()
    assert (file.name, stat.S_IMODE(file.stat().st_mode)) == ("mail.lease", 0o600)


def test_lease_in_a_folder_of_others_is_refused(tmp_path: Path) -> None:
    """A folder that others can write is refused for leases as for records."""
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens").chmod(0o777)
    with pytest.raises(ConfigurationError, match=r"connection 'mail', renewal lease: .*by others"):
        lease_of(FileTokenStore(tmp_path / "tokens")).attempt(1)


def test_lease_that_cannot_be_locked(tmp_path: Path) -> None:
    """Something else in place of the file is told as a fault of the store, with its path."""
    (tmp_path / "tokens" / "mail.lease").mkdir(parents=True)
    (tmp_path / "tokens").chmod(0o700)
    with pytest.raises(TokenStoreError, match=r"connection 'mail', renewal lease: .*mail\.lease"):
        lease_of(FileTokenStore(tmp_path / "tokens")).attempt(1)


def test_another_instance_reads_it(tmp_path: Path) -> None:
    """What one process saved, another one reads."""
    FileTokenStore(tmp_path / "tokens").save("mail", "{}")
    assert FileTokenStore(tmp_path / "tokens").load("mail") == "{}"


def test_reading_makes_nothing(tmp_path: Path) -> None:
    """Looking for a record leaves no trace."""
    FileTokenStore(tmp_path / "tokens").load("mail")
    assert list(tmp_path.iterdir()) == []


def test_only_the_owner_can_read(tmp_path: Path) -> None:
    """Folder and files are closed to all other users, whatever the umask."""
    before = os.umask(0)
    try:
        FileTokenStore(tmp_path / "deep" / "tokens").save("mail", "{}")
    finally:
        os.umask(before)
    folder = tmp_path / "deep" / "tokens"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}
    assert modes == {"tokens": 0o700, "mail.json": 0o600}


def test_files_stay_in_the_folder(tmp_path: Path) -> None:
    """No connection id leads out of the folder, and no temporary file stays behind."""
    store = FileTokenStore(tmp_path / "tokens")
    for conn_id in AWKWARD_CONN_IDS:
        store.save(conn_id, "{}")
    assert [path.name for path in tmp_path.iterdir()] == ["tokens"]
    assert len(list((tmp_path / "tokens").iterdir())) == len(AWKWARD_CONN_IDS)


def test_a_linked_folder_is_refused(tmp_path: Path) -> None:
    """A folder that is a symbolic link is refused, for reading and for writing."""
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "tokens").symlink_to("elsewhere")
    store = FileTokenStore(tmp_path / "tokens")
    with pytest.raises(
        ConfigurationError, match=r"connection 'mail', token store: .*symbolic link"
    ):
        store.save("mail", "{}")
    with pytest.raises(ConfigurationError, match="symbolic link"):
        store.load("mail")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    """A file where the folder should be is a clear error."""
    (tmp_path / "tokens").write_text("")
    with pytest.raises(ConfigurationError, match="not a folder"):
        FileTokenStore(tmp_path / "tokens").save("mail", "{}")


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    """Who could put files into the folder could hand us tokens of his own."""
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens").chmod(mode)
    with pytest.raises(ConfigurationError, match="can be written by others"):
        FileTokenStore(tmp_path / "tokens").load("mail")


def test_a_foreign_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of another user is refused."""
    (tmp_path / "tokens").mkdir(mode=0o700)
    stranger = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        FileTokenStore(tmp_path / "tokens").save("mail", "{}")


def test_a_linked_file_is_not_followed(tmp_path: Path) -> None:
    """A link in place of a record is not read, and is replaced, not written through."""
    store = FileTokenStore(tmp_path / "tokens")
    store.save("mail", "{}")
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "tokens" / "mail.json").unlink()
    (tmp_path / "tokens" / "mail.json").symlink_to(tmp_path / "victim")
    with pytest.raises(TokenStoreError):
        store.load("mail")
    store.save("mail", '{"new": 1}')
    assert store.load("mail") == '{"new": 1}'
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_pipe_does_not_hang_the_reader(tmp_path: Path) -> None:
    """A named pipe in place of a record is refused at once."""
    store = FileTokenStore(tmp_path / "tokens")
    store.save("mail", "{}")
    (tmp_path / "tokens" / "mail.json").unlink()
    os.mkfifo(tmp_path / "tokens" / "mail.json")
    with pytest.raises(ConfigurationError, match="no plain file"):
        store.load("mail")


def test_a_failed_save_leaves_the_old_record(tmp_path: Path) -> None:
    """When the file system refuses, the old record stays whole and nothing is left behind."""
    store = FileTokenStore(tmp_path / "tokens")
    (tmp_path / "tokens").mkdir(mode=0o700)
    (tmp_path / "tokens" / "mail.json").mkdir()  # a file cannot take the place of a folder
    with pytest.raises(TokenStoreError, match="could not be written") as caught:
        store.save("mail", "{}")
    assert caught.value.retry_helps
    assert [path.name for path in (tmp_path / "tokens").iterdir()] == ["mail.json"]


def test_abandoned_temporary_files_are_swept(tmp_path: Path) -> None:
    """What a killed writer left is removed later; what may be being written is not."""
    store = FileTokenStore(tmp_path / "tokens")
    store.save("mail", "{}")
    for name, written_at in ((".mail.new.old", 0), (".mail.new.young", None)):
        file = tmp_path / "tokens" / name
        file.write_text("half")
        if written_at is not None:
            os.utime(file, (written_at, written_at))
    store.save("mail", "{}")
    names = {path.name for path in (tmp_path / "tokens").iterdir()}
    assert names == {"mail.json", ".mail.new.young"}
