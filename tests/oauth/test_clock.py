# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""This machine's clock against the server's."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from airflow_imap_oauth.oauth.clock import server_time, skew_advice, utc_now
from tests.oauth.clients import LOGIN
from tests.oauth.dialects.clients import generic, spend, spend_refused

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

NOON = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)
AT_NOON = {"date": "Wed, 25 Nov 2026 12:00:00 GMT"}


@pytest.mark.parametrize(
    "date",
    [
        "Wed, 25 Nov 2026 12:00:00 GMT",
        "Wednesday, 25-Nov-26 12:00:00 GMT",
        "Wed, 25 Nov 2026 12:00:00 -0000",
        "Wed, 25 Nov 2026 13:00:00 +0100",
    ],
)
def test_rfc9110_6_6_1_date(date: str) -> None:
    """The instant of the header Date is read as UTC, in whichever form it comes."""
    assert server_time({"date": date}) == NOON


@pytest.mark.parametrize(
    "headers", [{}, {"date": ""}, {"date": "noon"}, {"date": "Wed, 99 Nov 2026 12:00:00 GMT"}]
)
def test_unreadable_date(headers: dict[str, str]) -> None:
    """Without a readable header the server's instant is not known, and no clock is blamed."""
    assert server_time(headers) is None
    assert skew_advice(headers, NOON) == ""


@pytest.mark.parametrize("seconds", [0, 120, -120])
def test_two_minutes_are_tolerable(seconds: int) -> None:
    """Two minutes between the clocks are no reason for advice."""
    assert skew_advice(AT_NOON, NOON + timedelta(seconds=seconds)) == ""


@pytest.mark.parametrize(("seconds", "where"), [(121, "ahead of"), (-3600, "behind")])
def test_more_is_told_with_its_direction(seconds: int, where: str) -> None:
    """A clock that is off is named with how far, and in which direction."""
    advice = skew_advice(AT_NOON, NOON + timedelta(seconds=seconds))
    assert f"{abs(seconds)} seconds {where} the server's" in advice


def test_now_is_aware() -> None:
    """The clock of this machine tells UTC."""
    assert utc_now().utcoffset() == timedelta(0)


def test_answer_carries_the_clock_of_the_server(authorization_server: AuthorizationServer) -> None:
    """A response knows when it was sent, by the clock of the server."""
    authorization_server.clock_offset_seconds = 3600
    token = authorization_server.mint_refresh_token(LOGIN)
    answered_at = spend(generic(authorization_server), token).answered_at
    assert answered_at is not None
    assert abs(answered_at - utc_now() - timedelta(hours=1)) < timedelta(minutes=1)


@pytest.mark.parametrize(("offset", "where"), [(3600, "behind"), (-3600, "ahead of"), (0, None)])
def test_refusal_tells_of_a_clock_that_is_off(
    authorization_server: AuthorizationServer, offset: int, where: str | None
) -> None:
    """Where the clocks differ a refusal says so: an assertion may have been refused for it."""
    authorization_server.clock_offset_seconds = float(offset)
    hint = spend_refused(generic(authorization_server), "unknown").hint
    assert "airflow imap-oauth login mail" in hint
    assert ("clock" in hint) == (where is not None)
    assert (where or "") in hint
