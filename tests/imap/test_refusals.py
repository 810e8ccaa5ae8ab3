# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What the words of a server mean: wait, change something, or give up."""

from __future__ import annotations

import pytest

from airflow_imap_oauth.exceptions import ImapAuthenticationError, ImapUnavailableError
from airflow_imap_oauth.imap.refusals import Refusal, fresh_token_may_help


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (b"[UNAVAILABLE] Temporary authentication failure.", None),
        (b"[INUSE] Mailbox in use", None),
        (b"[LIMIT] Too many", None),
        (b"[THROTTLED] slow down", None),
        (b"[SERVERBUG] oops", None),
        (b"[unavailable] lower case", None),
        (b"[ALERT] Too many simultaneous connections. (Failure)", None),
        (b"[OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)", None),
        (b"Server Unavailable. 15", None),
        (b"Command Error. 12", None),
        (b"Request is throttled. Suggested Backoff Time: 5500 milliseconds", 5.5),
    ],
)
def test_waiting_helps(text: bytes, seconds: float | None) -> None:
    """Known ways to say "not now", with the wait that the server asks for; no token's fault."""
    refusal = Refusal("NO", text)
    error = refusal.authentication("XOAUTH2", {"status": "400"})
    assert refusal.is_unavailable
    assert type(error) is ImapUnavailableError
    assert (error.retry_helps, error.retry_after_seconds) == (True, seconds)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"[AUTHENTICATIONFAILED] Invalid credentials (Failure)", "AUTHENTICATIONFAILED"),
        (b"[ALERT] Please log in via your web browser", "ALERT"),
        (b"[NONEXISTENT] Unknown mailbox: try again later", "NONEXISTENT"),
        (b"AUTHENTICATE failed.", None),
        (b"", None),
        (b"\xff[LIMIT]", None),
    ],
)
def test_waiting_does_not_help(text: bytes, code: str | None) -> None:
    """Refusals with a code of their own, or without known words, are final."""
    refusal = Refusal("NO", text)
    assert (refusal.is_unavailable, refusal.code) == (False, code)
    assert isinstance(refusal.authentication("XOAUTH2", None), ImapAuthenticationError)


@pytest.mark.parametrize(
    ("text", "challenge", "hint", "fresh_helps"),
    [
        (b"[AUTHENTICATIONFAILED] no", {"status": "401"}, "IMAP is on", True),
        (b"[AUTHENTICATIONFAILED] no", {"status": "insufficient_scope"}, "Grant the scope", True),
        (b"[EXPIRED] no", None, "clock", True),
        (b"User is authenticated but not connected.", None, "no access to this mailbox", True),
        (b"[AUTHORIZATIONFAILED] no", None, "may not open this mailbox", False),
        (b"[NOPERM] no", None, "right to open", False),
        (b"[CONTACTADMIN] no", None, "administrator", False),
        (b"[PRIVACYREQUIRED] no", None, "TLS", False),
    ],
)
def test_what_to_do_about_a_refused_token(
    text: bytes, challenge: dict[str, str] | None, hint: str, fresh_helps: bool
) -> None:
    """Each kind has its own advice, and only some can be cured by a fresh token."""
    error = Refusal("NO", text).authentication("XOAUTH2", challenge)
    assert isinstance(error, ImapAuthenticationError)
    assert hint in error.hint
    assert error.challenge == challenge
    assert fresh_token_may_help(error) is fresh_helps
    assert not error.retry_helps


def test_a_long_answer_is_shown_short() -> None:
    """Neither length nor control characters of an answer reach a message."""
    line = Refusal("NO", b"a\x1b\r\n" + b"x" * 100_000).shown
    assert line.startswith("NO a x")
    assert len(line) == 200
