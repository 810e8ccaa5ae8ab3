# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Access tokens that an IMAP server has rejected, although they should still live."""

from __future__ import annotations

from pathlib import Path

from airflow_imap_oauth.tokens.seeds import fingerprint

# Of this process, which asks for the next token at once: writing it to the store would take the
# right to renew, and a renewal replaces the token anyway. One fingerprint per connection.
_REJECTED: dict[tuple[str, str], str] = {}


class Rejections:
    """
    What was rejected of one connection's access tokens.

    :param folder: Of the installation, to tell connections of the same id apart.
    """

    def __init__(self, folder: Path, conn_id: str) -> None:
        self._key = (str(folder), conn_id)

    def add(self, token: str) -> None:
        """Note that a token was rejected."""
        _REJECTED[self._key] = fingerprint(token)

    def holds(self, token: str) -> bool:
        """Tell whether it was this token."""
        rejected = _REJECTED.get(self._key)
        return rejected is not None and rejected == fingerprint(token)

    def clear(self) -> None:
        """Forget it: a renewal has brought what is to be used now."""
        _REJECTED.pop(self._key, None)
