# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What templates make of missing values is refused before any harm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_imap_oauth.etl.names import FolderKey
from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.hooks.arguments import check_rendered
from airflow_imap_oauth.hooks.destination import destination_path
from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook

if TYPE_CHECKING:
    from tests.hooks.mailboxes import Mailbox


@pytest.mark.parametrize("value", ["", " ", "None", None, 20261126, ["*.csv"]])
def test_a_template_without_a_value_is_refused(value: Any) -> None:
    """An empty choice would land nothing, and never again: it is an error that names it."""
    with pytest.raises(ConfigurationError, match="attachment_glob is") as caught:
        check_rendered(mail_folder="INBOX", attachment_glob=value)
    assert caught.value.step == "arguments"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("file://mail/x", "three slashes"),
        ("file://user:canary@/tmp/x", "password"),
        ("s3://key:canary@bucket/x", "password"),
        ("s3://[::1/x", "No installed file system"),
        ("nonsense://x", "No installed file system"),
    ],
)
def test_a_destination_that_means_something_else_is_refused(url: str, said: str) -> None:
    """A relative folder would be another one on every worker; a password would be shown."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        destination_path(url)
    assert "canary" not in str(caught.value)
    assert caught.value.step == "destination"


def test_names_of_deeply_nested_attachments_stay_short() -> None:
    """A path of 50 numbers and a long name fit into what file systems take, and differ."""
    key = FolderKey.of("alice@example.com", "INBOX")
    sections = [".".join(["1"] * 49 + [last]) for last in ("1", "2")]
    names = {key.attachment(1, 1, section, "n" * 176 + ".csv") for section in sections}
    assert len(names) == 2
    assert max(len(name.rpartition("/")[2].encode()) for name in names) <= 255


@pytest.mark.usefixtures("airflow_database")
def test_an_unknown_connection_is_a_configuration_error() -> None:
    """The error names the connection and what to do; a retry does not help."""
    with pytest.raises(ConfigurationError, match="no such connection") as caught:
        ImapOAuthHook("nobody_added_it").get_access_token()
    assert caught.value.conn_id == "nobody_added_it"


def test_a_token_that_the_server_repeats_is_withheld(
    embedded_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after the sign-in: the error of a command does not show it."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    hook = ImapOAuthHook(embedded_mailbox.conn_id)
    token = hook.get_access_token()
    embedded_mailbox.mail.script("EXAMINE", status=f"NO cannot with {token}")
    with hook.session() as session, pytest.raises(Exception, match="withheld") as caught:
        session.examine("INBOX")
    assert token not in str(caught.value)
