# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The envelope of every JSON file of a destination, and how its fields are read.

Each file names its schema and version. Within a version keys may be added and are ignored by older
readers; whatever changes the meaning of a key makes a new version, which older readers refuse.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from airflow_imap_oauth.etl.uids import UidSet
from airflow_imap_oauth.exceptions import LedgerError

VERSION = 1
STEP = "ledger"


def dump(schema: str, fields: Mapping[str, Any]) -> bytes:
    """Write one file: sorted keys, readable, a newline at its end."""
    envelope = {"schema": schema, "version": VERSION, **fields}
    return (json.dumps(envelope, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


def dump_line(schema: str, fields: Mapping[str, Any]) -> bytes:
    """Write one line of JSON Lines."""
    envelope = {"schema": schema, "version": VERSION, **fields}
    # ASCII only: some readers end a line at U+2028 or U+0085, and a lone surrogate has no UTF-8.
    text = json.dumps(envelope, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return text.encode("ascii") + b"\n"


def load(data: bytes, name: str, schema: str) -> Fields:
    """
    Read one file.

    :param name: Its name in the destination, for messages.
    :raises LedgerError: It is no such file, or of a version that this code does not know. A retry
        cannot help.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise LedgerError(f"{name} is not JSON.", step=STEP) from None
    fields = Fields(name=name, content=content if isinstance(content, dict) else {})
    if fields.content.get("schema") != schema:
        raise fields.fault(f"is not of the schema {schema}")
    if fields.content.get("version") != VERSION:
        raise LedgerError(
            f"{name} has version {str(fields.content.get('version'))[:20]} of the schema {schema}, "
            f"and only version {VERSION} is understood.",
            hint="Install the version of airflow-imap-oauth that wrote it, or a newer one.",
            step=STEP,
        )
    return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """
    The fields of one JSON object, each read as one type.

    Every method raises :class:`~airflow_imap_oauth.exceptions.LedgerError` where the field is
    missing or of another type.
    """

    name: str
    content: Mapping[str, Any]

    def text(self, key: str) -> str:
        """Read a string."""
        value = self.content.get(key)
        if not isinstance(value, str):
            raise self.fault(f"has no text '{key}'")
        return value

    def number(self, key: str) -> int:
        """Read a whole number that is not negative."""
        value = self.content.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.fault(f"has no number '{key}'")
        return value

    def truth(self, key: str) -> bool:
        """Read true or false."""
        value = self.content.get(key)
        if not isinstance(value, bool):
            raise self.fault(f"has no true or false '{key}'")
        return value

    def optional_text(self, key: str) -> str | None:
        """Read a string, or None where it is null or missing."""
        return None if self.content.get(key) is None else self.text(key)

    def optional_number(self, key: str) -> int | None:
        """Read a number, or None where it is null or missing."""
        return None if self.content.get(key) is None else self.number(key)

    def uids(self, key: str) -> UidSet:
        """Read a set of UIDs."""
        return UidSet.parse(self.text(key))

    def instant(self, key: str) -> datetime:
        """Read an instant, as aware UTC."""
        try:
            # Python 3.10 does not read the Z.
            value = datetime.fromisoformat(self.text(key).replace("Z", "+00:00"))
        except ValueError:
            raise self.fault(f"has no instant '{key}'") from None
        if value.tzinfo is None:
            raise self.fault(f"has no time zone in '{key}'")
        return value.astimezone(timezone.utc)

    def fields(self, key: str) -> Fields:
        """Read an object."""
        value = self.content.get(key)
        if not isinstance(value, dict):
            raise self.fault(f"has no object '{key}'")
        return Fields(name=self.name, content=value)

    def each(self, key: str) -> Sequence[Fields]:
        """Read a list of objects."""
        value = self.content.get(key)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.fault(f"has no list of objects '{key}'")
        return [Fields(name=self.name, content=item) for item in value]

    def fault(self, what: str) -> LedgerError:
        """Make the error that says what is wrong with this file."""
        return LedgerError(f"{self.name} {what}.", step=STEP)


def utc_now() -> datetime:
    """Return the time of this machine's clock, to the second."""
    return datetime.now(timezone.utc).replace(microsecond=0)


def instant_text(value: datetime) -> str:
    """Write an aware instant in UTC, as RFC 3339 does: ``2026-01-31T08:15:00Z``."""
    return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
