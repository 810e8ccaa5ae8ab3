# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
One tree of errors: each says what failed, where, what to do next, and whether a retry can help.

No message holds a secret, an authorization code or the body of an answer.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from typing_extensions import Self


class ImapOAuthError(Exception):
    """
    Base of every error that this package raises on purpose.

    :param message: What failed, in one sentence, without secrets.
    :param hint: What the user does next; None takes the class's own hint.
    :param conn_id: The connection it failed on; None where the caller knows it (:meth:`located`).
    :param step: The step that failed, for example ``token request``.
    :param retry_after_seconds: How long the server asked to wait; None when it did not say.
    """

    #: Whether the same call can succeed later with nothing changed by a human.
    retry_helps: ClassVar[bool] = False
    default_hint: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        conn_id: str | None = None,
        step: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint
        self.conn_id: str | None = None
        self.step = step
        self.retry_after_seconds = retry_after_seconds
        self.located(conn_id=conn_id)

    def located(self, *, conn_id: str | None = None, step: str | None = None) -> Self:
        """Fill in connection and step where they are not known yet, and return this error."""
        self.step = self.step or step
        if conn_id and not self.conn_id:
            self.conn_id = conn_id
            # Commands in messages are written for whatever connection it turns out to be. Only
            # once: an id may hold these very letters.
            shown = shlex.quote(conn_id)
            self.message = self.message.replace("CONN_ID", shown)
            self.hint = self.hint.replace("CONN_ID", shown)
        return self

    def __str__(self) -> str:
        """Return where, what and what to do, in one line."""
        where = ", ".join(
            part
            for part in (
                f"connection '{self.conn_id}'" if self.conn_id else "",
                self.step or "",
            )
            if part
        )
        return f"{where}: {self.advice}" if where else self.advice

    @property
    def advice(self) -> str:
        """What failed and what to do, for whoever sees anyway where."""
        return f"{self.message} {self.hint}" if self.hint else self.message


class ConfigurationError(ImapOAuthError, ValueError):
    """A connection, option or argument is wrong. A retry cannot help."""


class ConnectionUnavailableError(ImapOAuthError):
    """Airflow cannot hand out the connection for now. A retry helps."""

    retry_helps = True
    default_hint = "Check Airflow's database and API server, and their logs."


# --- OAuth ------------------------------------------------------------------------------------


class OAuthError(ImapOAuthError):
    """
    The authorization server refused, or answered what cannot be accepted.

    :param error: The ``error`` code of RFC 6749 section 5.2, or None.
    :param status_code: HTTP status, or None.
    :param correlation_id: The server's own id of the request, for a support ticket.
    """

    def __init__(
        self,
        message: str,
        *,
        error: str | None = None,
        status_code: int | None = None,
        correlation_id: str | None = None,
        hint: str | None = None,
        conn_id: str | None = None,
        step: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(
            message,
            hint=hint,
            conn_id=conn_id,
            step=step,
            retry_after_seconds=retry_after_seconds,
        )
        self.error = error
        self.status_code = status_code
        self.correlation_id = correlation_id


class ClientRejectedError(OAuthError):
    """Client id, secret, tenant or scope are wrong. A retry cannot help: an administrator can."""

    default_hint = "Check client id, client secret, tenant and scopes of the connection."


class ReauthorizationRequiredError(OAuthError):
    """The refresh token is missing or dead. A retry cannot help: someone must consent again."""

    default_hint = "Authorize again: airflow imap-oauth login CONN_ID."


class PolicyError(OAuthError):
    """A policy of the organisation forbids it. A retry cannot help: an administrator can."""

    default_hint = "Ask the administrator of the mail provider to allow this application."


class AuthorizationFlowError(OAuthError):
    """The sign-in in the browser did not end as it must. Start it again."""

    default_hint = "Start the sign-in again."


class TokenResponseError(OAuthError):
    """The token response lacks what RFC 6749 section 5.1 demands. A retry cannot help."""


class TransientOAuthError(OAuthError):
    """The authorization server, or the way to it, is out of order for now. A retry helps."""

    retry_helps = True


# --- Tokens -----------------------------------------------------------------------------------


class TokenStoreError(ImapOAuthError):
    """The token store could not be read or written. A retry helps."""

    retry_helps = True
    default_hint = "Check that the token store named in [imap_oauth] token_store works."


class TokenPersistError(TokenStoreError):
    """A rotated refresh token could not be saved, so its access token was not used."""


class SealingError(ImapOAuthError):
    """A secret cannot be sealed or opened: no key, another key, or other settings."""


# --- IMAP -------------------------------------------------------------------------------------


class ImapError(ImapOAuthError):
    """Base of all faults of the IMAP session."""


class ImapConnectionError(ImapError):
    """The connection failed or was lost: name, route, timeout, BYE, EOF. A retry helps."""

    retry_helps = True


class ImapTlsError(ImapError):
    """The server's certificate is not trusted, or TLS cannot be had. A retry cannot help."""

    default_hint = "Check host and port, or set ca_file to the certificate of your own authority."


class ImapUnavailableError(ImapError):
    """The server is out of order or throttles for now; the token is not at fault. A retry helps."""

    retry_helps = True


class ImapAuthenticationError(ImapError):
    """
    The server rejected the token.

    :param challenge: The JSON of the server's error challenge (RFC 7628 section 3.2.2): values
        by name, or None. It holds no secret.
    :param response_code: The response code of the tagged NO, for example
        ``AUTHENTICATIONFAILED``, or None.
    """

    default_hint = (
        "Check that IMAP is on for this mailbox, that the account may open it, and the scopes."
    )

    def __init__(
        self,
        message: str,
        *,
        challenge: dict[str, str] | None = None,
        response_code: str | None = None,
        hint: str | None = None,
        conn_id: str | None = None,
        step: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, conn_id=conn_id, step=step)
        self.challenge = challenge
        self.response_code = response_code


class ImapCapabilityError(ImapError):
    """The server does not offer what is needed. A retry cannot help."""


class ImapProtocolError(ImapError):
    """The server's answer cannot be understood. A retry seldom helps."""


class ImapCommandError(ImapError):
    """The server answered NO or BAD to a command."""


class MailFolderNotFoundError(ImapCommandError):
    """The mail folder does not exist or may not be opened. A retry cannot help."""


# --- ETL --------------------------------------------------------------------------------------


class EtlError(ImapOAuthError):
    """Base of all faults between mailbox and destination."""


class DestinationError(EtlError):
    """The destination cannot be written or read. Nothing is lost. A retry cannot help."""

    default_hint = "Check that the destination exists and that the worker may write to it."


class DestinationUnavailableError(DestinationError):
    """The destination is out of order for now. What is committed stays. A retry helps."""

    retry_helps = True
    default_hint = "What was committed is safe: a retry goes on from there."


class LedgerError(EtlError):
    """The ledger beside the data cannot be understood. A retry cannot help."""


class CommitConflictError(EtlError):
    """Another run committed first. A retry continues from what it committed."""

    retry_helps = True


class UidValidityChangedError(EtlError):
    """The server renumbered the mailbox, so UIDs no longer mean the same. A retry cannot help."""
