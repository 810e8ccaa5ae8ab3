# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Memory above the idle process while one attachment of 200 MiB is landed.

The idle process is a fresh one that has imported the operator (or upstream's hook) and has not
begun: what is imported only when it is used counts. The peak is the highest resident set that the
system has seen of that process (``VmHWM``). Ours lands the whole message and its attachment and
commits both; the peer saves the attachment alone.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from benchmarks.child import answer
from benchmarks.results import Row

if TYPE_CHECKING:
    from benchmarks.rig import Rig

_MIB = 1024 * 1024
_FILE = "large.bin"


def measure(rig: Rig, *, peer_name: str) -> list[Row]:
    """
    Measure, the peer first.

    :raises RuntimeError: If what was landed is not what was sent.
    """
    above_idle_mib = {}
    for client in ("peer", "ours"):
        folder = rig.folder / f"landed-{client}"
        folder.mkdir()
        done = rig.run("benchmarks.memory", client=client, folder=str(folder))
        if done["sha256"] != [rig.large_sha256]:
            raise RuntimeError(f"{client} did not land the attachment as it was sent.")
        above_idle_mib[client] = (done["peak_bytes"] - done["idle_bytes"]) / _MIB
    return [
        Row(
            name="first_memory_200mib",
            unit="MiB",
            ours=above_idle_mib["ours"],
            peer=above_idle_mib["peer"],
            peer_name=peer_name,
            target_ours=64,
        )
    ]


def work(*, client: str, folder: str) -> dict[str, Any]:
    """Land it, in a process of its own."""
    idle_bytes = (_peer if client == "peer" else _ours)(folder)
    peak_bytes = _resident_bytes("VmHWM")
    landed = [file for file in Path(folder).rglob(f"*{_FILE}*") if file.is_file()]
    return {
        "idle_bytes": idle_bytes,
        "peak_bytes": peak_bytes,
        "sha256": [_sha256(file) for file in landed],
    }


def _ours(folder: str) -> int:
    from airflow_imap_oauth.operators.imap_oauth import ImapOAuthFetchOperator

    operator = ImapOAuthFetchOperator(
        task_id="fetch", imap_conn_id="ours_large", destination=f"file://{folder}"
    )
    ti = SimpleNamespace(dag_id="bench", task_id="fetch", run_id="bench", map_index=-1)
    context: Any = {"ti": ti}
    idle_bytes = _resident_bytes("VmRSS")
    operator.execute(context)
    return idle_bytes


def _peer(folder: str) -> int:
    from benchmarks.peer import TokenImapHook

    hook = TokenImapHook("peer_large")
    idle_bytes = _resident_bytes("VmRSS")
    with hook:
        hook.download_mail_attachments(_FILE, folder)
    return idle_bytes


def _resident_bytes(line: str) -> int:
    """Return what Linux says of this process; getrusage also counts the one that started it."""
    found = re.search(rf"^{line}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"/proc/self/status has no {line}.")
    return int(found[1]) * 1024


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(_MIB):
            digest.update(piece)
    return digest.hexdigest()


if __name__ == "__main__":
    answer(work)
