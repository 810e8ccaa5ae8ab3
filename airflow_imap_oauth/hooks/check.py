# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Checking a connection step by step, from its settings to the first mail folder.

Tokens are renewed and kept as a task would do it, so the connection must be known by its true id.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from airflow_imap_oauth.exceptions import ConfigurationError, ImapOAuthError, TransientOAuthError
from airflow_imap_oauth.hooks.config import PackageOptions, read_options
from airflow_imap_oauth.hooks.connection import ConnectionLike, ConnectionSettings, parse
from airflow_imap_oauth.hooks.keys import plain_secrets
from airflow_imap_oauth.hooks.keys import sealer as configured_sealer
from airflow_imap_oauth.hooks.mailbox import Mailbox, open_mailbox, open_session
from airflow_imap_oauth.oauth.expiry import expiry_warning
from airflow_imap_oauth.oauth.scopes import missing_scopes, surplus_warning
from airflow_imap_oauth.tokens.manager import utc_now

if TYPE_CHECKING:
    from airflow_imap_oauth.imap.model import MailSession

logger = logging.getLogger(__name__)

StepName = Literal[
    "settings",
    "token_keys",
    "names",
    "tls",
    "discovery",
    "token",
    "scopes",
    "account",
    "sign_in",
    "first_command",
    "folder",
    "capabilities",
]
Outcome = Literal["ok", "failed", "skipped"]

#: What each step is called for people, in the order in which they are taken.
TITLES: dict[StepName, str] = {
    "settings": "Settings",
    "token_keys": "Keys that seal secrets",
    "names": "Names of the servers",
    "tls": "Mail server and its certificate",
    "discovery": "Authorization server",
    "token": "Access token",
    "scopes": "Scopes",
    "account": "Account",
    "sign_in": "Sign-in to the mailbox",
    "first_command": "First command",
    "folder": "Mail folder",
    "capabilities": "Capabilities",
}

#: Which steps make no sense where another one failed.
_NEEDS: dict[StepName, tuple[StepName, ...]] = {
    "settings": (),
    "token_keys": ("settings",),
    "names": ("settings",),
    "tls": ("names",),
    "discovery": ("names", "token_keys"),
    "token": ("discovery",),
    "scopes": ("token",),
    "account": ("token",),
    "sign_in": ("tls", "token"),
    "first_command": ("sign_in",),
    "folder": ("sign_in",),
    "capabilities": ("sign_in",),
}

_FOLDER = "INBOX"
_SHOWN_CAPABILITIES = 12
_MAX_TEXT_LENGTH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckStep:
    """
    One step of a check.

    :param text: What was found, what failed, or why the step was skipped; one line, no secrets.
    :param hint: What to do next, or empty.
    """

    name: StepName
    outcome: Outcome
    text: str
    hint: str = ""

    @property
    def title(self) -> str:
        """What the step is called for people."""
        return TITLES[self.name]


class _SkipError(Exception):
    """A step does not apply; the text says why."""


def check(connection: ConnectionLike, options: PackageOptions | None = None) -> Iterator[CheckStep]:
    """
    Check a connection; each step is yielded as soon as it is over.

    :param options: None reads the configuration.
    :return: Every step once, in the order of :data:`TITLES`. A step whose ground failed is skipped.
    """
    work = _Check(connection, options)
    failed: set[StepName] = set()
    try:
        for name in TITLES:
            ground = next((need for need in _NEEDS[name] if need in failed), None)
            if ground is not None:
                step = CheckStep(name=name, outcome="skipped", text=f"Needs: {TITLES[ground]}.")
                failed.add(name)
            else:
                step = _taken(name, work.steps[name])
                if step.outcome == "failed":
                    failed.add(name)
            yield step
    finally:
        work.close()


def _taken(name: StepName, take: Callable[[], str]) -> CheckStep:
    try:
        return CheckStep(name=name, outcome="ok", text=_line(take()))
    except _SkipError as reason:
        return CheckStep(name=name, outcome="skipped", text=_line(str(reason)))
    except ImapOAuthError as error:
        text, hint = _line(error.message), _line(error.hint)
        return CheckStep(name=name, outcome="failed", text=text, hint=hint)
    except Exception as error:  # noqa: BLE001  # shown to people: it must not be a library's text
        logger.warning("Step %s of the check failed: %s", name, type(error).__name__)
        text = f"Failed with {type(error).__name__}."
        return CheckStep(name=name, outcome="failed", text=text, hint="See the log for more.")


def _line(text: str) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return printable if len(printable) <= _MAX_TEXT_LENGTH else f"{printable[:_MAX_TEXT_LENGTH]}…"


@dataclass
class _Check:
    """What the steps share."""

    connection: ConnectionLike
    options: PackageOptions | None
    settled: ConnectionSettings = field(init=False)
    mailbox: Mailbox = field(init=False)
    session: MailSession | None = field(default=None, init=False)

    @property
    def steps(self) -> dict[StepName, Callable[[], str]]:
        return {name: getattr(self, name) for name in TITLES}

    def close(self) -> None:
        if self.session is not None:
            self.session.close()

    def settings(self) -> str:
        self.options = self.options or read_options()
        allowed = self.options.allow_loopback_http
        self.settled = parse(self.connection, allow_loopback_http=allowed)
        oauth, imap = self.settled.oauth, self.settled.imap
        warning = expiry_warning(oauth, utc_now().date())
        found = f"{oauth.profile.label}, {oauth.grant}, {imap.user} at {imap.host}."
        return f"{found} {warning}" if warning else found

    def token_keys(self) -> str:
        self.mailbox = open_mailbox(self.connection, self.options)
        options = self.mailbox.options
        sealer = configured_sealer(options)
        sealer.seal("probe", purpose="probe", binding={})
        first, *others = sealer.key_ids
        source = "[imap_oauth] token_keys" if options.token_keys else "[core] fernet_key"
        found = f"Key {first} of {source} seals; {len(others)} more can open."
        plain = plain_secrets(self.connection.extra)
        if plain:
            found += f" Not sealed yet: {', '.join(plain)}. Authorizing seals them."
        return found

    def names(self) -> str:
        imap, endpoints = self.settled.imap, self.settled.oauth.endpoints
        if imap.proxy_url:
            raise _SkipError("The proxy finds the servers.")
        url = endpoints.token_url or endpoints.issuer or ""
        hosts = dict.fromkeys(filter(None, (imap.host, urlsplit(url).hostname)))
        for host in hosts:
            _resolve(host)
        return f"Found: {', '.join(hosts)}."

    def tls(self) -> str:
        from airflow_imap_oauth.imap.session import probe  # noqa: PLC0415  # loads an IMAP client

        imap = self.settled.imap
        return f"{imap.host}:{imap.port} is trusted and offers {probe(imap)}."

    def discovery(self) -> str:
        from airflow_imap_oauth.oauth import discovery  # noqa: PLC0415  # loads an HTTP client
        from airflow_imap_oauth.oauth.http import Transport  # noqa: PLC0415  # as above

        oauth = self.mailbox.settings.oauth
        with Transport(oauth.transport) as transport:
            found = discovery.complete(oauth, transport, "token_url", wanted=("authorize_url",))
        return f"Tokens come from {urlsplit(found.endpoints.token_url or '').hostname}."

    def token(self) -> str:
        manager = self.mailbox.token_manager()
        manager.get_access_token()
        state = manager.state()
        return f"Good until {state.access_token_expires_at:%Y-%m-%d %H:%M} UTC."

    def scopes(self) -> str:
        oauth = self.mailbox.settings.oauth
        granted = self.mailbox.token_manager().state().scopes
        if not granted:
            raise _SkipError("The authorization server does not tell what it granted.")
        missing = missing_scopes(oauth.scopes, granted)
        if missing:
            raise ConfigurationError(
                f"Not granted: {' '.join(missing)}.",
                hint="Allow them in the application's registration, then authorize again.",
            )
        warning = surplus_warning(oauth, granted)
        return f"Granted: {' '.join(granted)}." + (f" {warning}" if warning else "")

    def account(self) -> str:
        account = self.mailbox.token_manager().state().account
        if account is None:
            raise _SkipError("The authorization server does not tell whose token it is.")
        claims = ", ".join(f"{name} {value}" for name, value in sorted(account.items()))
        return f"Bound to {claims}."

    def sign_in(self) -> str:
        self.session = open_session(self.mailbox)
        return f"Signed in as {self.mailbox.settings.imap.user}."

    def first_command(self) -> str:
        self._signed_in().noop()
        return "NOOP was answered."

    def folder(self) -> str:
        state = self._signed_in().examine(_FOLDER)
        return f"{_FOLDER} holds {state.exists} messages."

    def capabilities(self) -> str:
        offered = sorted(self._signed_in().capabilities)
        more = len(offered) - _SHOWN_CAPABILITIES
        shown = " ".join(offered[:_SHOWN_CAPABILITIES])
        return f"{shown} and {more} more." if more > 0 else f"{shown}."

    def _signed_in(self) -> MailSession:
        if self.session is None:
            raise _SkipError("Needs a session.")
        return self.session


def _resolve(host: str) -> None:
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        failure = TransientOAuthError(
            f"Host '{host}' is not known.",
            hint="Check its spelling, and the name service of this machine.",
        )
    else:
        return
    raise failure
