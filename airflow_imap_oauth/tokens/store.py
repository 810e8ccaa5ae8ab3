# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What a token store is. It keeps one text per connection and knows nothing of tokens."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol, runtime_checkable

from airflow_imap_oauth.tokens.leases import HostMemory, Lease, LeaseTerms

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


@runtime_checkable
class ComparingStore(Protocol):
    """What a token store may offer besides: to replace only what was read."""

    def replace(self, conn_id: str, text: str, *, expected: str | None) -> bool:
        """
        Store the text if what is stored is still what was read.

        :param expected: As it was read; None: nothing.
        :return: Whether it was, and is replaced now.
        """
        ...


@runtime_checkable
class LeasingStore(Protocol):
    """
    What a token store may offer besides: to let hosts take turns at renewing.

    With a store that does not, only the processes of one host do.
    """

    def lease(self, terms: LeaseTerms, host: HostMemory) -> Lease:
        """
        Return the lease of one connection.

        :param host: Remembers which claim a process of this host entered with last.
        """
        ...


@runtime_checkable
class BulkStore(Protocol):
    """What a token store may offer besides: to read the records of many connections at once."""

    def load_many(self, conn_ids: Collection[str]) -> dict[str, str | None]:
        """
        Return the texts of records by connection id, None where there is none.

        One that cannot be read is left out, so that it hides no other; :meth:`TokenStore.load`
        says what is wrong with it.
        """
        ...
