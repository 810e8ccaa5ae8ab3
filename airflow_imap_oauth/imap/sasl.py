# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
SASL: what the client says, and what the server's error challenge means.

Pure code on bytes; RFC 7628 (OAUTHBEARER), the older XOAUTH2
(https://developers.google.com/workspace/gmail/imap/xoauth2-protocol, read 2026-11-25), and PLAIN
(RFC 4616).
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Protocol

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.imap.shown import shown
from airflow_imap_oauth.oauth.profiles import SaslMechanism

SASL_NAMES: dict[SaslMechanism, str] = {"oauthbearer": "OAUTHBEARER", "xoauth2": "XOAUTH2"}

# The members that RFC 7628 section 3.2.2 and XOAUTH2 define. Others are dropped: nobody knows
# what they hold.
_CHALLENGE_MEMBERS = ("status", "schemes", "scope", "openid-configuration")
_FORBIDDEN = frozenset("\r\n\0\x01")


def initial_response(
    mechanism: SaslMechanism, *, user: str, access_token: str, host: str, port: int
) -> bytes:
    r"""
    Return the initial client response, not yet in base64.

    XOAUTH2: ``user=a@b^Aauth=Bearer TOKEN^A^A``. OAUTHBEARER (RFC 7628 section 3.1):
    ``n,a=a@b,^Ahost=imap.b^Aport=993^Aauth=Bearer TOKEN^A^A``, where ``^A`` is ``\x01``.

    :param host: The host that was really connected to, and the port likewise.
    :raises ConfigurationError: If a value is empty or holds CR, LF, NUL, ``\x01`` or half of a
        surrogate pair. A retry cannot help.
    """
    for name, value in (("user", user), ("access token", access_token), ("host", host)):
        _check(name, value)
    if not access_token.isascii():
        raise ConfigurationError("The access token is not ASCII.", step="IMAP sign-in")
    if mechanism == "xoauth2":
        text = f"user={user}\x01auth=Bearer {access_token}\x01\x01"
    else:
        identity = user.replace("=", "=3D").replace(",", "=2C")
        text = (
            f"n,a={identity},\x01host={host}\x01port={port}\x01auth=Bearer {access_token}\x01\x01"
        )
    return text.encode()


def plain_response(*, user: str, password: str) -> bytes:
    r"""
    Return the response of PLAIN, not yet in base64; the authorization identity is left empty.

    :raises ConfigurationError: If a value is empty or holds CR, LF, NUL, ``\x01`` or half of a
        surrogate pair. A retry cannot help.
    """
    _check("user", user)
    _check("password", password)
    return f"\0{user}\0{password}".encode()


def _check(name: str, value: str) -> None:
    problem = ""
    if not value:
        problem = "is empty"
    elif not _FORBIDDEN.isdisjoint(value):
        problem = "holds a control character"
    elif any("\ud800" <= character <= "\udfff" for character in value):
        problem = "holds half of a surrogate pair"
    if problem:
        raise ConfigurationError(f"The {name} {problem}.", step="IMAP sign-in")


def parse_challenge(line: bytes) -> dict[str, str] | None:
    """
    Read the error challenge of a continuation line (without its ``+``).

    :param line: Base64 of a JSON object; plain JSON is understood too.
    :return: The defined members as text fit to be shown; None where it is not an object.
    """
    raw = line if line.startswith(b"{") else _decode(line)
    try:
        members = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(members, dict):
        return None
    return {
        name: shown(str(members[name]))
        for name in _CHALLENGE_MEMBERS
        if isinstance(members.get(name), (str, int))
    }


def _decode(line: bytes) -> bytes:
    """Decode base64, with or without its padding; nothing where it is none."""
    bare = line.rstrip(b"=")
    try:
        return base64.b64decode(bare + b"=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


class SaslClient(Protocol):
    """Whoever answers the continuation lines of one AUTHENTICATE."""

    def answer(self, line: bytes, /) -> bytes:
        """Return the line to send, in base64."""
        ...


class PlainSaslClient:
    """
    One sign-in with PLAIN: says its response once, and cancels what asks for more.

    :param sent: Whether the response travels with the command (SASL-IR, RFC 4959).
    """

    def __init__(self, response: bytes, *, sent: bool = False) -> None:
        self._response = response
        self._sent = sent

    def answer(self, _line: bytes, /) -> bytes:
        """Answer one continuation line; ``*`` cancels (RFC 9051 section 6.2.2)."""
        if self._sent:
            return b"*"
        self._sent = True
        return base64.b64encode(self._response)


class OAuthSaslClient:
    r"""
    One sign-in: says the token once, then answers the error challenge as its mechanism demands.

    Repeating the token, as a stateless callback does, makes servers answer BAD and hides why
    the token was refused.

    :param sent: Whether the initial response travels with the command (SASL-IR, RFC 4959).
    """

    def __init__(self, mechanism: SaslMechanism, initial: bytes, *, sent: bool = False) -> None:
        self._mechanism = mechanism
        self._initial = initial
        self._sent = sent
        #: Members of the server's error challenge; None: it sent none that can be read.
        self.challenge: dict[str, str] | None = None

    def answer(self, line: bytes) -> bytes:
        r"""
        Answer one continuation line.

        A bare ``+`` (some servers send nothing but that) asks for the initial response, or
        stands for an error without a reason once that was sent.

        :param line: What follows ``+``, base64 as sent.
        :return: The line to send, in base64: the token, then an empty line (XOAUTH2) or
            ``AQ==`` (``\x01``; RFC 7628 section 3.2.3).
        """
        if not self._sent:
            self._sent = True
            return base64.b64encode(self._initial)
        if line.strip():
            self.challenge = parse_challenge(line.strip()) or self.challenge
        return b"" if self._mechanism == "xoauth2" else base64.b64encode(b"\x01")
