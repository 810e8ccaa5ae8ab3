# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What a token store is. It keeps one text per connection and knows nothing of tokens."""

from __future__ import annotations

from typing import Protocol

ENTRY_POINT_GROUP = "airflow_imap_oauth.token_stores"


class TokenStore(Protocol):
    """
    Durable home of token records.

    A record is text (JSON whose secrets are sealed). Every method raises
    :class:`~airflow_imap_oauth.exceptions.TokenStoreError` when the store does not work.
    """

    @property
    def name(self) -> str:
        """The value of ``[imap_oauth] token_store`` that chooses this store."""
        ...

    def load(self, conn_id: str) -> str | None:
        """Return the record's text, or None where there is none."""
        ...

    def save(self, conn_id: str, text: str) -> None:
        """Store the text; once this returns, it survives the loss of this process."""
        ...

    def delete(self, conn_id: str) -> None:
        """Remove the record; a missing one is no error."""
        ...
