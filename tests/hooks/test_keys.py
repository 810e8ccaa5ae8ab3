# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Which keys seal and open, what a sealed secret is good for, and what an editor can do with it."""

from __future__ import annotations

import base64
import io
import json
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.configuration import conf
from airflow.sdk import Connection
from airflow.secrets import BaseSecretsBackend
from cryptography.fernet import Fernet

from airflow_imap_oauth.cli.revoke import revoke
from airflow_imap_oauth.exceptions import ConfigurationError, SealingError
from airflow_imap_oauth.hooks.config import read_options
from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from airflow_imap_oauth.hooks.keys import sealed_secrets, sealer
from airflow_imap_oauth.hooks.mailbox import open_mailbox
from airflow_imap_oauth.tokens.sealing import Sealer, SealingKey
from airflow_imap_oauth.tokens.seeds import SEED_PURPOSE
from tests.cli.running import run
from tests.hooks import connections

if TYPE_CHECKING:
    from tests.hooks.mailboxes import Mailbox
    from tests.servers.authorization_server import AuthorizationServer
    from tests.servers.certificates import CertificateAuthority

SECRET = secrets.token_urlsafe(24)
FERNET = "AIRFLOW__CORE__FERNET_KEY"
OPTION = "AIRFLOW__IMAP_OAUTH__TOKEN_KEYS"
URL = "postgresql+psycopg2://tokens:pa55word@db.example.test/tokens"


def new_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def new_fernet_key() -> str:
    return Fernet.generate_key().decode()


class Host:
    """A host of an Airflow, by its keys."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def sealer(self, *, token_keys: str = "", fernet_key: str = "") -> Sealer:
        """Configure this process as that host is, and return its sealer."""
        self._patch.setenv(OPTION, token_keys)
        self._patch.setenv(FERNET, fernet_key)
        return sealer(read_options())


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    """Give a host whose keys can be changed."""
    return Host(monkeypatch)


def seal(by: Sealer) -> str:
    return by.seal(SECRET, purpose="test", binding={})


def opened(by: Sealer, text: str) -> str:
    return by.open(text, purpose="test", binding={})


# --- Which keys -----------------------------------------------------------------------------------


def test_first_fernet_key_seals_and_all_open(host: Host) -> None:
    """Without token_keys the keys come from Airflow's Fernet keys, in their order."""
    old, new = new_fernet_key(), new_fernet_key()
    sealed_before = seal(host.sealer(fernet_key=old))
    both = host.sealer(fernet_key=f"{new}, {old}")
    assert opened(both, sealed_before) == SECRET
    assert opened(host.sealer(fernet_key=new), seal(both)) == SECRET


@pytest.mark.parametrize("configured", ["", " ", "{FERNET_KEY}", "not a key", "AAAA", ","])
def test_what_is_no_fernet_key_seals_nothing(host: Host, configured: str) -> None:
    """No key, or what Airflow hands out instead of one, is an error that names both options."""
    with pytest.raises(SealingError, match=r"\[imap_oauth\] token_keys.*\[core\] fernet_key"):
        seal(host.sealer(fernet_key=configured))


def test_malformed_fernet_key_beside_a_good_one(host: Host) -> None:
    """What is no key is passed over, as long as another one is."""
    good = new_fernet_key()
    sealed = seal(host.sealer(fernet_key=f"{{FERNET_KEY}},{good}"))
    assert opened(host.sealer(fernet_key=good), sealed) == SECRET


def test_malformed_token_key_is_told(host: Host) -> None:
    """A bad entry of token_keys is refused and not quoted, although other keys are good."""
    with pytest.raises(ConfigurationError, match=r"\[imap_oauth\] token_keys") as caught:
        host.sealer(token_keys=f"{new_key()},mistyped-key", fernet_key=new_fernet_key())
    assert "mistyped-key" not in str(caught.value)


def test_token_keys_come_first(host: Host) -> None:
    """Keys of one's own seal from the first day, and what Fernet keys sealed still opens."""
    key, fernet_key = new_key(), new_fernet_key()
    sealed_before = seal(host.sealer(fernet_key=fernet_key))
    both = host.sealer(token_keys=key, fernet_key=fernet_key)
    assert opened(both, sealed_before) == SECRET
    assert opened(host.sealer(token_keys=key), seal(both)) == SECRET


@pytest.mark.parametrize("kind", ["token_keys", "fernet_key"])
def test_other_host_with_another_key(host: Host, kind: str) -> None:
    """A host with another key is told which one it lacks, which it has, and which options."""
    make = new_key if kind == "token_keys" else new_fernet_key
    here = host.sealer(**{kind: make()})
    text = seal(here)
    there = host.sealer(**{kind: make()})
    with pytest.raises(SealingError) as caught:
        opened(there, text)
    for part in (here.key_ids[0], there.key_ids[0], "[imap_oauth] token_keys", "fernet_key"):
        assert part in str(caught.value)


# --- What a secret is bound to --------------------------------------------------------------------

SERVER = "https://login.example.com"
EXTRA = {
    "mail_provider": "custom",
    "client_id": "client-1",
    "client_secret": SECRET,
    "issuer": SERVER,
    "exchange_url": f"{SERVER}/token",
    "device_url": f"{SERVER}/device",
    "revoke_url": f"{SERVER}/revoke",
    "ca_file": "/etc/ssl/ours.pem",
}


def connection(extra: dict[str, Any], **fields: Any) -> Connection:
    values = {"host": "imap.example.com", "login": "reports@example.com", **fields}
    return Connection(conn_id="mail", conn_type="imap_oauth", extra=json.dumps(extra), **values)


def sealed_extra(**changes: Any) -> dict[str, Any]:
    """Return extra with its client secret sealed."""
    extra = {**EXTRA, **changes}
    mailbox = open_mailbox(connection(extra))
    oauth = mailbox.settings.oauth
    return {**extra, **sealed_secrets(oauth, extra, mailbox.binding, mailbox.sealer)}


def refused(extra: dict[str, Any], **fields: Any) -> str:
    """Return why the secret of a connection does not open."""
    with pytest.raises(SealingError) as caught:
        open_mailbox(connection(extra, **fields))
    return str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"exchange_url": "https://evil.example/token"},
        {"issuer": "https://evil.example"},
        {"device_url": "https://evil.example/device"},
        {"revoke_url": "https://evil.example/revoke"},
        {"client_id": "evil"},
        {"ca_file": "/tmp/evil.pem"},
        {"exchange_url": None},
        {"issuer": None},
        {"device_url": None},
        {"revoke_url": None},
        {"ca_file": None},
    ],
    ids=str,
)
def test_secret_does_not_open_after_a_change(change: dict[str, Any]) -> None:
    """Whatever a secret is sent to, or by whom, cannot be changed or left out; the hint helps."""
    message = refused({**sealed_extra(), **change})
    assert "connection 'mail'" in message
    assert "Key 'client_secret' of extra" in message
    assert "Undo that change, or enter it again." in message
    assert SECRET not in message


def test_secret_does_not_open_for_another_mail_server() -> None:
    """The IMAP host counts as well: tokens go there."""
    assert "the host" in refused(sealed_extra(), host="imap.evil.example")


@pytest.mark.parametrize(
    "change",
    [
        {"extra": {"grant": None}},
        {"extra": {"mailbox": "chief@example.com"}},
        {"login": "chief@example.com"},
    ],
    ids=str,
)
def test_own_secret_does_not_open_for_another_mailbox(change: dict[str, Any]) -> None:
    """A credential that may open every mailbox of an organization opens the one it was given."""
    extra = {**sealed_extra(grant="client_credentials"), **change.get("extra", {})}
    fields = {name: value for name, value in change.items() if name != "extra"}
    message = refused(extra, **fields)
    assert "without a sign-in also grant, login or mailbox" in message
    assert "enter it again" in message


@pytest.mark.parametrize(
    "change",
    [
        {"authorize_url": f"{SERVER}/other"},
        {"jwks_url": f"{SERVER}/keys"},
        {"scopes": "mail offline_access"},
        {"read_timeout_seconds": 9},
        {"proxy_url": "http://proxy.example.com:3128"},
        {"exchange_url": "https://LOGIN.example.com:443/token"},
    ],
    ids=str,
)
def test_secret_opens_after_other_changes(change: dict[str, Any]) -> None:
    """What does not decide who receives a secret may be changed freely."""
    mailbox = open_mailbox(connection({**sealed_extra(), **change}))
    assert mailbox.settings.oauth.client_secret == SECRET


def test_secret_of_another_key_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its key, a secret of extra is named together with key, option and what to do."""
    old = new_key()
    monkeypatch.setenv(OPTION, old)
    extra = sealed_extra()
    monkeypatch.setenv(OPTION, new_key())
    message = refused(extra)
    assert "Key 'client_secret' of extra" in message
    assert SealingKey.from_token_key(old).key_id in message
    assert "Give every host the same [imap_oauth] token_keys" in message
    assert "or enter it again" in message


# --- What an editor can do ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stranger(ca: CertificateAuthority) -> Iterator[AuthorizationServer]:
    """Give another authorization server, whose certificate is as good as that of the true one."""
    from tests.servers.authorization_server import AuthorizationServer

    with AuthorizationServer(ca) as server:
        yield server


@pytest.fixture
def sealed_mailbox(embedded_mailbox: Mailbox, stranger: AuthorizationServer) -> Mailbox:
    """Give a mailbox whose secrets are sealed, and which was used already."""
    stranger.reset()
    conn_id = embedded_mailbox.conn_id
    password, extra = connections.stored(conn_id)
    opened = open_mailbox(ImapOAuthHook.get_connection(conn_id))
    connections.change(
        conn_id,
        password=opened.sealer.seal(password or "", purpose=SEED_PURPOSE, binding=opened.binding),
        extra=sealed_secrets(opened.settings.oauth, extra, opened.binding, opened.sealer),
    )
    ImapOAuthHook(conn_id).get_access_token()
    embedded_mailbox.authorization.reset_counters()
    return embedded_mailbox


def elsewhere(stranger: AuthorizationServer) -> dict[str, dict[str, Any]]:
    """Return what an editor would change, by what he is after."""
    return {
        "token": {"exchange_url": stranger.token_url},
        "token_alone": {"exchange_url": stranger.token_url, "issuer": None},
        "issuer": {"issuer": stranger.issuer},
        "revocation": {"revoke_url": stranger.revoke_url},
        "device": {"device_url": stranger.device_url},
    }


@pytest.mark.parametrize("aim", ["token", "token_alone", "issuer", "revocation", "device"])
def test_editors_own_server_is_asked_nothing(
    sealed_mailbox: Mailbox,
    stranger: AuthorizationServer,
    capsys: pytest.CaptureFixture[str],
    aim: str,
) -> None:
    """No task, no sign-in and no revocation sends anything to an endpoint put in by an editor."""
    conn_id = sealed_mailbox.conn_id
    connections.change(conn_id, extra=elsewhere(stranger)[aim])
    before = connections.stored(conn_id)
    with pytest.raises(SealingError, match="Undo that change"):
        ImapOAuthHook(conn_id).get_access_token()
    assert ImapOAuthHook(conn_id).test_connection()[0] is False
    for code, errors in (
        run(capsys, conn_id=conn_id, device=True),
        run(capsys, revoke, conn_id=conn_id),
    ):
        assert (code, "Undo that change" in errors) == (2, True), errors
    assert not stranger.requests
    assert not sealed_mailbox.authorization.requests
    assert connections.stored(conn_id) == before


def test_editors_own_mail_server_is_not_called(sealed_mailbox: Mailbox) -> None:
    """No access token goes to a mail server put in by an editor: it is not even connected to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        connections.change(sealed_mailbox.conn_id, host="127.0.0.1", port=port)
        with (
            pytest.raises(SealingError, match="Undo that change"),
            ImapOAuthHook(sealed_mailbox.conn_id),
        ):
            pass
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_change_undone_all_is_well(sealed_mailbox: Mailbox, stranger: AuthorizationServer) -> None:
    """Once the editor's change is undone, the mailbox opens without anybody signing in."""
    _, extra = connections.stored(sealed_mailbox.conn_id)
    connections.change(sealed_mailbox.conn_id, extra={"issuer": stranger.issuer})
    with pytest.raises(SealingError):
        ImapOAuthHook(sealed_mailbox.conn_id).get_access_token()
    connections.change(sealed_mailbox.conn_id, extra={"issuer": extra["issuer"]})
    with ImapOAuthHook(sealed_mailbox.conn_id) as hook:
        assert hook.get_access_token()


def test_plain_secret_goes_where_the_connection_says(
    embedded_mailbox: Mailbox, stranger: AuthorizationServer
) -> None:
    """Without sealing the same change does send the secret there: that is what sealing stops."""
    stranger.reset()
    connections.change(embedded_mailbox.conn_id, extra={"issuer": stranger.issuer})
    with pytest.raises(Exception, match=embedded_mailbox.conn_id):
        ImapOAuthHook(embedded_mailbox.conn_id).get_access_token()
    sent = [dict(request.parameters) for request in stranger.recorded("token")]
    assert sent[0]["client_secret"] == embedded_mailbox.authorization.client_secret


# --- Where the options are kept -------------------------------------------------------------------


class ConfigurationBackend(BaseSecretsBackend):
    """Holds options, as Vault would."""

    def get_config(self, key: str) -> str | None:
        """Return the value of an option."""
        return {"held-token_keys": SECRET, "held-sql_alchemy_conn": URL}.get(key)


of_each_option = pytest.mark.parametrize(
    ("name", "value"), [("token_keys", SECRET), ("sql_alchemy_conn", URL)]
)


@of_each_option
def test_option_is_not_shown(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the configuration page nor 'airflow config list --hide-sensitive' shows it."""
    monkeypatch.setenv(f"AIRFLOW__IMAP_OAUTH__{name.upper()}", value)
    shown = conf.as_dict(display_sensitive=False)
    assert shown["imap_oauth"][name] == "< hidden >"
    listed = io.StringIO()
    conf.write(listed, section="imap_oauth", show_values=True, hide_sensitive=True)
    assert f"{name} = < hidden >" in listed.getvalue()
    assert value not in str(shown) + listed.getvalue()


@of_each_option
def test_option_of_a_command(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A command may print its value (option with '_cmd'), and that is not shown either."""
    variable = f"AIRFLOW__IMAP_OAUTH__{name.upper()}"
    monkeypatch.delenv(variable, raising=False)
    file = tmp_path / "secret"
    file.write_text(value)
    monkeypatch.setenv(f"{variable}_CMD", f"cat {file}")
    assert getattr(read_options(), name) in (value, (value,))
    assert value not in str(conf.as_dict(display_sensitive=False))


@of_each_option
def test_option_of_a_secrets_backend(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secrets backend may hold its value (option with '_secret')."""
    variable = f"AIRFLOW__IMAP_OAUTH__{name.upper()}"
    monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(f"{variable}_SECRET", f"held-{name}")
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", f"{__name__}.ConfigurationBackend")
    assert getattr(read_options(), name) in (value, (value,))
