# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A Dovecot can be started by root and by anybody, and leaves nothing behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.mailbox import WELL_FORMED
from tests.servers.authorization_server import AuthorizationServer
from tests.servers.certificates import CertificateAuthority
from tests.servers.dovecot import Dovecot
from tests.servers.imap_clients import signed_in

LOGIN = "alice@example.test"


@pytest.mark.dovecot
def test_runs_whole_as_an_ordinary_user(
    authorization_server: AuthorizationServer, ca: CertificateAuthority
) -> None:
    """Without root, or with root's rights given up, people sign in and read mail."""
    token = authorization_server.mint_access_token(LOGIN)
    run_as = "nobody" if os.geteuid() == 0 else None
    with Dovecot(authorization_server, ca, run_as=run_as) as server:
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
        server.deliver(LOGIN, WELL_FORMED[0].raw)
        with signed_in(server, ca, LOGIN, token) as client:
            assert client.search() == [1]


@pytest.mark.dovecot
def test_stops_and_removes_its_folder(
    authorization_server: AuthorizationServer, ca: CertificateAuthority
) -> None:
    """At the end neither its process, nor its ports, nor its folder are left."""
    with Dovecot(authorization_server, ca) as server:
        pid, folder = server.pid, server.folder
    assert not Path(f"/proc/{pid}").exists()
    assert not folder.exists()


@pytest.mark.dovecot
def test_a_folder_too_long_for_sockets_is_named(
    authorization_server: AuthorizationServer, ca: CertificateAuthority, tmp_path: Path
) -> None:
    """A folder that Unix sockets cannot live in is refused at once, with the reason."""
    server = Dovecot(authorization_server, ca, tmp_path / ("long" * 30))
    with pytest.raises(ValueError, match="too long for Unix sockets"):
        server.__enter__()


def test_imports_a_maildir(
    dovecot: Dovecot,
    authorization_server: AuthorizationServer,
    ca: CertificateAuthority,
    tmp_path: Path,
) -> None:
    """A ready Maildir becomes the mailbox of an account, in the order of its file names."""
    (tmp_path / "cur").mkdir()
    for number in (1, 2):
        file = tmp_path / "cur" / f"{number}.M0P1.bench:2,"
        file.write_bytes(b"Subject: %d\n\nbody\n" % number)
    login = "maildir@example.test"
    dovecot.import_maildir(login, tmp_path)
    token = authorization_server.mint_access_token(login)
    with signed_in(dovecot, ca, login, token) as client:
        rows = client.fetch([1, 2], ["BODY.PEEK[]"])
    assert [rows[uid][b"BODY[]"] for uid in (1, 2)] == [
        b"Subject: 1\r\n\r\nbody\r\n",
        b"Subject: 2\r\n\r\nbody\r\n",
    ]
