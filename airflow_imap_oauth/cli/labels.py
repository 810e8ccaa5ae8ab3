# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
What the connection form calls the keys that messages name.

Errors name keys of ``extra``, which is right for whoever writes connections as JSON; whoever uses
the form sees labels instead.
"""

from __future__ import annotations

import re

from airflow_imap_oauth.connection_form import connection_type

#: A text that names more of them lists what exists, and asks for none of it.
_MAX_KEYS = 3


def legend(text: str) -> str:
    """Return a sentence that gives the form's label for each key in a text; '' where none helps."""
    fields = connection_type()["conn-fields"]
    found = {key: str(fields[key]["label"]) for key in fields if _names(text, key)}
    if not 0 < len(found) <= _MAX_KEYS:
        return ""
    told = [
        f"{key} is '{label}'"
        for key, label in found.items()
        if label.lower() != key and f"'{label}'" not in text
    ]
    return f"In the form, {' and '.join(told)}." if told else ""


def hint_for(conn_id: str, text: str, hint: str) -> str:
    """Complete the hint of a text for a person at a terminal: with the id, and with labels."""
    hint = hint.replace("CONN_ID", conn_id)
    return f"{hint} {legend(f'{text} {hint}')}".strip()


def _names(text: str, key: str) -> bool:
    """Tell whether a text names a key: words of plain English count only where they are quoted."""
    pattern = rf"(?<![\w-]){key}(?![\w-])" if "_" in key else rf"\bkey '{key}'"
    return re.search(pattern, text, re.IGNORECASE) is not None
