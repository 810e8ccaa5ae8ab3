# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Token stores of other distributions, found by their entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from airflow_imap_oauth.exceptions import ConfigurationError, ImapOAuthError
from airflow_imap_oauth.tokens.store import ENTRY_POINT_GROUP, TokenStore

_METHODS = ("load", "save", "delete")
_STEP = "token store"


def store_names() -> tuple[str, ...]:
    """Return the names of the stores that installed distributions offer, sorted."""
    return tuple(sorted({entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)}))


def load_store(name: str) -> TokenStore:
    """
    Make the store of that name.

    An entry point of the group ``airflow_imap_oauth.token_stores`` names something that is called
    without arguments and returns a :class:`~airflow_imap_oauth.tokens.store.TokenStore`.

    :raises ConfigurationError: If there is none, or it cannot be made. A retry cannot help.
    """
    entries = list(entry_points(group=ENTRY_POINT_GROUP, name=name))
    if not entries:
        others = "".join(f", {other}" for other in store_names())
        raise ConfigurationError(
            f"There is no token store '{name}'.",
            hint=f"Set [imap_oauth] token_store to one of: variable, sql, file{others}.",
            step=_STEP,
        )
    if len({entry.value for entry in entries}) > 1:
        raise ConfigurationError(
            f"Several installed distributions offer a token store '{name}'.",
            hint="Uninstall all but one.",
            step=_STEP,
        )
    return _made(entries[0])


def _made(entry: EntryPoint) -> TokenStore:
    try:
        store = entry.load()()
    except ImapOAuthError:
        raise
    except Exception as error:  # noqa: BLE001  # the code of another distribution
        # Not chained: the message may quote the store's own credentials.
        raise ConfigurationError(
            f"The token store '{entry.name}' ({entry.value}) cannot be made "
            f"({type(error).__name__}).",
            hint="Ask its distribution's documentation what it needs.",
            step=_STEP,
        ) from None
    if not all(callable(getattr(store, method, None)) for method in _METHODS):
        raise ConfigurationError(
            f"The token store '{entry.name}' ({entry.value}) lacks one of: {', '.join(_METHODS)}.",
            hint="Its distribution does not fit this version of airflow-imap-oauth.",
            step=_STEP,
        )
    made: TokenStore = store
    return made
