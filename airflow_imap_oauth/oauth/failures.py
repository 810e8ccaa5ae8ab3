# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What went wrong on the way to a server, said in words a user can act on."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import httpx

from airflow_imap_oauth.exceptions import OAuthError, TransientOAuthError
from airflow_imap_oauth.oauth.proxies import ProxyFailureError

_LONGEST_RETRY_AFTER_SECONDS = 24 * 3600.0
_HOSTNAME_MISMATCH_CODES = {62, 64}  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_TIME_CODES = {9, 10}  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED


def connection_failure(error: httpx.HTTPError, *, host: str, step: str) -> OAuthError:
    """
    Translate a failure of the HTTP client. Its own text is dropped: it may quote what was sent.

    :return: A permanent error for an untrusted certificate, else a transient one.
    """
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _certificate_failure(cause, host, step)
        if isinstance(cause, ssl.SSLError):
            return TransientOAuthError(
                f"TLS with host '{host}' failed.",
                hint="Check that its port speaks https and that no firewall cuts TLS.",
                step=step,
            )
        if isinstance(cause, socket.gaierror):
            return TransientOAuthError(
                f"The name of host '{host}' cannot be resolved.",
                hint="Check the spelling of the host and the name resolution of this machine.",
                step=step,
            )
    if isinstance(error, httpx.TimeoutException):
        return _timeout_failure(error, host, step)
    if isinstance(error, httpx.ConnectError):
        return TransientOAuthError(
            f"Host '{host}' cannot be reached.",
            hint="Check host, port, and the firewall between here and there.",
            step=step,
        )
    return TransientOAuthError(f"Host '{host}' broke off before its answer was whole.", step=step)


def proxy_failure(error: ProxyFailureError, *, step: str) -> OAuthError:
    """Translate the failure of a proxy: nothing was sent to the server."""
    kind = TransientOAuthError if error.retry_helps else OAuthError
    return kind(error.message, hint=error.hint, step=step)


def status_failure(
    status_code: int, headers: Mapping[str, str], *, host: str, step: str
) -> OAuthError | None:
    """
    Judge an answer by its status alone.

    :param headers: By lower-case name.
    :return: A transient error for 408, 429 and 5xx, a permanent one for a redirect, else None.
    """
    if 300 <= status_code < 400:  # noqa: PLR2004  # the class of redirects
        return OAuthError(
            f"Host '{host}' redirects the request elsewhere, which is not followed.",
            hint="Use the final address, and check that no proxy sits in between.",
            status_code=status_code,
            step=step,
        )
    if status_code in {408, 429} or status_code >= 500:  # noqa: PLR2004  # RFC 9110 section 15.6
        return TransientOAuthError(
            f"Host '{host}' answered HTTP {status_code}.",
            hint="It is overloaded or out of order, or a proxy before it is.",
            status_code=status_code,
            step=step,
            retry_after_seconds=retry_after_seconds(headers),
        )
    return None


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """
    Read ``Retry-After`` (RFC 9110 section 10.2.3): seconds, or a date.

    A date is compared with the server's own ``Date`` where it sent one, so that a wrong clock
    here does no harm.

    :param headers: By lower-case name.
    :return: Seconds from 0 to one day, or None where the header is missing or unreadable.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), _LONGEST_RETRY_AFTER_SECONDS)
    until = _http_date(value)
    if until is None:
        return None
    now = _http_date(headers.get("date", "")) or datetime.now(timezone.utc)
    return min(max((until - now).total_seconds(), 0.0), _LONGEST_RETRY_AFTER_SECONDS)


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _timeout_failure(error: httpx.TimeoutException, host: str, step: str) -> OAuthError:
    if isinstance(error, httpx.ConnectTimeout):
        message = f"Host '{host}' did not accept the connection in time."
        hint = "Check the firewall, or raise connect_timeout_seconds."
    else:
        message = f"Host '{host}' did not answer in time."
        hint = "Raise read_timeout_seconds if it is just slow."
    return TransientOAuthError(message, hint=hint, step=step)


def _certificate_failure(error: ssl.SSLCertVerificationError, host: str, step: str) -> OAuthError:
    if error.verify_code in _HOSTNAME_MISMATCH_CODES:
        reason, hint = "is for another host", "Check the host in the URL."
    elif error.verify_code in _TIME_CODES:
        reason = "is not valid at this time"
        hint = "Check this machine's clock; else the server needs a new certificate."
    else:
        reason = "is not trusted"
        hint = "If your own authority signed it, set ca_file to that authority's PEM file."
    return OAuthError(f"The certificate of host '{host}' {reason}.", hint=hint, step=step)
