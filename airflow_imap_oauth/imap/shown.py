# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Text of a server or a sender, made fit to be shown in a message or a log."""

from __future__ import annotations

import unicodedata

MAX_SHOWN_CHARACTERS = 200


def shown(text: bytes | str, *, max_characters: int = MAX_SHOWN_CHARACTERS) -> str:
    """
    Return one line of printable text, shortened.

    Control and format characters would let a remote party forge log lines or turn the reading
    direction.

    :param text: Bytes are read as UTF-8 with replacement.
    """
    if isinstance(text, bytes):
        text = text[: 4 * max_characters].decode("utf-8", "replace")
    kept = "".join(
        character if unicodedata.category(character)[0] != "C" else " "
        for character in text[: 2 * max_characters]
    )
    line = " ".join(kept.split())
    return line if len(line) <= max_characters else f"{line[: max_characters - 1]}…"
