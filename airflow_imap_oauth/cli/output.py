# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Rows on standard output, in the formats of Airflow's own commands (``--output``).

Airflow turns every value into a text first, such as ``"True"``. To programs JSON and YAML can say
more than that, so only its renderers are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from airflow.cli.simple_table import AirflowConsole
from rich.markup import escape

Row = Mapping[str, Any]

_FOR_PROGRAMS = ("json", "yaml")


def is_for_programs(output: str) -> bool:
    """Tell whether a program reads this format, and not a person."""
    return output in _FOR_PROGRAMS


def show(rows: Sequence[Row], output: str) -> None:
    """
    Print rows that all have the same keys.

    :param output: ``table``, ``json``, ``yaml`` or ``plain``.
    """
    console: Any = AirflowConsole()
    if output == "json":
        console.print_as_json([_each(row, _value) for row in rows])
    elif output == "yaml":
        console.print_as_yaml([_each(row, _value) for row in rows])
    elif output == "plain":
        console.print_as_plain_table([_each(row, _text) for row in rows])
    else:
        # Messages name options as [section] option, which the table would take for its markup.
        console.print_as_table([_each(row, lambda one: escape(_text(one))) for row in rows])


def printable(text: str) -> str:
    """Take out what would steer a terminal, or end a line."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def instant(at: datetime) -> str:
    """Return an instant as people read it."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _each(row: Row, shown: Any) -> dict[str, Any]:
    return {name: shown(value) for name, value in row.items()}


def _value(value: Any) -> Any:
    if isinstance(value, date):  # instants are dates, too
        return value.isoformat()
    if isinstance(value, tuple):
        return [*value]
    return value


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, tuple):
        return ", ".join(value)
    return printable(str(value))
