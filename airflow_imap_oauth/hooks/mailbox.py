# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""One mailbox ready for use: what hook, pages and commands all build from a connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from airflow_imap_oauth.exceptions import ImapAuthenticationError, ImapOAuthError
from airflow_imap_oauth.hooks.config import PackageOptions, read_options
from airflow_imap_oauth.hooks.connection import ConnectionLike, ConnectionSettings, parse
from airflow_imap_oauth.hooks.keys import sealer as configured_sealer
from airflow_imap_oauth.hooks.keys import with_open_secrets
from airflow_imap_oauth.hooks.masking import mask_access_token
from airflow_imap_oauth.hooks.stores import token_store
from airflow_imap_oauth.imap.model import ImapSettings
from airflow_imap_oauth.tokens.binding import binding
from airflow_imap_oauth.tokens.manager import TokenManager
from airflow_imap_oauth.tokens.refreshing import Refresh
from airflow_imap_oauth.tokens.sealing import Sealer
from airflow_imap_oauth.tokens.store import TokenStore

if TYPE_CHECKING:
    from airflow_imap_oauth.imap.model import MailSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """
    A connection's settings, and what opens and keeps its secrets.

    :param settings: With secrets opened.
    :param binding: What its sealed secrets are bound to.
    """

    settings: ConnectionSettings
    binding: Mapping[str, str]
    sealer: Sealer
    options: PackageOptions

    def token_manager(
        self,
        *,
        seed: str | None = None,
        refresh: Refresh | None = None,
        renew_early: bool = True,
        store: TokenStore | None = None,
    ) -> TokenManager:
        """
        Return the manager of its tokens.

        :param seed: The refresh token as it stands in the connection now; None: as it was read.
        :param refresh: Spends a refresh token; None: asks the authorization server.
        :param renew_early: Renew a living access token ahead of its end.
        :param store: Keeps its tokens; None: the configured token store.
        :raises ConfigurationError: If the configured token store cannot be had. A retry cannot
            help.
        """
        return TokenManager(
            settings=self.settings.oauth,
            binding=self.binding,
            store=store or token_store(self.options),
            sealer=self.sealer,
            seed=seed or self.settings.seed,
            lock_folder=self.options.lock_folder,
            renew_before_seconds=self.options.renew_before_seconds if renew_early else 0,
            refresh=refresh,
        )


def open_mailbox(connection: ConnectionLike, options: PackageOptions | None = None) -> Mailbox:
    """
    Check a connection and open its secrets. No network is touched.

    :param options: None reads the configuration.
    :raises ConfigurationError: If connection or options are wrong. A retry cannot help.
    :raises SealingError: If a secret does not open here. A retry cannot help.
    """
    try:
        options = options or read_options()
        parsed = parse(connection, allow_loopback_http=options.allow_loopback_http)
        sealer = configured_sealer(options)
        bound = binding(parsed.oauth, parsed.imap.host, mailbox=parsed.imap.user)
        oauth = with_open_secrets(parsed.oauth, bound, sealer)
    except ImapOAuthError as error:
        raise error.located(conn_id=connection.conn_id, step="settings") from None
    return Mailbox(
        settings=replace(parsed, oauth=oauth), binding=bound, sealer=sealer, options=options
    )


class TokenSource(Protocol):
    """What hands out access tokens: a manager, or what asks for a new one each time."""

    def get_access_token(self) -> str:
        """Return an access token."""
        ...

    def reject_access_token(self, token: str, /) -> None:
        """Drop an access token that was rejected."""
        ...


class MaskedTokens:
    """
    Access tokens for the IMAP layer, masked in every form in which they go over the wire.

    :param manager: Hands them out.
    :param imap: Whose sign-in they are for.
    """

    def __init__(self, manager: TokenSource, imap: ImapSettings) -> None:
        self._manager = manager
        self._imap = imap

    def get_access_token(self) -> str:
        """Return a good access token; raises what the manager raises."""
        token = self._manager.get_access_token()
        mask_access_token(token, user=self._imap.user, host=self._imap.host, port=self._imap.port)
        return token

    def reject_access_token(self, token: str) -> None:
        """Drop an access token that the IMAP server rejected."""
        self._manager.reject_access_token(token)


def open_session(mailbox: Mailbox, tokens: TokenSource | None = None) -> MailSession:
    """
    Sign in to a mailbox with its access token.

    :param tokens: Where access tokens come from; None: its token manager.
    :raises ImapAuthenticationError: If the server refuses it; the hint also says whose token it has
        to be. A retry cannot help.
    :raises ImapOAuthError: Of the kind that says whether a retry helps.
    """
    from airflow_imap_oauth.imap.connect import connect  # noqa: PLC0415  # loads IMAPClient

    imap = mailbox.settings.imap
    try:
        return connect(imap, MaskedTokens(tokens or mailbox.token_manager(), imap))
    except ImapAuthenticationError as error:
        error.hint = f"{error.hint} {_whose_token(mailbox.settings)}".strip()
        raise


def _whose_token(settings: ConnectionSettings) -> str:
    """Say who has to have access: many refusals are of a shared mailbox, or of somebody's own."""
    user, login, grant = settings.imap.user, settings.oauth.login, settings.oauth.grant
    if grant == "client_credentials":
        return f"The application itself needs full access to mailbox {user}."
    if user != login:
        return f"Account {login} opens mailbox {user} (key 'mailbox'), so it needs full access."
    if grant == "user_consent":
        return (
            f"If another account than {user} consented, that one needs full access to it; or its "
            "own address belongs into login, and a shared mailbox into key 'mailbox'."
        )
    return ""
