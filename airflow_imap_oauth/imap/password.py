# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""AUTHENTICATE PLAIN or LOGIN with a password, and the proof that it opened the mailbox."""

from __future__ import annotations

import base64

from airflow_imap_oauth.exceptions import (
    ImapCapabilityError,
    ImapCommandError,
    ImapProtocolError,
)
from airflow_imap_oauth.imap._wire import Wire
from airflow_imap_oauth.imap.criteria import CommandPiece, Literal
from airflow_imap_oauth.imap.folder_names import quote
from airflow_imap_oauth.imap.model import ImapSettings, MailSession
from airflow_imap_oauth.imap.sasl import PlainSaslClient, plain_response
from airflow_imap_oauth.imap.session import open_session_by
from airflow_imap_oauth.imap.sign_in import (
    LONGEST_COMMAND_BYTES,
    offered_mechanisms,
    prove_sign_in,
)


def open_session_with_password(settings: ImapSettings, password: str) -> MailSession:
    """
    Connect over verified TLS and sign in with a password, where the server still allows it.

    ``sasl_mechanism`` has no say: AUTHENTICATE PLAIN is used where offered, else LOGIN.

    :param password: It is sent once, over TLS only, and kept nowhere.
    :raises ConfigurationError: If user or password hold what cannot be sent.
    :raises ImapConnectionError: If the server cannot be reached. A retry helps.
    :raises ImapTlsError: If TLS cannot be had or the certificate is not trusted.
    :raises ImapCapabilityError: If the server takes no passwords; it was sent none.
    :raises ImapAuthenticationError: If it refuses this password. A retry cannot help.
    :raises ImapUnavailableError: If it is busy or throttles. A retry helps.
    """
    return open_session_by(settings, password, sign_in_with_password)


def sign_in_with_password(wire: Wire, settings: ImapSettings, password: str) -> None:
    """
    Sign in, and run one command, as with a token.

    :raises ConfigurationError: If user or password hold what cannot be sent.
    :raises ImapCapabilityError: If the server takes no passwords; it was sent none.
    :raises ImapAuthenticationError: If it refuses the password. A retry cannot help.
    :raises ImapUnavailableError: If it cannot say for now; the password is not at fault.
    """
    if wire.is_preauthenticated:
        raise ImapProtocolError("The server claims a sign-in that did not happen.")
    response = plain_response(user=settings.user, password=password)
    encoded = base64.b64encode(response)
    offered = wire.offered_before_sign_in()
    name = _choose(offered)
    wire.withhold(_forms(password.encode(), encoded))
    if name == "PLAIN":
        at_once = "SASL-IR" in offered and len(encoded) < LONGEST_COMMAND_BYTES
        sasl = PlainSaslClient(response, sent=at_once)
        refusal = wire.authenticate(name, sasl, encoded if at_once else None)
    else:
        refusal = wire.login(_string(settings.user), _string(password))
    refusal = refusal or prove_sign_in(wire)
    if refusal is None:
        return
    if refusal.status == "NO" or refusal.is_not_connected or refusal.is_unavailable:
        raise refusal.wrong_password(name)
    raise ImapCommandError(f"The server refused the sign-in ({name}): {refusal.shown}")


def _choose(offered: frozenset[str]) -> str:
    if "AUTH=PLAIN" in offered:
        return "PLAIN"
    if "LOGINDISABLED" not in offered:  # RFC 9051 section 6.2.3
        return "LOGIN"
    raise ImapCapabilityError(
        f"The server takes no passwords (it offers: {offered_mechanisms(offered)}).",
        hint="Use OAuth 2.0, or ask the administrator of the mail server to allow passwords.",
    )


def _string(text: str) -> CommandPiece:
    """Return a quoted string, or a literal where it is not ASCII."""
    return quote(text.encode()) if text.isascii() else Literal(text.encode())


def _forms(password: bytes, response: bytes) -> tuple[str, ...]:
    """Return what a server could repeat, byte by byte: the password as sent by either command."""
    forms = (password, quote(password)[1:-1], base64.b64encode(password), response)
    return tuple({form.decode("latin-1"): None for form in forms})
