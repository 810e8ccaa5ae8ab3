# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Which proxies can be used, decided before a byte is sent; and how a proxy fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

from airflow_imap_oauth.exceptions import ConfigurationError

ProxyScheme = Literal["http", "socks5", "socks5h"]

_PORTS: dict[ProxyScheme, int] = {"http": 80, "socks5": 1080, "socks5h": 1080}
_OTHER_SOCKS = ("socks", "socks4", "socks4a")
_SCHEMES = f"Schemes that work are {', '.join(_PORTS)}."
_PRINTABLE_ASCII = range(0x21, 0x7F)
_LONGEST_SOCKS_FIELD = 255  # RFC 1929 section 2
_EXAMPLE = (
    "It must read like http://proxy.example.com:3128 or "
    "socks5h://user:password@proxy.example.com:1080, special characters of user and password "
    "percent-encoded."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyAddress:
    """
    A proxy, and as whom to use it.

    :param scheme: ``http`` asks by CONNECT (RFC 9110 section 9.3.6); ``socks5`` (RFC 1928)
        resolves the server's name here, ``socks5h`` leaves that to the proxy, as CONNECT does.
    :param user: None where the proxy wants no sign-in; then there is no password either.
    """

    scheme: ProxyScheme
    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


class ProxyFailureError(OSError):
    """
    The proxy did not open the way to the server.

    It stays below the errors of the package: whoever uses a proxy says as what it counts there.

    :param message: Names the proxy's host at most, never user or password.
    :param hint: What the user does next.
    :param retry_helps: Whether the same can succeed later with nothing changed by a human.
    """

    def __init__(self, message: str, *, hint: str, retry_helps: bool) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.retry_helps = retry_helps


def checked_proxy_url(url: str) -> ProxyAddress:
    """
    Read the URL of a proxy; nothing is resolved or sent.

    No message repeats any of it: what stands where in a mistyped URL may be the password.

    :param url: ``http``, ``socks5`` or ``socks5h``; user and password percent-encoded. The port
        is 80 for ``http`` and 1080 for SOCKS where none is named.
    :raises ConfigurationError: If it cannot be used. A retry cannot help.
    """
    if url and "://" not in url:
        raise ConfigurationError(
            "The proxy_url does not begin with a scheme.", hint=f"{_SCHEMES} {_EXAMPLE}"
        )
    parts = _split(url)
    if parts is None:
        raise ConfigurationError("The proxy_url is malformed.", hint=f"{_SCHEMES} {_EXAMPLE}")
    scheme = _scheme(parts)
    user, password = _unquoted(parts.username), _unquoted(parts.password)
    problem = _problem(scheme, user, password)
    if problem:
        raise ConfigurationError(f"The proxy_url {problem}.", hint=_EXAMPLE)
    return ProxyAddress(
        scheme=scheme,
        host=parts.hostname or "",
        port=parts.port or _PORTS[scheme],
        user=user,
        password=password,
    )


def _split(url: str) -> SplitResult | None:
    if not url or any(ord(character) not in _PRINTABLE_ASCII for character in url):
        return None
    try:
        parts = urlsplit(url)
        is_usable = parts.port != 0 and bool(parts.hostname)
        # An empty or too long label: the resolver would fail with an error of its own.
        (parts.hostname or "").encode("idna")
        unquote(parts.netloc, errors="strict")
    except ValueError:
        return None
    is_bare = parts.path in {"", "/"} and "?" not in url and "#" not in url
    return parts if is_usable and is_bare and parts.scheme else None


def _scheme(parts: SplitResult) -> ProxyScheme:
    for scheme in _PORTS:
        if parts.scheme == scheme:
            return scheme
    if parts.scheme == "https":
        raise ConfigurationError(
            "The proxy_url is https, and TLS to the proxy itself is not supported.",
            hint="Use http:// and the proxy's http port: what passes through is encrypted up to "
            f"the server. {_SCHEMES}",
        )
    if parts.scheme in _OTHER_SOCKS:
        raise ConfigurationError(
            "The scheme of proxy_url leaves open which SOCKS it is, or is of version 4.",
            hint=f"Write socks5h:// if the proxy speaks version 5; no other works. {_EXAMPLE}",
        )
    raise ConfigurationError(
        f"The scheme of proxy_url is none of {', '.join(_PORTS)}.", hint=_EXAMPLE
    )


def _unquoted(text: str | None) -> str | None:
    return None if text is None else unquote(text, errors="strict")


def _problem(scheme: ProxyScheme, user: str | None, password: str | None) -> str:
    """Say what the protocol cannot carry; empty: nothing."""
    if user is None and password is None:
        return ""
    if not user or not password:
        return "names a user without a password, or a password without a user"
    both = user + password
    if any(ord(character) < ord(" ") or character == "\x7f" for character in both):
        return "holds a control character in user or password"
    if scheme == "http":
        return "holds a colon in the user, which HTTP cannot carry" if ":" in user else ""
    if not both.isascii() or max(len(user), len(password)) > _LONGEST_SOCKS_FIELD:
        return (
            "holds a user or password that is not ASCII or has more than "
            f"{_LONGEST_SOCKS_FIELD} characters, which is too much for SOCKS"
        )
    return ""
