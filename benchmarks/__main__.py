# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Run the benchmarks, print a table, write ``benchmarks/results.json``.

A run on another number of messages, or of one measure only, is for trying: it writes no file unless
``--output`` says so. One measure leaves the rows of the others in that file as they are.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from benchmarks import hot_path, memory, poke, results, scan, stampede
from benchmarks.mailbox import MESSAGES
from benchmarks.results import Row
from benchmarks.rig import Rig, running
from tests.servers.dovecot import dovecot_available

_RESULTS = Path(__file__).resolve().parent / "results.json"
_PEER = "apache-airflow-providers-imap"

#: What they are taken on: servers with a mailbox, or a folder of their own.
On = TypeVar("On")

#: These need no mailbox.
_TOKEN_MEASURES: Mapping[str, Callable[[Path], list[Row]]] = {
    "stampede": stampede.measure,
    "hot_path": hot_path.measure,
}


def main() -> int:
    """Measure and return the exit code."""
    options = _options()
    rows: list[Row] = []
    if options.only not in _TOKEN_MEASURES:
        if not dovecot_available():
            print("The benchmarks need Dovecot. On Debian or Ubuntu: apt-get install dovecot-imapd")
            return 1
        with running(messages=options.messages) as rig:
            print(f"The mailbox: {rig.facts}", flush=True)
            rows += _measured(_mailbox_measures(options.rounds), rig, options.only)
    for name, measure in _TOKEN_MEASURES.items():
        with tempfile.TemporaryDirectory(prefix="imap-oauth-bench-") as folder:
            rows += _measured({name: measure}, Path(folder), options.only)
    print(f"\n{results.table(rows)}")
    if options.output is not None:
        results.write(rows, options.output, keep_others=options.only is not None)
        print(f"\nWritten to {options.output}")
    return 0


def _measured(
    measures: Mapping[str, Callable[[On], list[Row]]], on: On, only: str | None
) -> list[Row]:
    rows: list[Row] = []
    for name, measure in measures.items():
        if only in (None, name):
            rows += measure(on)
            print(f"{name}: done", flush=True)
    return rows


def _mailbox_measures(rounds: int) -> Mapping[str, Callable[[Rig], list[Row]]]:
    peer_name = f"{_PEER} {version(_PEER)}"
    return {
        "scan": partial(scan.measure, rounds=rounds, peer_name=peer_name),
        "poke": partial(poke.measure, peer_name=peer_name),
        "memory": partial(memory.measure, peer_name=peer_name),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--messages", type=int, default=MESSAGES, help="size of the mailbox")
    parser.add_argument("--rounds", type=int, default=3, help="timed runs of each client")
    parser.add_argument("--output", type=Path, help="where to write the results")
    names = (*_mailbox_measures(1), *_TOKEN_MEASURES)
    parser.add_argument("--only", choices=names, help="take one measure")
    options = parser.parse_args()
    if options.output is None and options.messages == MESSAGES and options.only is None:
        options.output = _RESULTS
    return options


if __name__ == "__main__":
    sys.exit(main())
