# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Texts of a server that repeat the secrets it was sent."""

from __future__ import annotations

from collections.abc import Sequence

# Whoever sees as many characters of a secret in a row sees the secret; a shorter one is looked for
# as a whole.
_TELLTALE_CHARACTERS = 16
_WITHHELD = b"(the text repeats a secret and is withheld)"


def repeats(text: str, secrets: Sequence[str]) -> bool:
    """Whether a text holds a secret, or a telling piece of one."""
    return any(
        secret[at : at + _TELLTALE_CHARACTERS] in text
        for secret in secrets
        for at in range(max(len(secret) - _TELLTALE_CHARACTERS, 0) + 1)
    )


def withhold(text: bytes, secrets: Sequence[str]) -> bytes:
    """Return a text, or what stands for it where it holds a secret; its response code stays."""
    if not repeats(text.decode("latin-1"), secrets):
        return text
    code, bracket, _ = text.partition(b"]")
    if text.startswith(b"[") and bracket and not repeats(code.decode("latin-1"), secrets):
        return code + b"] " + _WITHHELD
    return _WITHHELD
