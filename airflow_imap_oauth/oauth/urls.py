# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Which URLs a request may go to, decided before a byte is sent."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from airflow_imap_oauth.exceptions import ConfigurationError

_PRINTABLE_ASCII = range(0x21, 0x7F)


def is_loopback_host(host: str) -> bool:
    """Tell whether a host name or address is this machine, without asking a resolver."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def checked_url(url: str, *, what: str, allow_loopback_http: bool) -> SplitResult:
    """
    Split a URL that is fit to receive a secret.

    It must be https, or http to a loopback host where that is allowed; and hold no user name,
    password or fragment. The message names the host at most, because whatever else stands in
    a mistyped URL may be a secret.

    :param what: What the URL is for, for the message, for example ``token request``.
    :raises ConfigurationError: If it is not. A retry cannot help.
    """
    parts = _split(url, what)
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ConfigurationError(
            f"The URL for the {what} holds a user name, a password or a fragment.",
            hint="Leave only scheme, host, port, path and query.",
        )
    host = parts.hostname or ""
    if parts.scheme == "https" or (
        parts.scheme == "http" and allow_loopback_http and is_loopback_host(host)
    ):
        return parts
    raise ConfigurationError(
        f"The URL for the {what} at host '{host}' is not https.",
        hint="Secrets are sent there, so only https is accepted.",
    )


def origin(parts: SplitResult) -> tuple[str, str, int | None]:
    """Return scheme, host and port: what two URLs of one server have in common."""
    default = {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", parts.port or default


def _split(url: str, what: str) -> SplitResult:
    parts = None
    if url and all(ord(character) in _PRINTABLE_ASCII for character in url):
        try:
            parts = urlsplit(url)
            _ = parts.port
            # An empty or too long label: the resolver would fail with an error of its own.
            (parts.hostname or "").encode("idna")
        except ValueError:
            parts = None
    if parts is None or not parts.scheme or not parts.hostname:
        raise ConfigurationError(
            f"The URL for the {what} is malformed.",
            hint="It must read like https://login.example.com/path.",
        )
    return parts
