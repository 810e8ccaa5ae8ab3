# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
What a NO, BAD or BYE means: wait, change something, or give up.

Judged by the response code (RFC 3501 section 7.1, RFC 5530) first; by words only where servers
are known to send no code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_imap_oauth.exceptions import ImapAuthenticationError, ImapUnavailableError
from airflow_imap_oauth.imap.shown import shown

# RFC 5530 section 3, and THROTTLED, which Gmail and Yahoo send.
_UNAVAILABLE_CODES = frozenset({"UNAVAILABLE", "INUSE", "LIMIT", "THROTTLED", "SERVERBUG"})

# Exchange sends no codes ("Server Unavailable. 15", "Command Error. 12", "Request is throttled.
# Suggested Backoff Time: 5000 milliseconds"); Gmail "Too many simultaneous connections" and
# "Account exceeded command or bandwidth limits" behind [ALERT] or [OVERQUOTA].
_UNAVAILABLE_WORDS = re.compile(
    r"(?i)suggested backoff|throttl|too many (simultaneous |concurrent )?connections"
    r"|rate limit|exceeded (command or )?bandwidth|temporar(y|ily) |server unavailable"
    r"|try again later|command error\. 1\d"
)
_VAGUE_CODES = frozenset({None, "ALERT", "OVERQUOTA"})
_BACKOFF = re.compile(r"(?i)suggested backoff time:?\s*(\d{1,9})\s*millisecond")
_CODE = re.compile(r"\s*\[([A-Za-z0-9-]+)(?: [^\]]*)?\]")
_NOT_CONNECTED = "authenticated but not connected"

# With these the server knew the account and will not let it in: another token changes nothing.
_ACCOUNT_CODES = frozenset({"AUTHORIZATIONFAILED", "NOPERM", "PRIVACYREQUIRED", "CONTACTADMIN"})

_HINTS = {
    "AUTHORIZATIONFAILED": (
        "The account may not open this mailbox: check login and mailbox, and the rights of the "
        "account on it."
    ),
    "NOPERM": "Give the account the right to open this mailbox.",
    "PRIVACYREQUIRED": "The server wants TLS: set tls to implicit or starttls.",
    "CONTACTADMIN": "Ask the administrator of the mail provider; only they can unlock it.",
    "EXPIRED": "The server says that the token expired: check the clock of this machine.",
}
_PASSWORD_HINTS = {
    **_HINTS,
    "EXPIRED": "The server says that the password expired: set a new one, here and there.",
}
_REFUSED_HINT = (
    "Check login and password. Many mail providers want an app password here, or take none at all: "
    "then use OAuth 2.0."
)
_NO_MAILBOX_HINT = (
    "The password was accepted, but its account has no access to this mailbox: check that IMAP is "
    "on for it."
)
_SCOPE_HINT = "Grant the scope that the server names, and authorize again."
_NOT_CONNECTED_HINT = (
    "The token was accepted, but its account has no access to this mailbox: check that IMAP is "
    "on for it, that the token is of the mailbox's user or one with full access, and the scopes."
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    What a server answered instead of OK.

    :param status: ``NO``, ``BAD`` or ``BYE``.
    :param text: As sent, with the response code.
    """

    status: str
    text: bytes

    @property
    def code(self) -> str | None:
        """The response code in upper case, or None."""
        found = _CODE.match(self._decoded)
        return found[1].upper() if found else None

    @property
    def shown(self) -> str:
        """The answer in one line, fit to be shown."""
        return shown(f"{self.status} {self._decoded}".strip())

    @property
    def is_unavailable(self) -> bool:
        """Whether the server is out of order or throttles, so that waiting helps."""
        if self.code in _UNAVAILABLE_CODES or self.retry_after_seconds is not None:
            return True
        return self.code in _VAGUE_CODES and bool(_UNAVAILABLE_WORDS.search(self._decoded))

    @property
    def is_of_one_message(self) -> bool:
        """Whether a FETCH fails on what it asks for: Dovecot says so of mails it cannot read."""
        return not self.is_unavailable or self.code == "SERVERBUG"

    @property
    def is_not_connected(self) -> bool:
        """Whether it is Exchange, taking back an OK to AUTHENTICATE at the next command."""
        return _NOT_CONNECTED in self._decoded.lower()

    @property
    def retry_after_seconds(self) -> float | None:
        """How long the server asked to wait, or None."""
        found = _BACKOFF.search(self._decoded)
        return int(found[1]) / 1000 if found else None

    @property
    def _decoded(self) -> str:
        return self.text[:2000].decode("utf-8", "replace")

    def unavailable(self, doing: str) -> ImapUnavailableError:
        """Return the error of a server that cannot serve for now."""
        return ImapUnavailableError(
            f"The server cannot serve {doing} for now: {self.shown}",
            hint="Try again later; the credentials are not at fault.",
            retry_after_seconds=self.retry_after_seconds,
        )

    def authentication(
        self, mechanism: str, challenge: dict[str, str] | None
    ) -> ImapAuthenticationError | ImapUnavailableError:
        """
        Return the error of a sign-in that was refused.

        :param mechanism: SASL name.
        :param challenge: Members of the server's error challenge, or None.
        """
        if self.is_unavailable:
            return self.unavailable("the sign-in")
        told = "; ".join(f"{name}: {value}" for name, value in (challenge or {}).items())
        return ImapAuthenticationError(
            f"The server refused the token ({mechanism}): {self.shown}"
            + (f" ({shown(told)})" if told else ""),
            challenge=challenge,
            response_code=self.code,
            hint=self._hint(challenge),
        )

    def wrong_password(self, mechanism: str) -> ImapAuthenticationError | ImapUnavailableError:
        """
        Return the error of a sign-in with a password that was refused.

        :param mechanism: ``PLAIN`` or ``LOGIN``.
        """
        if self.is_unavailable:
            return self.unavailable("the sign-in")
        hint = _PASSWORD_HINTS.get(self.code or "", _REFUSED_HINT)
        return ImapAuthenticationError(
            f"The server refused the password ({mechanism}): {self.shown}",
            response_code=self.code,
            hint=_NO_MAILBOX_HINT if self.is_not_connected else hint,
        )

    def _hint(self, challenge: dict[str, str] | None) -> str | None:
        if self.is_not_connected:
            return _NOT_CONNECTED_HINT
        if (challenge or {}).get("status") == "insufficient_scope":
            return _SCOPE_HINT
        return _HINTS.get(self.code or "")


def fresh_token_may_help(error: ImapAuthenticationError) -> bool:
    """Whether a sign-in that failed like this can succeed with a newer token."""
    return error.response_code not in _ACCOUNT_CODES
