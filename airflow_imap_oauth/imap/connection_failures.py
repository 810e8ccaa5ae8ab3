# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What went wrong on the way to a mail server, said in words a user can act on."""

from __future__ import annotations

import re
import socket
import ssl

from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    ImapConnectionError,
    ImapError,
    ImapOAuthError,
    ImapProtocolError,
    ImapTlsError,
)
from airflow_imap_oauth.imap.model import ImapSettings
from airflow_imap_oauth.imap.refusals import Refusal
from airflow_imap_oauth.imap.shown import shown
from airflow_imap_oauth.oauth.proxies import ProxyFailureError

# X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL's x509_vfy.h.
_NAME_CODES = frozenset({62, 64})
_TIME_CODES = frozenset({9, 10})  # not yet valid, expired
_LONGEST_MESSAGE = 600  # of a proxy, with two names of hosts
_UNEXPECTED = re.compile(r"unexpected response: b?(['\"])(.*)\1", re.DOTALL)


def connect_failure(error: OSError | UnicodeError, settings: ImapSettings) -> ImapOAuthError:
    """Translate what stopped the connection before the server's greeting."""
    where = _where(settings)
    if isinstance(error, UnicodeError):
        return ConfigurationError(f"'{shown(settings.host)}' is not the name of a host.")
    if isinstance(error, ProxyFailureError):
        kind = ImapConnectionError if error.retry_helps else ImapError
        return kind(shown(error.message, max_characters=_LONGEST_MESSAGE), hint=error.hint)
    if isinstance(error, ssl.SSLError):
        return _tls_failure(error, where)
    if isinstance(error, socket.gaierror):
        return ImapConnectionError(
            f"The name of host '{shown(settings.host)}' cannot be resolved.",
            hint="Check the spelling of the host and the name resolution of this machine.",
        )
    if isinstance(error, TimeoutError):
        return ImapConnectionError(
            f"{where} did not answer within {settings.connect_timeout_seconds:g} seconds.",
            hint="Check host, port, tls, and the firewall between here and there.",
        )
    return ImapConnectionError(
        f"{where} cannot be reached ({_reason(error)}).",
        hint="Check host, port, and the firewall between here and there.",
    )


def _tls_failure(error: ssl.SSLError, where: str) -> ImapConnectionError | ImapTlsError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_failure(error, where)
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return ImapConnectionError(
            f"{where} broke off the TLS handshake.",
            hint="Check that a mail server listens there, and the tls setting.",
        )
    return ImapTlsError(
        f"TLS with {where} failed ({shown(error.reason or 'unknown reason')}).",
        hint="Check port and tls: implicit TLS is port 993, STARTTLS port 143.",
    )


def _certificate_failure(error: ssl.SSLCertVerificationError, where: str) -> ImapTlsError:
    reason = shown(error.verify_message or "unknown reason")
    hint = (
        "Set ca_file to the certificate of the authority that signed the server's, if it is your "
        "own; do not trust a server that you do not know."
    )
    if error.verify_code in _NAME_CODES:
        hint = "Use the host name that stands in the server's certificate."
    elif error.verify_code in _TIME_CODES:
        hint = "Renew the server's certificate, or set the clock of this machine."
    return ImapTlsError(f"The certificate of {where} is not trusted: {reason}.", hint=hint)


def lost_connection(error: OSError, settings: ImapSettings, doing: str) -> ImapConnectionError:
    """Translate what ended a connection that stood."""
    if isinstance(error, TimeoutError):
        return ImapConnectionError(
            f"'{shown(settings.host)}' did not answer {doing} within "
            f"{settings.read_timeout_seconds:g} seconds.",
            hint="Try again, or raise read_timeout_seconds.",
        )
    return ImapConnectionError(
        f"The connection to '{shown(settings.host)}' was lost during {doing} ({_reason(error)})."
    )


def closed_connection(settings: ImapSettings, doing: str) -> ImapConnectionError:
    """Return the error of a server that closed the connection without a word."""
    return ImapConnectionError(f"'{shown(settings.host)}' closed the connection during {doing}.")


def farewell_failure(text: bytes, settings: ImapSettings) -> ImapError:
    """Translate the text behind BYE."""
    refusal = Refusal("BYE", text)
    if refusal.is_unavailable:
        return refusal.unavailable("this connection")
    failure = closed_connection(settings, f"the session: {refusal.shown}")
    if b"accesstokenexpired" in text.lower():  # Exchange, when the token runs out
        failure.hint = "Connect again with a fresh token."
    return failure


def greeting_failure(error: Exception, settings: ImapSettings) -> ImapError:
    """Judge what the library makes of no greeting: BYE, silence, or another protocol."""
    told = error.args[0] if error.args else ""
    if isinstance(told, bytes):
        return farewell_failure(told.removeprefix(b"* BYE").strip(), settings)
    if "compliant" in str(told):
        return not_imap(settings)
    unexpected = _UNEXPECTED.search(str(told))
    if unexpected:
        return not_imap(settings, f": it sent '{shown(unexpected[2])}'")
    return abort_failure(error, settings, "the greeting")


def abort_failure(error: Exception, settings: ImapSettings, doing: str) -> ImapError:
    """Tell a closed connection from an answer that is no IMAP; the text is the library's."""
    if "socket error" in str(error) or "BYE" in str(error):
        return closed_connection(settings, doing)
    return ImapProtocolError(f"The answer to {doing} is no IMAP.")


def not_imap(settings: ImapSettings, told: str = "") -> ImapProtocolError:
    """Return the error of a server that greets with something else than IMAP."""
    return ImapProtocolError(
        f"{_where(settings)} does not speak IMAP{told}.", hint="Check host, port and tls."
    )


def _where(settings: ImapSettings) -> str:
    return f"'{shown(settings.host)}' port {settings.port}"


def _reason(error: OSError) -> str:
    return shown(error.strerror or type(error).__name__)
