# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Commands that need no account: CAPABILITY, STARTTLS, AUTHENTICATE and the like."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.servers.embedded.grammar import CommandError, Reader
from tests.servers.embedded.sasl import (
    BearerResponse,
    MalformedResponseError,
    TokenCheckUnavailableError,
    error_challenge,
    parse_response,
)
from tests.servers.embedded.selected import LogoutError, RefusedError

if TYPE_CHECKING:
    from tests.servers.embedded.session import Session

_FAILED = "[AUTHENTICATIONFAILED] Authentication failed."
_UNAVAILABLE = "[UNAVAILABLE] Temporary authentication failure."
#: What a client answers to the error challenge (RFC 7628 section 3.2.3); else it is redacted.
_KNOWN_ANSWERS = (b"", b"AQ==", b"*")


def capabilities(session: Session) -> bytes:
    """Return what the server offers at this point of the connection."""
    server = session.server
    offered = list(server.capabilities)
    if session.login is None and session.wire.is_tls:
        offered += [f"AUTH={name}" for name in server.mechanisms]
    if not session.wire.is_tls:
        offered.append("STARTTLS")
    if session.login is None and not (session.wire.is_tls and _passwords(session)):
        offered.append("LOGINDISABLED")
    return " ".join(offered).encode()


def greet(session: Session) -> None:
    """Send the greeting."""
    session.untagged(b"OK [CAPABILITY " + capabilities(session) + b"] Embedded server ready.")


def _capability(session: Session, reader: Reader) -> None:
    reader.end()
    session.untagged(b"CAPABILITY " + capabilities(session))
    session.done("Capability completed.")


def _noop(session: Session, reader: Reader) -> None:
    reader.end()
    session.report_changes()
    session.done("NOOP completed.")


def _logout(session: Session, reader: Reader) -> None:
    reader.end()
    session.untagged(b"BYE Logging out")
    session.done("Logout completed.")
    raise LogoutError


def _id(session: Session, reader: Reader) -> None:
    reader.rest()
    session.untagged(b'ID ("name" "embedded")')
    session.done("ID completed.")


def _starttls(session: Session, reader: Reader) -> None:
    reader.end()
    if session.wire.is_tls:
        raise CommandError("TLS is already active")
    session.done("Begin TLS negotiation now.")
    session.wire.start_tls(session.server.tls_context)


def _passwords(session: Session) -> dict[str, str]:
    """Passwords by account, where a test set ``passwords`` of the server."""
    return getattr(session.server, "passwords", {})


def _login(session: Session, reader: Reader) -> None:
    reader.space()
    user = reader.astring()
    reader.space()
    password = reader.astring()
    reader.end()
    if not session.wire.is_tls or not _passwords(session):
        raise RefusedError("[PRIVACYREQUIRED] Plain login is disabled.")
    _check_password(session, user, password)


def _plain(session: Session, encoded: bytes) -> None:
    try:
        authzid, user, password = base64.b64decode(encoded, validate=True).split(b"\0")
    except ValueError:
        raise RefusedError(_FAILED) from None
    if authzid:
        raise RefusedError("[AUTHORIZATIONFAILED] Not for another account.")
    _check_password(session, user, password)


def _check_password(session: Session, user: bytes, password: bytes) -> None:
    if session.server.unavailable:
        raise RefusedError(_UNAVAILABLE)
    login = user.decode().lower()
    if _passwords(session).get(login, "").encode() != password or not password:
        raise RefusedError(_FAILED)
    _welcome(session, login)


def _welcome(session: Session, login: str) -> None:
    session.login = login
    session.done(f"[CAPABILITY {capabilities(session).decode()}] Logged in")


def _authenticate(session: Session, reader: Reader) -> None:
    reader.space()
    mechanism = reader.atom().upper()
    initial = None
    if reader.accept(b" "):
        initial = reader.rest()
        if "SASL-IR" not in session.server.capabilities:
            raise CommandError("Unexpected initial response")
    if session.login is not None:
        raise CommandError("Already logged in")
    if not session.wire.is_tls:
        raise RefusedError("[PRIVACYREQUIRED] TLS is needed first.")
    if mechanism not in session.server.mechanisms:
        raise RefusedError("Unsupported authentication mechanism.")
    if initial is None:
        session.continuation(b"")
        initial = session.wire.read_line()
    if initial == b"*":
        raise CommandError("Authentication aborted")
    initial = b"" if initial == b"=" else initial
    if mechanism == "PLAIN":
        _plain(session, initial)
    else:
        _sign_in(session, mechanism, initial)


def _sign_in(session: Session, mechanism: str, encoded: bytes) -> None:
    try:
        response = parse_response(mechanism, encoded)
    except MalformedResponseError:
        raise RefusedError(_FAILED) from None
    if session.server.unavailable:
        raise RefusedError(_UNAVAILABLE)
    try:
        login = session.server.token_check(response.token)
    except TokenCheckUnavailableError:
        raise RefusedError(_UNAVAILABLE) from None
    if login is None or not _may_open(login, response):
        session.continuation(error_challenge(mechanism))
        answer = session.wire.read_line()
        known = answer in _KNOWN_ANSWERS
        session.server.challenge_answers.append(answer.decode() if known else "<redacted>")
        if answer == b"*":
            raise CommandError("Authentication aborted")
        raise RefusedError(_FAILED)
    _welcome(session, login.lower())


def _may_open(login: str, response: BearerResponse) -> bool:
    return login.lower() == response.user.lower()


COMMANDS: dict[str, Callable[[Session, Reader], None]] = {
    "CAPABILITY": _capability,
    "NOOP": _noop,
    "LOGOUT": _logout,
    "ID": _id,
    "STARTTLS": _starttls,
    "LOGIN": _login,
    "AUTHENTICATE": _authenticate,
}
