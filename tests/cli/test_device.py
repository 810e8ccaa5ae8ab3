# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""``airflow imap-oauth login --device``: a code to enter anywhere."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

import pytest

from airflow_imap_oauth.cli import login as module
from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from tests.cli.running import CONN_ID, run
from tests.hooks import connections

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

pytestmark = pytest.mark.usefixtures("airflow_database")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what the command prints, and do not wait between polls."""
    lines: list[str] = []
    monkeypatch.setattr("builtins.print", lambda *texts, **_: lines.extend(map(str, texts)))
    waiting = threading.Event()
    wait = module.device_authorization.wait

    def quick(*arguments: object, **_: object) -> object:
        return wait(*arguments, sleep=lambda _: waiting.wait(0.0))  # type: ignore[arg-type]

    monkeypatch.setattr(module.device_authorization, "wait", quick)
    return lines


def test_code_entered_elsewhere_authorizes(
    authorization_server: AuthorizationServer,
    account: str,
    shown: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command shows address and code, waits, and the hook has tokens."""
    start = module.device_authorization.start

    def and_somebody_enters_it(*arguments: object) -> object:
        device = start(*arguments)  # type: ignore[arg-type]
        authorization_server.decide_device(device.user_code, account)
        authorization_server.advance_clock(60)
        return device

    monkeypatch.setattr(module.device_authorization, "start", and_somebody_enters_it)
    code, errors = run(capsys, device=True)
    assert (code, errors) == (0, "")
    text = "\n".join(shown)
    assert re.search(r"https://localhost:\d+/activate", text)
    assert "Authorized" in text
    password, extra = connections.stored(CONN_ID)
    assert (password or "").startswith("sealed:v1:")
    assert extra["client_secret"].startswith("sealed:v1:")
    assert ImapOAuthHook(CONN_ID).get_access_token()
    assert not any(secret in text for secret in authorization_server.secrets_issued())


def test_denial_saves_nothing(
    authorization_server: AuthorizationServer,
    account: str,
    shown: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A person who refuses at the other device ends the command with exit code 1."""
    start = module.device_authorization.start

    def and_somebody_refuses(*arguments: object) -> object:
        device = start(*arguments)  # type: ignore[arg-type]
        authorization_server.decide_device(device.user_code, account, allow=False)
        authorization_server.advance_clock(60)
        return device

    monkeypatch.setattr(module.device_authorization, "start", and_somebody_refuses)
    code, _ = run(capsys, device=True)
    assert code == 1
    assert "access_denied" in "\n".join(shown)
    assert connections.stored(CONN_ID)[0] is None


def test_mail_provider_without_it_says_what_to_do(
    account: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there is no device grant, exit code 2 and another way."""
    connections.add(
        CONN_ID,
        login=account,
        extra={"mail_provider": "google", "client_id": "app", "client_secret": "a-client-secret"},
    )
    code, errors = run(capsys, device=True)
    assert code == 2
    assert "--no-browser" in errors


@pytest.mark.parametrize(
    ("option", "arguments"),
    [("--no-browser", {"no_browser": True}), ("--redirect-port", {"redirect_port": 8123})],
)
def test_option_without_effect_is_refused(
    authorization_server: AuthorizationServer,
    account: str,
    capsys: pytest.CaptureFixture[str],
    option: str,
    arguments: dict[str, Any],
) -> None:
    """What a sign-in by code does not use is exit code 2, before any server is asked."""
    assert account
    code, errors = run(capsys, **{"no_browser": False, "device": True, **arguments})
    assert code == 2
    assert f"{option} would have no effect together with --device" in errors
    assert not authorization_server.requests
