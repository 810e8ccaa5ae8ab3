# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Find and fetch every CSV attachment of a mailbox: time and bytes received.

The time is from before the sign-in until the last attachment is in memory and the session is
closed, straight from the server; bytes are counted in a run of its own, through a proxy, and are
what is on the wire, TLS included. The counted runs come first and fill the server's index, so that
nobody pays for it in the timed ones. What is imported only when it is used counts, the import of
the hook's module does not.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import AbstractContextManager, nullcontext
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.child import answer, counted
from benchmarks.results import Row

if TYPE_CHECKING:
    from airflow.providers.imap.hooks.imap import ImapHook

    from benchmarks.rig import Rig
    from tests.servers.proxy import Proxy

_NAME = r".*\.csv"
_CLIENTS = ("peer", "ours")


def measure(rig: Rig, *, rounds: int, peer_name: str) -> list[Row]:
    """
    Measure, the peer and ours alternately.

    :param rounds: How often each is timed; the median counts.
    :raises RuntimeError: If not everyone brings the same attachments, all that there are.
    """
    received = {client: _fetch(rig, client, is_counted=True) for client in _CLIENTS}
    seconds: dict[str, list[float]] = {client: [] for client in _CLIENTS}
    for _ in range(rounds):
        for client in _CLIENTS:
            done = _fetch(rig, client, is_counted=False)
            if done["digest"] != received["peer"]["digest"]:
                raise RuntimeError("Two runs bring different attachments.")
            seconds[client].append(done["seconds"])
    for client, each in seconds.items():
        # How far apart they are tells how busy the machine was.
        print(f"{client}: {', '.join(f'{one:.2f}' for one in each)} s", flush=True)
    if received["ours"]["digest"] != received["peer"]["digest"]:
        raise RuntimeError("We bring other attachments than the peer.")
    return [
        Row(
            name="first_scan_get",
            unit="s",
            ours=median(seconds["ours"]),
            peer=median(seconds["peer"]),
            peer_name=peer_name,
            target_ratio=6,
        ),
        Row(
            name="first_scan_get_bytes",
            unit="bytes",
            ours=received["ours"]["received_bytes"],
            peer=received["peer"]["received_bytes"],
            peer_name=peer_name,
            target_ratio=7,
        ),
    ]


def _fetch(rig: Rig, client: str, *, is_counted: bool) -> dict[str, Any]:
    done = rig.run("benchmarks.scan", client=client, is_counted=is_counted)
    brought = (done["attachments"], done["attachment_bytes"])
    if brought != (rig.facts.csv_attachments, rig.facts.csv_bytes):
        raise RuntimeError(f"{client} brings {brought}, not all of {rig.facts}.")
    return done


def work(*, client: str, is_counted: bool) -> dict[str, Any]:
    """Fetch, in a process of its own."""
    hook = _hook(client)
    counting: AbstractContextManager[Proxy | None]
    counting = counted(client) if is_counted else nullcontext()
    with counting as proxy:
        began = time.perf_counter()
        with hook:
            attachments = hook.retrieve_mail_attachments(_NAME, check_regex=True)
        seconds = time.perf_counter() - began
    found = sorted((name, hashlib.sha256(content).hexdigest()) for name, content in attachments)
    return {
        "seconds": seconds,
        "received_bytes": proxy.bytes_to_client if proxy else None,
        "attachments": len(found),
        "attachment_bytes": sum(len(content) for _, content in attachments),
        "digest": hashlib.sha256(repr(found).encode()).hexdigest(),
    }


def _hook(client: str) -> ImapHook:
    if client == "peer":
        from benchmarks.peer import TokenImapHook

        return TokenImapHook(client)
    from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook

    return ImapOAuthHook(client)


if __name__ == "__main__":
    answer(work)
