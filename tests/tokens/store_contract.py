# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
What every token store keeps to, as claims about a store that is empty at first.

Use::

    @pytest.mark.parametrize("claim", CONTRACT, ids=claim_name)
    def test_my_store(claim: Claim) -> None:
        claim(MyTokenStore(...))
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from airflow_imap_oauth.tokens.store import TokenStore

Claim = Callable[[TokenStore], None]

#: Ids that Airflow accepts and that are awkward as file names, keys of Variables or in URLs.
AWKWARD_CONN_IDS = (
    "Mail",
    "mail",
    "mail.json",
    ".mail",
    "..",
    "../mail",
    "team/mail",
    "team\\mail",
    "mail#1",
    "mail(1)!",
    "mail:1",
    "m" * 250,
    "m" * 249 + "n",
    "postfächer",
)


def has_a_name(store: TokenStore) -> None:
    """Check that a store says by which name it is chosen."""
    assert store.name


def begins_empty(store: TokenStore) -> None:
    """Check that a record that was never saved is None, not an error."""
    assert store.load("mail") is None


def returns_what_was_saved(store: TokenStore) -> None:
    """Check that a record comes back as it was saved, character by character."""
    text = '{"a": "ä€😀\\u0000", "b": [1, null, true], "quote": "\'\\"", "percent": "%(x)s {y}"}'
    store.save("mail", text)
    assert store.load("mail") == text


def replaces(store: TokenStore) -> None:
    """Check that a later record replaces the earlier one as a whole, also a longer one."""
    store.save("mail", '{"text": "' + "long" * 1000 + '"}')
    store.save("mail", "{}")
    assert store.load("mail") == "{}"


def holds_large_records(store: TokenStore) -> None:
    """Check that a record of 100 KB, as with large access tokens, is kept whole."""
    text = '{"text": "' + "x" * 100_000 + '"}'
    store.save("mail", text)
    assert store.load("mail") == text


def keeps_connections_apart(store: TokenStore) -> None:
    """Check that each connection has its own record, however much alike or awkward the ids are."""
    for number, conn_id in enumerate(AWKWARD_CONN_IDS):
        store.save(conn_id, f'{{"number": {number}}}')
    found = [store.load(conn_id) for conn_id in AWKWARD_CONN_IDS]
    assert found == [f'{{"number": {number}}}' for number in range(len(AWKWARD_CONN_IDS))]


def deletes(store: TokenStore) -> None:
    """Check that a deleted record is gone, and those of others stay."""
    store.save("mail", "{}")
    store.save("other", "{}")
    store.delete("mail")
    assert (store.load("mail"), store.load("other")) == (None, "{}")


def deletes_what_is_missing(store: TokenStore) -> None:
    """Check that it is no error to delete what is not there."""
    store.delete("mail")
    assert store.load("mail") is None


def is_never_half_written(store: TokenStore) -> None:
    """Check that who reads while another writes sees one whole record or the other."""
    texts = {'{"text": "' + letter * 20_000 + '"}' for letter in "ab"}
    store.save("mail", min(texts))
    done = threading.Event()
    seen: set[str | None] = set()

    def read() -> None:
        while not done.is_set():
            seen.add(store.load("mail"))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(10):
            for text in texts:
                store.save("mail", text)
    finally:
        done.set()
        reader.join()
    assert seen <= texts


CONTRACT: tuple[Claim, ...] = (
    has_a_name,
    begins_empty,
    returns_what_was_saved,
    replaces,
    holds_large_records,
    keeps_connections_apart,
    deletes,
    deletes_what_is_missing,
    is_never_half_written,
)


def claim_name(claim: Claim) -> str:
    """Name a claim, for the report."""
    return claim.__name__
