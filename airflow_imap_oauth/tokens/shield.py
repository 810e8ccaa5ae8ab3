# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Work that no signal interrupts."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from threading import Event, Lock, Thread
from typing import TypeVar

Result = TypeVar("Result")


def shielded(work: Callable[[], Result]) -> tuple[Result, BaseException | None]:
    """
    Do what must not stop half-way, whatever signals come meanwhile.

    A task's timeout raises amid whatever the main thread does. From the moment that a refresh
    token is spent until its successor is saved there may be no other copy of it, so this happens
    in a thread, which no signal reaches. It must be bounded in time by itself.

    :return: What the work returned, and what a signal handler raised meanwhile: to be raised by
        the caller.
    :raises BaseException: What a signal handler raised, else what the work raised.
    """
    results: list[Result] = []
    failures: list[BaseException] = []
    # Not Thread.join: interrupted once, it takes a living thread for one that has ended.
    done = Event()
    # Whoever has it decides whether the work is done at all: a signal may come amid the start.
    gate = Lock()

    def run() -> None:
        if not gate.acquire(blocking=False):
            return
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001  # raised again by whoever waits
            failures.append(error)
        finally:
            done.set()

    # Of the caller's context: what reads it (masking, tracing) finds what it would find there.
    thread = Thread(target=copy_context().run, args=(run,), name="token-renewal", daemon=True)
    interruption: BaseException | None = None
    unstarted = True
    while not done.is_set():
        try:
            if unstarted:
                unstarted = False
                thread.start()
            done.wait()
        except BaseException as error:  # noqa: PERF203  # kept for the caller
            if gate.acquire(blocking=False):
                raise  # it has not begun, and will not
            interruption = interruption or error
    if failures:
        raise interruption or failures[0]
    return results[0], interruption
