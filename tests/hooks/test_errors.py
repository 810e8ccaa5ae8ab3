# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Errors name the connection that they turn out to be about, fit to be pasted into a shell."""

from __future__ import annotations

import shlex

import pytest

from airflow_imap_oauth.exceptions import ConfigurationError, ReauthorizationRequiredError

COMMAND = "airflow imap-oauth login"


@pytest.mark.parametrize(
    "conn_id", ["mail", "MY_CONN_ID", "CONN_ID", "two words", "$(reboot)", "it's; reboot"]
)
def test_command_names_the_connection(conn_id: str) -> None:
    """However the error learns of its connection, the command is that of this one, quoted."""
    told = [
        ReauthorizationRequiredError("It is dead.", conn_id=conn_id),
        ReauthorizationRequiredError("It is dead.").located(conn_id=conn_id),
        ReauthorizationRequiredError("It is dead.").located(step="a").located(conn_id=conn_id),
        ReauthorizationRequiredError("It is dead.", conn_id=conn_id).located(conn_id="another"),
    ]
    told[1].located(conn_id=conn_id, step="again")
    for error in told:
        _, found, rest = error.hint.partition(f"{COMMAND} ")
        assert found
        assert shlex.split(rest.removesuffix(".")) == [conn_id]
        assert error.conn_id == conn_id


def test_command_in_a_message_names_the_connection() -> None:
    """Not only hints hold commands."""
    error = ConfigurationError(f"Use {COMMAND} CONN_ID first.").located(conn_id="mail")
    assert error.message == f"Use {COMMAND} mail first."
