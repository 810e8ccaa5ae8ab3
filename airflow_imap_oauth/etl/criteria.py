# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What can be said of SEARCH criteria without asking the server."""

from __future__ import annotations

import re

ALL = "ALL"

# Keys of RFC 9051 section 6.4.4, RFC 5032, RFC 7162 and Gmail whose answer for one message may
# change while the message itself does not.
_CHANGEABLE_KEYS = frozenset(
    {
        *("ANSWERED", "DELETED", "DRAFT", "FLAGGED", "KEYWORD", "NEW", "OLD", "RECENT", "SEEN"),
        *("UNANSWERED", "UNDELETED", "UNDRAFT", "UNFLAGGED", "UNKEYWORD", "UNSEEN"),
        *("MODSEQ", "OLDER", "YOUNGER", "X-GM-LABELS", "X-GM-RAW", "$"),
    }
)
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"')
_BLANKS = re.compile(r"\s+")
_WORDS = re.compile(r"[^\s()]+")


def normalize_criteria(criteria: str) -> str:
    """Return criteria without what has no meaning: outer blanks, doubled blanks, empty text."""
    pieces: list[str] = []
    position = 0
    for quoted in _QUOTED.finditer(criteria):
        pieces += [_BLANKS.sub(" ", criteria[position : quoted.start()]), quoted.group()]
        position = quoted.end()
    pieces.append(_BLANKS.sub(" ", criteria[position:]))
    text = "".join(pieces).strip()
    return ALL if not text or text.strip("()").strip().upper() == ALL else text


def can_change(criteria: str) -> bool:
    """
    Tell whether a message that does not match now may match later.

    Flags, labels and ages change; sender, text, size and date do not. An unquoted argument that
    reads like such a key counts as one: that costs a search, not a message.
    """
    words = _WORDS.findall(_QUOTED.sub(" ", criteria).upper())
    return any(word in _CHANGEABLE_KEYS for word in words)
