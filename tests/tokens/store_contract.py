# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
What every token store keeps to, as claims about a store that is empty at first.

Use::

    @pytest.mark.parametrize("claim", CONTRACT, ids=claim_name)
    def test_my_store(claim: Claim) -> None:
        claim(MyTokenStore(...))

``COMPARING_CONTRACT`` is about what a store may offer besides; so is ``lease_contract.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Claim = Callable[[Any], None]

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

_PATIENCE_SECONDS = 60.0


def has_a_name(store: Any) -> None:
    """Check that a store says by which name it is chosen."""
    assert store.name


def begins_empty(store: Any) -> None:
    """Check that a record that was never saved is None, not an error."""
    assert store.load("mail") is None


def returns_what_was_saved(store: Any) -> None:
    """Check that a record comes back as it was saved, character by character."""
    text = '{"a": "ä€😀\\u0000", "b": [1, null, true], "quote": "\'\\"", "percent": "%(x)s {y}"}'
    store.save("mail", text)
    assert store.load("mail") == text


def replaces(store: Any) -> None:
    """Check that a later record replaces the earlier one as a whole, also a longer one."""
    store.save("mail", '{"text": "' + "long" * 1000 + '"}')
    store.save("mail", "{}")
    assert store.load("mail") == "{}"


def holds_large_records(store: Any) -> None:
    """Check that a record of 100 KB, as with large access tokens, is kept whole."""
    text = '{"text": "' + "x" * 100_000 + '"}'
    store.save("mail", text)
    assert store.load("mail") == text


def keeps_connections_apart(store: Any) -> None:
    """Check that each connection has its own record, however much alike or awkward the ids are."""
    for number, conn_id in enumerate(AWKWARD_CONN_IDS):
        store.save(conn_id, f'{{"number": {number}}}')
    found = [store.load(conn_id) for conn_id in AWKWARD_CONN_IDS]
    assert found == [f'{{"number": {number}}}' for number in range(len(AWKWARD_CONN_IDS))]


def deletes(store: Any) -> None:
    """Check that a deleted record is gone, and those of others stay."""
    store.save("mail", "{}")
    store.save("other", "{}")
    store.delete("mail")
    assert (store.load("mail"), store.load("other")) == (None, "{}")


def deletes_what_is_missing(store: Any) -> None:
    """Check that it is no error to delete what is not there."""
    store.delete("mail")
    assert store.load("mail") is None


def is_never_half_written(store: Any) -> None:
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


# --- To replace only what was read ------------------------------------------------------------


def replaces_what_was_read(store: Any) -> None:
    """Check that who has read what is stored replaces it."""
    store.save("mail", "old")
    assert store.replace("mail", "new", expected="old")
    assert store.load("mail") == "new"


def leaves_what_has_changed(store: Any) -> None:
    """Check that what another has replaced meanwhile stays, and that this is told."""
    store.save("mail", "newer")
    assert not store.replace("mail", "new", expected="old")
    assert store.load("mail") == "newer"


def begins_where_there_is_none(store: Any) -> None:
    """Check that who has read that there is no record makes one."""
    assert store.replace("mail", "new", expected=None)
    assert store.load("mail") == "new"


def leaves_what_has_begun(store: Any) -> None:
    """Check that a record that another has made meanwhile stays, and that this is told."""
    store.save("mail", "newer")
    assert not store.replace("mail", "new", expected=None)
    assert store.load("mail") == "newer"


def leaves_away_what_was_deleted(store: Any) -> None:
    """Check that a record that another has deleted meanwhile does not come back."""
    assert not store.replace("mail", "new", expected="old")
    assert store.load("mail") is None


def compares_large_records(store: Any) -> None:
    """Check that records of 100 KB are told apart by their last character."""
    text = "x" * 100_000
    store.save("mail", text + "a")
    assert not store.replace("mail", "new", expected=text + "b")
    assert store.replace("mail", "new", expected=text + "a")


def one_of_many_replaces(store: Any) -> None:
    """Check that of many who have read the same exactly one replaces it."""
    store.save("mail", "old")
    _assert_one_wins(store, expected="old")


def one_of_many_begins(store: Any) -> None:
    """Check that of many who have read that there is no record exactly one makes it."""
    _assert_one_wins(store, expected=None)


def _assert_one_wins(store: Any, expected: str | None) -> None:
    together = threading.Barrier(8)

    def replace(text: str) -> bool:
        together.wait(_PATIENCE_SECONDS)
        return bool(store.replace("mail", text, expected=expected))

    texts = [f"new {number}" for number in range(together.parties)]
    with ThreadPoolExecutor(together.parties) as pool:
        won = [text for text, has in zip(texts, pool.map(replace, texts), strict=True) if has]
    assert won == [store.load("mail")]


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


COMPARING_CONTRACT: tuple[Claim, ...] = (
    replaces_what_was_read,
    leaves_what_has_changed,
    begins_where_there_is_none,
    leaves_what_has_begun,
    leaves_away_what_was_deleted,
    compares_large_records,
    one_of_many_replaces,
    one_of_many_begins,
)


def claim_name(claim: Claim) -> str:
    """Name a claim, for the report."""
    return claim.__name__
