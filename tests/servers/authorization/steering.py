# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What tests do to the behaviour of the authorization server, and what they count."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping

from tests.servers.authorization.faults import Fault, FaultKind, FaultPlan
from tests.servers.authorization.state import State
from tests.servers.authorization.switches import Switches, checked
from tests.servers.authorization.traffic import RecordedRequest, Traffic


class Steering(Switches):
    """The part of the server that counts requests, lets them fail, and turns switches."""

    _state: State
    _faults: FaultPlan
    _traffic: Traffic

    # --- Traffic ----------------------------------------------------------------------------------

    @property
    def requests(self) -> Counter[str]:
        """Requests by path since the last reset."""
        return self._traffic.by_path()

    @property
    def token_requests(self) -> int:
        """Token requests since the last reset, at whichever mail provider, failed ones too."""
        return len(self._traffic.at("token"))

    @property
    def token_requests_by_grant(self) -> Counter[str]:
        """The same by ``grant_type``."""
        return self._traffic.by_grant()

    def recorded(self, endpoint: str) -> tuple[RecordedRequest, ...]:
        """Return the requests at one endpoint (``token``, ``authorize``, ...) in their order."""
        return self._traffic.at(endpoint)

    def counters(self) -> dict[str, object]:
        """Return all counters, as JSON can hold them."""
        return {
            "requests": dict(self.requests),
            "token_requests": self.token_requests,
            "token_requests_by_grant": dict(self.token_requests_by_grant),
        }

    # --- Faults, switches, clocks -----------------------------------------------------------------

    def fail_next(
        self,
        target: str,
        kind: FaultKind,
        *,
        times: int = 1,
        members: Mapping[str, object] | None = None,
        **details: object,
    ) -> None:
        """
        Let the next requests fail.

        :param target: An endpoint (``token``, ``authorize``, ``device``, ``introspection``,
            ``revocation``, ``discovery``, ``jwks``) of whichever mail provider, or one path.
        :param kind: How, see :class:`~tests.servers.authorization.faults.Fault`.
        :param members: Further members of a JSON error, for example those of
            :func:`entra_error`.
        :param details: Further fields of the fault: ``status``, ``error``, ``retry_after``,
            ``seconds``, ``processed``, ...
        """
        found = tuple((members or {}).items())
        self._faults.add(target, Fault(kind=kind, members=found, **details), times)

    def switch(self, **values: object) -> None:
        """Set switches by name, as over the control endpoint."""
        for name, value in values.items():
            setattr(self, name, checked(name, value))

    @property
    def clock(self) -> Callable[[], float]:
        """What polls, device codes and limits of requests are measured by; a test may set it."""
        return self._state.clock

    @clock.setter
    def clock(self, clock: Callable[[], float]) -> None:
        self._state.clock = clock

    def advance_clock(self, seconds: float) -> None:
        """Move that clock ahead, so that nothing needs to be waited for."""
        self._state.advanced_seconds += seconds

    def reset_counters(self) -> None:
        """Set every counter to zero."""
        self._traffic.clear()

    def reset(self) -> None:
        """Set counters, faults, switches and clock back; clients and tokens stay."""
        self.reset_counters()
        self._faults.clear()
        self._state.signing_keys.clear_changes()
        self._state.clock = time.monotonic
        self._state.advanced_seconds = 0.0
        self.switch(**vars(Switches()))
