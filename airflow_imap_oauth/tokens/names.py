# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""File names for connections."""

from __future__ import annotations

import hashlib
import re

# Lower case only, because some file systems do not tell cases apart; no dot, so that no plain
# name can look like a hashed one, a temporary one or a hidden one.
_PLAIN = re.compile(r"[a-z0-9_-]{1,100}")


def file_stem(conn_id: str) -> str:
    """
    Return a file name, without suffix, that no other connection has.

    Connection ids may hold slashes, dots, upper case and more than a file name can: those become
    ``sha256.<digest>``.
    """
    if _PLAIN.fullmatch(conn_id):
        return conn_id
    return "sha256." + hashlib.sha256(conn_id.encode("utf-8", "surrogatepass")).hexdigest()
