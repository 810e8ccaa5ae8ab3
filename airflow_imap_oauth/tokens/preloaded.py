# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Token records of many connections, read at once where the store can do that."""

from __future__ import annotations

from collections.abc import Collection

from airflow_imap_oauth.exceptions import ImapOAuthError, TokenStoreError
from airflow_imap_oauth.tokens.store import BulkStore, TokenStore


class PreloadedStore:
    """
    A store for looking at many connections: what could be read ahead is not read again.

    :param store: Is asked for all else.
    :param conn_ids: Which connections will be looked at.
    """

    def __init__(self, store: TokenStore, conn_ids: Collection[str]) -> None:
        self._store = store
        self._texts: dict[str, str | None] = {}
        self._failure: tuple[str, str] | None = None
        if not isinstance(store, BulkStore):
            return
        # A failure is told of each connection, but not waited for as often.
        try:
            self._texts = store.load_many(conn_ids)
        except ImapOAuthError as error:
            self._failure = error.message, error.hint
        except Exception as error:  # noqa: BLE001  # the code of other distributions may raise anything
            self._failure = f"The token records could not be read ({type(error).__name__}).", ""

    @property
    def name(self) -> str:
        """The value of ``[imap_oauth] token_store`` that chooses this store."""
        return self._store.name

    def load(self, conn_id: str) -> str | None:
        """
        Return the record's text, or None where there is none.

        :raises TokenStoreError: If the store does not work. A retry helps.
        """
        if self._failure is not None:
            message, hint = self._failure
            raise TokenStoreError(message, hint=hint)
        if conn_id in self._texts:
            return self._texts[conn_id]
        return self._store.load(conn_id)

    def save(self, conn_id: str, text: str) -> None:
        """Store the text; what was read ahead of it is not kept."""
        self._texts.pop(conn_id, None)
        self._store.save(conn_id, text)

    def delete(self, conn_id: str) -> None:
        """Remove the record; a missing one is no error."""
        self._texts.pop(conn_id, None)
        self._store.delete(conn_id)
