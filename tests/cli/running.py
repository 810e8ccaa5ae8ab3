# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Run commands in this process, with a person at the terminal."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_imap_oauth.cli.login import login

if TYPE_CHECKING:
    import pytest

CONN_ID = "login_test"


def run(
    capsys: pytest.CaptureFixture[str],
    command: Callable[[Any], None] | None = None,
    **arguments: Any,
) -> tuple[int, str]:
    """
    Run ``login`` or another command here; return its exit code and what it said on stderr.

    With neither ``device`` nor ``no_browser`` given, a person would have to paste an address.
    """
    values = {
        "conn_id": CONN_ID,
        "no_browser": "device" not in arguments,
        "device": False,
        "other_account": False,
        "redirect_port": 0,
        "force": False,
        "output": "table",
        "verbose": False,
    }
    code = 0
    try:
        (command or login)(Namespace(**{**values, **arguments}))
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    return code, capsys.readouterr().err


def airflow(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run ``airflow imap-oauth`` here, from its arguments on; return exit code, stdout, stderr."""
    from airflow.cli.cli_parser import get_parser

    capsys.readouterr()
    code = 0
    try:
        parsed = get_parser().parse_args(["imap-oauth", *arguments])
        parsed.func(parsed)
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    shown = capsys.readouterr()
    return code, shown.out, shown.err


class Person:
    """Sits at the terminal: opens the address that is shown, consents, pastes what comes back."""

    def __init__(
        self,
        capsys: pytest.CaptureFixture[str],
        consent: Callable[[str], str],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        self._capsys = capsys
        self._consent = consent
        self._meanwhile = meanwhile
        self.shown = ""

    def readline(self) -> str:
        """Answer the command's question."""
        self.shown = self._capsys.readouterr().out
        url = re.search(r"https://\S+", self.shown)
        assert url is not None
        self._meanwhile()
        return self._consent(url.group()) + "\n"
