# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A raw SEARCH string, as Airflow's ImapHook takes it, to what is sent; injection is impossible."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from airflow_imap_oauth.exceptions import ConfigurationError

_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[()]|[^\S\r\n]+|[^\s()"]+|.', re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_CHARSET = re.compile(r"(?i)CHARSET +(\S+) +")
_STEP = "search criteria"


class Literal(bytes):
    """Bytes that are sent as a literal (RFC 3501 section 4.3)."""

    __slots__ = ()


CommandPiece: TypeAlias = bytes | Literal


@dataclass(frozen=True, slots=True)
class SearchCriteria:
    """
    Criteria ready to be sent.

    :param pieces: What follows ``UID SEARCH`` and a UID set; empty for ALL.
    :param needs_charset: Whether ``CHARSET UTF-8`` must be sent. Servers exist that refuse it,
        so it is sent for non-ASCII criteria only.
    """

    pieces: tuple[CommandPiece, ...]
    needs_charset: bool


def parse_criteria(text: str) -> SearchCriteria:
    """
    Check criteria, and take out what is not ASCII as literals.

    :param text: For example ``(FROM "x" SINCE 01-Jan-2026)``; empty or ``ALL`` is everything. A
        leading ``CHARSET UTF-8`` is accepted.
    :raises ConfigurationError: If it holds CR, LF or NUL, a literal, an open quote or
        parenthesis, another charset or RETURN. A retry cannot help.
    """
    if any(character in "\r\n\0" for character in text):
        raise _error("hold a line break or NUL")
    text = _without_charset(text.strip())
    if text.upper() in {"", "ALL", "(ALL)"}:
        return SearchCriteria((), needs_charset=False)
    if re.match(r"(?i)RETURN\b", text):
        raise _error("ask for RETURN, which changes the answer's form")
    pieces: list[CommandPiece] = []
    depth = 0
    for word in _WORD.findall(text):
        depth += (word == "(") - (word == ")")
        if depth < 0 or word == '"':
            raise _error("have a quote or parenthesis too many")
        if "{" in word and not word.startswith('"'):
            raise _error("hold a literal; use a quoted string")
        _append(pieces, word)
    if depth:
        raise _error("have an open parenthesis")
    return SearchCriteria(
        tuple(pieces), needs_charset=any(isinstance(piece, Literal) for piece in pieces)
    )


def _without_charset(text: str) -> str:
    charset = _CHARSET.match(text)
    if charset is None:
        return text
    if charset[1].strip('"').upper() not in {"UTF-8", "US-ASCII"}:
        raise _error("name another charset than UTF-8")
    return text[charset.end() :]


def _append(pieces: list[CommandPiece], word: str) -> None:
    if not word.isascii():
        if word.startswith('"'):
            word = _QUOTED_PAIR.sub(r"\1", word[1:-1])
        try:
            pieces.append(Literal(word.encode()))
        except UnicodeEncodeError:
            raise _error("hold half of a surrogate pair") from None
    elif pieces and not isinstance(pieces[-1], Literal):
        pieces[-1] += word.encode()
    else:
        pieces.append(word.encode())


def _error(problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"The search criteria {problem}.",
        hint="Give the criteria of the IMAP command SEARCH (RFC 3501 section 6.4.4).",
        step=_STEP,
    )
