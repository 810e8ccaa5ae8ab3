# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
File names from senders, made safe to be one component of a path or of an object's key.

Pure and deterministic: the same mail always gives the same names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from airflow_imap_oauth.imap.model import Part

#: Bound on a name in UTF-8: file systems allow 255 bytes, and callers put something in front.
MAX_NAME_BYTES = 180
_MAX_EXTENSION_BYTES = 24

# Kept although they are format characters: words of Persian and of Indian languages need them.
_JOINERS = frozenset("\u200c\u200d")
_DROPPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"})
# Windows refuses these, and file-system layers give ``*`` and ``?`` a meaning of their own.
_RESERVED_CHARACTERS = re.compile(r'[<>:"|?*]')
_RESERVED_NAME = re.compile(
    r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$|clock\$) *(\.|$)"
)


def safe_base_name(name: str | None, *, fallback: str, max_bytes: int = MAX_NAME_BYTES) -> str:
    """
    Return a name without anything that could leave its folder or hide what it is.

    Everything up to the last path separator, control and format characters (right-to-left
    overrides among them) go; characters and device names that Windows reserves are masked with
    ``_``; leading dots become ``_``; a long name is cut before its extension.

    :param name: As sent, or None.
    :param fallback: The name where nothing is left of it. It is cleaned in the same way.
    :param max_bytes: Bound on the UTF-8 form; at least 32.
    :return: Never empty, never ``.`` or ``..``, in NFC.
    """
    return _cleaned(name or "", max_bytes) or _cleaned(fallback, max_bytes) or "part"


def attachment_name(part: Part, *, max_bytes: int = MAX_NAME_BYTES) -> str:
    """
    Return a safe name for a part: its own, or ``part-2.1.png`` from section and type.

    :param part: A leaf part of BODYSTRUCTURE.
    """
    extension = _EXTENSIONS.get(part.content_type, ".bin")
    generated = f"part-{part.section or '0'}{extension}"
    return safe_base_name(part.filename, fallback=generated, max_bytes=max_bytes)


def unique_names(names: Iterable[str], *, max_bytes: int = MAX_NAME_BYTES) -> list[str]:
    """
    Tell equal names of one message apart: ``a.csv``, ``a-2.csv``.

    Names that differ only in case or in Unicode form count as equal, since some file systems hold
    them so.

    :param names: Safe base names in the order of the parts.
    :return: As many names in the same order, no two equal.
    """
    taken: set[str] = set()
    counts: dict[str, int] = {}
    unique: list[str] = []
    for name in names:
        candidate = name
        key = _key(name)
        while _key(candidate) in taken:
            counts[key] = counts.get(key, 1) + 1
            candidate = _numbered(name, counts[key], max_bytes)
        taken.add(_key(candidate))
        unique.append(candidate)
    return unique


def _cleaned(name: str, max_bytes: int) -> str:
    base = re.split(r"[/\\]", name.rstrip("/\\ "))[-1]
    kept = "".join(
        character
        for character in base
        if character in _JOINERS or unicodedata.category(character) not in _DROPPED_CATEGORIES
    )
    # What went may have kept letters and their accents apart.
    kept = unicodedata.normalize("NFC", kept)
    kept = _RESERVED_CHARACTERS.sub("_", kept).strip().rstrip(". ")
    kept = re.sub(r"^\.+", "_", kept)
    if _RESERVED_NAME.match(kept):
        kept = f"_{kept}"
    return _cut(kept, max_bytes) if not _JOINERS.issuperset(kept) else ""


def _cut(name: str, max_bytes: int) -> str:
    if len(name.encode()) <= max_bytes:
        return name
    stem, extension = _split(name)
    room = max_bytes - len(extension.encode())
    return _first_bytes(stem, room).rstrip(". ") + extension


def _numbered(name: str, number: int, max_bytes: int) -> str:
    stem, extension = _split(name)
    tail = f"-{number}{extension}"
    return _first_bytes(stem, max_bytes - len(tail.encode())) + tail


def _split(name: str) -> tuple[str, str]:
    """Split off the extension, unless it is too long to be one."""
    stem, dot, extension = name.rpartition(".")
    if not stem or not dot or len(extension.encode()) >= _MAX_EXTENSION_BYTES:
        return name, ""
    return stem, f".{extension}"


def _first_bytes(text: str, max_bytes: int) -> str:
    return text.encode()[: max(max_bytes, 0)].decode("utf-8", "ignore")


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold())


# Few and fixed: the table of the standard library reads files of the machine, and the same mail
# must get the same names everywhere.
_EXTENSIONS = {
    "application/gzip": ".gz",
    "application/json": ".json",
    "application/ms-tnef": ".dat",
    "application/msword": ".doc",
    "application/pdf": ".pdf",
    "application/vnd.ms-excel": ".xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/xml": ".xml",
    "application/zip": ".zip",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/svg+xml": ".svg",
    "message/rfc822": ".eml",
    "text/calendar": ".ics",
    "text/csv": ".csv",
    "text/html": ".html",
    "text/plain": ".txt",
    "text/xml": ".xml",
}
