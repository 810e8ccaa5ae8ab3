# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Messages name keys of the connection; a command adds what the form calls them."""

from __future__ import annotations

import pytest

from airflow_imap_oauth.cli.exit_codes import told, with_labels
from airflow_imap_oauth.connection_form import connection_type
from airflow_imap_oauth.exceptions import ConfigurationError

FIELDS = connection_type()["conn-fields"]


@pytest.mark.parametrize("key", FIELDS)
def test_key_of_every_field_is_translated(key: str) -> None:
    """A message that names a key of extra says what the form calls it, where that differs."""
    label = FIELDS[key]["label"]
    error = ConfigurationError(f"Key '{key}' of extra is not set.", hint="Enter it.")
    text = told(error, "company_mailbox")
    assert (f"{key} is '{label}'." in text) == (label.lower() != key)


def test_keys_within_a_sentence_are_translated() -> None:
    """Keys that are no words of English count wherever they stand."""
    text = with_labels("Set exchange_url of the connection, or issuer.")
    assert text.endswith("In the form, exchange_url is 'Token endpoint'.")


@pytest.mark.parametrize(
    "text",
    [
        "The scopes of the mailbox are too many for the region.",
        "The server answered invalid_client_id and client_secret_post.",
        "Use --other-account, or enter 'Client secret' (client_secret).",
        f"Known are: {', '.join(FIELDS)}.",
    ],
)
def test_what_needs_no_translation_stays(text: str) -> None:
    """Words of English, other names, labels that are there already and long lists add nothing."""
    assert with_labels(text) == text
