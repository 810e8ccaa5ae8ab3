# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
What a sensor's second poke costs when nothing is new: round trips and bytes, connecting included.

Counted by a proxy between sensor and server, both ways, TLS and its handshake included. A round
trip is a wait for the server: one for connecting (TCP), one for the first bytes sent, and one for
each time that the client sends something after it has received something.

Upstream's sensor remembers nothing: it waits for an attachment that is not there and reads the
whole mailbox at each poke, so one poke tells what any of them costs. Ours waits for a subject that
is not there: its first poke has searched the mailbox, and its second knows that nothing has come
since. It holds a living access token by then, so that nobody asks the authorization server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from benchmarks.child import answer, counted
from benchmarks.results import Row

if TYPE_CHECKING:
    from benchmarks.rig import Rig

_NOT_THERE = "not-there.csv"


def measure(rig: Rig, *, peer_name: str) -> list[Row]:
    """
    Measure, the peer first.

    :raises RuntimeError: If a poke finds something.
    """
    done = {client: rig.run("benchmarks.poke", client=client) for client in ("peer", "ours")}
    return [
        Row(
            name="first_poke_trips",
            unit="round trips",
            ours=done["ours"]["round_trips"],
            peer=done["peer"]["round_trips"],
            peer_name=peer_name,
            target_ours=10,
        ),
        Row(
            name="first_poke_bytes",
            unit="bytes",
            ours=done["ours"]["bytes"],
            peer=done["peer"]["bytes"],
            peer_name=peer_name,
            target_ours=10_000,
        ),
    ]


def work(*, client: str) -> dict[str, Any]:
    """Poke, in a process of its own, and tell what the last poke cost."""
    poke = _peer if client == "peer" else _second_of_ours()
    with counted(client) as proxy:
        _poke_in_vain(poke)
    if proxy.connections != 1:
        raise RuntimeError(f"A poke connects {proxy.connections} times.")
    return {
        # The proxy counts connecting and the first flight as one.
        "round_trips": proxy.round_trips + proxy.connections,
        "bytes": proxy.bytes_to_client + proxy.bytes_to_server,
    }


def _poke_in_vain(poke: Callable[[], bool]) -> None:
    if poke():
        raise RuntimeError("A poke finds what is not there.")


def _peer() -> bool:
    from benchmarks.peer import TokenImapHook

    with TokenImapHook("peer") as hook:
        return hook.has_mail_attachment(_NOT_THERE)


def _second_of_ours() -> Callable[[], bool]:
    from airflow.sdk import Context

    from airflow_imap_oauth.sensors.imap_oauth import ImapOAuthMessageSensor

    sensor = ImapOAuthMessageSensor(
        task_id="wait", imap_conn_id="ours", mail_filter=f'(SUBJECT "{_NOT_THERE}")'
    )

    def poke() -> bool:
        return bool(sensor.poke(Context()).is_done)

    _poke_in_vain(poke)
    return poke


if __name__ == "__main__":
    answer(work)
