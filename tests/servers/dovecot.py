# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
A Dovecot of one's own: generated configuration, own folder, ephemeral ports, started and stopped.

Use::

    with Dovecot(authorization_server, ca) as dovecot:
        dovecot.deliver("alice@example.test", raw)
        connect(dovecot.host, dovecot.port)
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlsplit

from tests.servers import dovecot_config, modified_utf7

if TYPE_CHECKING:
    from tests.servers.certificates import CertificateAuthority

_START_SECONDS = 20.0
_STOP_SECONDS = 10.0
_ATTEMPTS = 5
_MAX_SOCKET_PATH = 107
_MAILDIR_FLAGS = {
    "\\Seen": "S",
    "\\Answered": "R",
    "\\Flagged": "F",
    "\\Deleted": "T",
    "\\Draft": "D",
}


class IntrospectionServer(Protocol):
    """Where an access token is looked up (RFC 7662), and as which client."""

    introspection_url: str
    client_id: str
    client_secret: str


def dovecot_available() -> bool:
    """Whether Dovecot with IMAP is installed."""
    return _binary("dovecot") is not None and Path("/usr/lib/dovecot/imap").exists()


def _binary(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class Dovecot:
    """
    One Dovecot, a :class:`~tests.servers.mail_server.MailServer`.

    Started by root it drops to Dovecot's own users, as in production; started by anybody else it
    runs whole as that user.

    :param folder: Where everything is kept. It must be short (sockets live in it) and reachable by
        the users that Dovecot runs as. None: a folder of its own, removed at the end.
    :param run_as: Only for root: start it as this ordinary user instead.
    """

    def __init__(
        self,
        authorization_server: IntrospectionServer,
        ca: CertificateAuthority,
        folder: Path | None = None,
        *,
        run_as: str | None = None,
    ) -> None:
        self.host = "localhost"
        self.port = 0
        self.starttls_port = 0
        self._introspection = authorization_server
        self._ca = ca
        self._temporary = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="dovecot-"))
        self._as_root = os.geteuid() == 0 and run_as is None
        self._run_as = run_as
        owner = "dovecot" if self._as_root else run_as
        self._owner = pwd.getpwnam(owner) if owner else pwd.getpwuid(os.geteuid())
        self._process: subprocess.Popen[bytes] | None = None
        # Maildir names start with a number: messages get their UIDs in its order.
        self._serial = count(1_700_000_000)

    # --- Life -----------------------------------------------------------------------------------

    def __enter__(self) -> Dovecot:
        """Start it and wait until both ports answer."""
        try:
            self._lay_out()
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it; remove its folder if it was made for it."""
        self.stop()

    @property
    def pid(self) -> int:
        """Process id of the master process."""
        if self._process is None:
            raise RuntimeError("Dovecot is not running")
        return self._process.pid

    def stop(self) -> None:
        """End its processes, by the process group that was started here."""
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _lay_out(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        if len(str(self.folder / "run" / "auth-token-secret.dat.tmp")) > _MAX_SOCKET_PATH:
            raise ValueError(f"{self.folder} is too long for Unix sockets: take a shorter folder")
        for name in ("run", "state", "tls", "index", "mail"):
            (self.folder / name).mkdir(exist_ok=True)
        self._write_keys()
        self._write_oauth2()
        for name in ("index", "mail"):
            self._give(self.folder / name)
        if self._run_as is not None:
            self._give(self.folder, recursive=True)

    def _write_keys(self) -> None:
        cert_file, key_file = self._ca.issue("localhost", "127.0.0.1")
        for source, name in (
            (cert_file, "server.pem"),
            (key_file, "server.key"),
            (self._ca.ca_file, "ca.pem"),
        ):
            shutil.copyfile(source, self.folder / "tls" / name)
        (self.folder / "tls" / "server.key").chmod(0o600)

    def _write_oauth2(self) -> None:
        url = urlsplit(self._introspection.introspection_url)
        login = ":".join(
            quote(text, safe="")
            for text in (self._introspection.client_id, self._introspection.client_secret)
        )
        with_login = url._replace(netloc=f"{login}@{url.netloc}").geturl()
        oauth2 = self.folder / "oauth2.conf.ext"
        oauth2.write_text(dovecot_config.oauth2(self.folder, with_login))
        oauth2.chmod(0o600)

    def _start(self) -> None:
        # A port that was free may be taken by the time Dovecot binds it: take others then.
        if not any(self._start_once() for _ in range(_ATTEMPTS)):
            raise RuntimeError(f"Dovecot does not start: {self.log_text()[-2000:]}")

    def _start_once(self) -> bool:
        self.port, self.starttls_port = _free_ports()
        config = self.folder / "dovecot.conf"
        config.write_text(
            dovecot_config.main(
                self.folder,
                port=self.port,
                starttls_port=self.starttls_port,
                mail_uid=self._owner.pw_uid,
                mail_gid=self._owner.pw_gid,
                user=None if self._as_root else self._owner.pw_name,
            )
        )
        with (self.folder / "dovecot.stderr").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command("dovecot"), "-F"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if _listens(self.port) and _listens(self.starttls_port):
                return True
            time.sleep(0.02)
        self._process.kill()
        self._process.wait()
        return False

    def _command(self, name: str) -> list[str]:
        binary = _binary(name)
        if binary is None:
            raise FileNotFoundError(f"{name} is not installed")
        prefix: list[str] = []
        if self._run_as is not None:
            prefix = ["setpriv", f"--reuid={self._owner.pw_uid}", f"--regid={self._owner.pw_gid}"]
            prefix.append("--clear-groups")
        return [*prefix, binary, "-c", str(self.folder / "dovecot.conf")]

    def doveadm(self, *arguments: str) -> str:
        """Run ``doveadm ARGUMENTS`` at this server and return what it printed."""
        done = subprocess.run(
            [*self._command("doveadm"), *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"doveadm {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    # --- Mail -----------------------------------------------------------------------------------

    def maildir(self, login: str, folder: str = "INBOX") -> Path:
        """Return the Maildir of a mail folder, made if missing."""
        home = self.folder / "mail" / login.lower()
        path = home / "Maildir"
        if folder.upper() != "INBOX":
            path /= modified_utf7.encode(folder)
        for part in ("cur", "new", "tmp"):
            (path / part).mkdir(parents=True, exist_ok=True)
        for made in (path, *path.parents):
            self._give(made, recursive=made == path)
            if made == home:
                break
        return path

    def deliver(
        self,
        login: str,
        raw: bytes,
        folder: str = "INBOX",
        internaldate: datetime | None = None,
        flags: Iterable[str] = (),
    ) -> None:
        """Put one message into a folder (see :class:`~tests.servers.mail_server.MailServer`)."""
        path = self.maildir(login, folder)
        name = f"{next(self._serial)}.M0P1.localhost"
        source = path / "tmp" / name
        source.write_bytes(raw)
        self._give(source)
        if internaldate is not None:
            os.utime(source, (internaldate.timestamp(),) * 2)
        letters = "".join(sorted(_MAILDIR_FLAGS[flag] for flag in flags))
        source.rename(path / "cur" / f"{name}:2,{letters}" if letters else path / "new" / name)

    def import_maildir(self, login: str, source: Path, folder: str = "INBOX") -> None:
        """Link every message of another Maildir's ``cur`` into a folder, names kept."""
        path = self.maildir(login, folder)
        for file in sorted((source / "cur").iterdir()):
            target = path / "cur" / file.name
            try:
                os.link(file, target)
            except OSError:  # another file system
                shutil.copy2(file, target)
            target.chmod(0o644)
        self._give(path)

    def create_folder(self, login: str, folder: str) -> None:
        """Make an empty folder; nothing happens when it exists."""
        self.maildir(login, folder)

    def expunge(self, login: str, uid: int, folder: str = "INBOX") -> None:
        """Remove one message as another client would."""
        name = modified_utf7.encode(folder)
        self.doveadm("expunge", "-u", login, "mailbox", name, "uid", str(uid))

    def renumber(self, login: str, folder: str = "INBOX") -> None:
        """Give the folder a new UIDVALIDITY; its messages stay, with UIDs from 1 in their order."""
        name = modified_utf7.encode(folder)
        status = self.doveadm("-f", "flow", "mailbox", "status", "-u", login, "uidvalidity", name)
        uidvalidity = int(status.rsplit("=", 1)[1]) + 1
        self.kick(login)
        for index in (self.folder / "index" / login.lower()).rglob("dovecot.index*"):
            index.unlink()
        # Without a list the server numbers the files anew.
        (self.maildir(login, folder) / "dovecot-uidlist").write_text(
            f"3 V{uidvalidity} N1 G{os.urandom(16).hex()}\n"
        )
        self._give(self.maildir(login, folder), recursive=True)

    def kick(self, login: str) -> None:
        """End every connection of an account from the server's side."""
        with suppress(RuntimeError):  # it fails where nobody is connected
            self.doveadm("kick", login)

    def log_text(self) -> str:
        """Return what the server logged so far."""
        texts = (self.folder / name for name in ("dovecot.stderr", "dovecot.log"))
        return "".join(file.read_text(errors="replace") for file in texts if file.exists())

    def _give(self, path: Path, *, recursive: bool = False) -> None:
        if os.geteuid() != 0:
            return
        for one in (path, *path.rglob("*")) if recursive else (path,):
            os.chown(one, self._owner.pw_uid, self._owner.pw_gid)


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        for probe in (first, second):
            probe.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
