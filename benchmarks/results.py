# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What was measured, as rows: for a file and for people."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_DIGITS = 4
_HEAD = ("measure", "unit", "ours", "peer", "times better", "target", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    One measure.

    :param peer: The peer's value in the same unit, or None where there is no peer.
    :param peer_name: Who the peer is, with its version.
    :param target_ratio: How many times better than the peer we want to be, at least; None: any.
    :param target_ours: What our value should be at most (lower is better); None: anything.
    """

    name: str
    unit: str
    ours: float
    peer: float | None = None
    peer_name: str | None = None
    better: Literal["lower", "higher"] = "lower"
    target_ratio: float | None = None
    target_ours: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times better we are; None without a peer, or where the divisor is 0."""
        if self.peer is None:
            return None
        above, below = (self.peer, self.ours) if self.better == "lower" else (self.ours, self.peer)
        return above / below if below else None

    @property
    def is_on_target(self) -> bool:
        """Whether every target is met."""
        if self.target_ratio is not None and (self.ratio or 0.0) < self.target_ratio:
            return False
        return self.target_ours is None or self.ours <= self.target_ours

    def to_json(self) -> dict[str, float | str | None]:
        """Return what stands under the row's name in the file."""
        return {
            "ours": _rounded(self.ours),
            "peer": _rounded(self.peer),
            "ratio": _rounded(self.ratio),
            "unit": self.unit,
            "peer_name": self.peer_name,
            "better": self.better,
        }


def write(rows: Iterable[Row], file: Path, *, keep_others: bool = False) -> None:
    """
    Write the rows as JSON, one object by name.

    :param keep_others: Leave rows of other names as they stand in the file.
    """
    found = json.loads(file.read_text()) if keep_others and file.exists() else {}
    text = json.dumps({**found, **{row.name: row.to_json() for row in rows}}, indent=2)
    file.write_text(text + "\n")


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a table for people."""
    lines = [_HEAD, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if 2 <= column <= 4 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _cells(row: Row) -> tuple[str, ...]:
    targets = []
    if row.target_ratio is not None:
        targets.append(f">= {row.target_ratio:g} times")
    if row.target_ours is not None:
        targets.append(f"<= {row.target_ours:,.0f}")
    return (
        row.name,
        row.unit,
        _shown(row.ours),
        _shown(row.peer),
        _shown(row.ratio),
        ", ".join(targets),
        "met" if row.is_on_target else "MISSED",
    )


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.3g}"


def _rounded(value: float | None) -> float | None:
    """Keep the digits that mean something; whole numbers stay as they are."""
    if value is None or value == int(value):
        return None if value is None else int(value)
    return float(f"{value:.{_DIGITS}g}")
