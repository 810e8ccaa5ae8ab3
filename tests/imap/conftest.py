# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Accounts for the tests of the session; whatever a test does, no log may hold a secret."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator

import pytest

from tests.imap.accounts import Account, secrets_in
from tests.servers.authorization_server import AuthorizationServer
from tests.servers.embedded_imap import EmbeddedImapServer
from tests.servers.mail_server import MailServer


@pytest.fixture
def account(
    mail_server: MailServer,
    authorization_server: AuthorizationServer,
    imap_login: Callable[[], str],
) -> Account:
    """Give an account of its own, on each server in turn."""
    return Account(mail_server, authorization_server, imap_login())


@pytest.fixture
def scripted(
    embedded_imap: EmbeddedImapServer,
    authorization_server: AuthorizationServer,
    imap_login: Callable[[], str],
) -> Account:
    """Give an account on the embedded server, which can be told to misbehave."""
    return Account(embedded_imap, authorization_server, imap_login())


@pytest.fixture(autouse=True, scope="module")
def _no_authorities_of_the_environment() -> Iterator[None]:
    """Leave out the authorities that the environment adds: reading them takes most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", os.devnull)
        yield


@pytest.fixture(autouse=True)
def _no_secret_in_logs(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """Listen to all loggers at their most talkative, and look for secrets afterwards."""
    if "authorization_server" not in request.fixturenames:
        yield
        return
    authorization = request.getfixturevalue("authorization_server")
    caplog.set_level(logging.DEBUG)
    yield
    # The authorization server is a part of this process, and of no user's.
    records = [one for one in caplog.get_records("call") if not one.name.startswith("authlib")]
    text = "\n".join(f"{one.getMessage()} {one.args} {one.exc_text}" for one in records)
    assert not secrets_in(text, authorization)
