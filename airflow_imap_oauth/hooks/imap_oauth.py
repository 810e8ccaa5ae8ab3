# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The hook: a drop-in for Airflow's ``ImapHook`` for mailboxes that demand OAuth 2.0."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from airflow.providers.imap.hooks.imap import ImapHook

from airflow_imap_oauth.exceptions import ConfigurationError, ImapOAuthError
from airflow_imap_oauth.hooks.attachments import (
    NOT_FOUND_MODES,
    AttachmentNotFoundError,
    AttachmentQuery,
    Found,
    find,
    read,
    save,
)
from airflow_imap_oauth.hooks.connection import ConnectionLike
from airflow_imap_oauth.hooks.mailbox import Mailbox, MaskedTokens, open_mailbox
from airflow_imap_oauth.imap.model import MailSession

_Result = TypeVar("_Result")


class ImapOAuthHook(ImapHook):
    """
    Read a mailbox that demands OAuth 2.0.

    It has the methods and arguments of :class:`~airflow.providers.imap.hooks.imap.ImapHook`, and
    may be used in its place, as a context manager too. What differs:

    - It signs in with a fresh access token (XOAUTH2 or OAUTHBEARER), over verified TLS, with
      timeouts.
    - Mails stay unread, and nothing is deleted: folders are opened read-only. Any folder name and
      filter may be in Unicode. A folder that is missing is an error.
    - Attachments are chosen by the server's description of each mail; only those wanted are read.
      A part counts if it has a file name, also inside of forwarded mails.
    - ``mail_client`` is a :class:`~airflow_imap_oauth.imap.model.MailSession`, not a client of
      :mod:`imaplib`.
    - Errors are those of :mod:`airflow_imap_oauth.exceptions`; a wrong argument is an error, too.

    :param imap_conn_id: A connection of type ``imap_oauth``.
    """

    conn_name_attr = "imap_conn_id"
    default_conn_name = "imap_oauth_default"
    conn_type = "imap_oauth"
    hook_name = "IMAP (OAuth 2.0)"

    mail_client: MailSession | None  # type: ignore[assignment]

    def __init__(self, imap_conn_id: str = default_conn_name) -> None:
        super().__init__(imap_conn_id)
        self.mail_client = None

    def __enter__(self) -> ImapOAuthHook:
        """Sign in."""
        return self.get_conn()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Sign out; never hides what was raised inside."""
        session, self.mail_client = self.mail_client, None
        if session is not None:
            session.close()

    def get_conn(self) -> ImapOAuthHook:
        """
        Sign in, unless this hook is signed in already, and return this hook.

        :raises ImapOAuthError: Of the kind that says whether a retry helps.
        """
        if self.mail_client is None:
            self.mail_client = self._sign_in()
        return self

    @contextmanager
    def session(self) -> Iterator[MailSession]:
        """
        Sign in to a session of its own, and sign out at the end of the ``with`` block.

        :raises ImapOAuthError: Of the kind that says whether a retry helps.
        """
        session = self._sign_in()
        try:
            yield session
        finally:
            session.close()

    @property
    def account(self) -> str:
        """The mailbox that is opened, as the connection names it; no network is touched."""
        return self._mailbox().settings.imap.user

    def get_access_token(self) -> str:
        """
        Return a good access token of the connection, masked in the logs of this process.

        :raises ReauthorizationRequiredError: If somebody must authorize (again). A retry cannot
            help.
        :raises ImapOAuthError: Of the kind that says whether a retry helps.
        """
        return self._tokens(self._mailbox()).get_access_token()

    async def aget_access_token(self) -> str:
        """Return what :meth:`get_access_token` returns, without blocking the event loop."""
        return await _in_thread(self.get_access_token)

    def reject_access_token(self, token: str) -> None:
        """
        Drop an access token that a server rejected, so that the next call renews.

        Only if it is still the current one: what another worker has renewed meanwhile stays.

        :raises ImapOAuthError: Of the kind that says whether a retry helps.
        """
        self._tokens(self._mailbox()).reject_access_token(token)

    async def areject_access_token(self, token: str) -> None:
        """Do what :meth:`reject_access_token` does, without blocking the event loop."""
        await _in_thread(lambda: self.reject_access_token(token))

    def test_connection(self) -> tuple[bool, str]:
        """
        Check the connection as far as can be without spending a refresh token.

        :return: Whether all is well, and a sentence of at most 150 characters.
        """
        from airflow_imap_oauth.hooks.verdict import verdict  # noqa: PLC0415  # rarely used

        return verdict(self.imap_conn_id, self._read)

    async def atest_connection(self) -> tuple[bool, str]:
        """Do what :meth:`test_connection` does, without blocking the event loop."""
        return await _in_thread(self.test_connection)

    def has_mail_attachment(
        self,
        name: str,
        *,
        check_regex: bool = False,
        max_mails: int | None = None,
        mail_folder: str = "INBOX",
        mail_filter: str = "All",
    ) -> bool:
        """
        Tell whether a mail has an attachment of that name, without reading any.

        :param name: The file name, or a regular expression that its beginning matches.
        :param check_regex: Take ``name`` as a regular expression.
        :param max_mails: Look at the latest so many mails; None: at all.
        :param mail_folder: The mail folder, in Unicode.
        :param mail_filter: A SEARCH string; ``All`` for every mail.
        """
        query = AttachmentQuery(
            name=name,
            check_regex=check_regex,
            latest_only=True,
            max_mails=max_mails,
            mail_folder=mail_folder,
            mail_filter=mail_filter,
        )
        with self._located():
            return bool(self._find(query))

    def retrieve_mail_attachments(
        self,
        name: str,
        *,
        check_regex: bool = False,
        latest_only: bool = False,
        max_mails: int | None = None,
        mail_folder: str = "INBOX",
        mail_filter: str = "All",
        not_found_mode: str = "raise",
    ) -> list[tuple[Any, ...]]:
        """
        Read the attachments of that name into memory, those of the latest mail first.

        :param name: The file name, or a regular expression that its beginning matches.
        :param check_regex: Take ``name`` as a regular expression.
        :param latest_only: Only the first that is found.
        :param max_mails: Look at the latest so many mails; None: at all.
        :param mail_folder: The mail folder, in Unicode.
        :param mail_filter: A SEARCH string; ``All`` for every mail.
        :param not_found_mode: ``raise``, ``warn`` or ``ignore``.
        :return: Pairs of name and content. The name comes from the sender and is not safe to use
            as a path.
        :raises AttachmentNotFoundError: If there is none and ``not_found_mode`` is ``raise``; also
            an ``AirflowException``. A retry helps once the mail has come.
        """
        query = AttachmentQuery(
            name=name,
            check_regex=check_regex,
            latest_only=latest_only,
            max_mails=max_mails,
            mail_folder=mail_folder,
            mail_filter=mail_filter,
        )
        with self._located():
            found = self._find(query, not_found_mode)
            return [*read(self._session(), found)]

    def download_mail_attachments(
        self,
        name: str,
        local_output_directory: str,
        *,
        check_regex: bool = False,
        latest_only: bool = False,
        max_mails: int | None = None,
        mail_folder: str = "INBOX",
        mail_filter: str = "All",
        not_found_mode: str = "raise",
        overwrite: bool = True,
    ) -> None:
        """
        Save the attachments of that name to a local folder, in bounded memory.

        File names are made safe: an attachment never leaves the folder and never follows a link.
        Attachments of one call never overwrite each other: the latest keeps the name, the others
        get a number.

        :param name: The file name, or a regular expression that its beginning matches.
        :param local_output_directory: The folder; it must exist.
        :param check_regex: Take ``name`` as a regular expression.
        :param latest_only: Only the first that is found.
        :param max_mails: Look at the latest so many mails; None: at all.
        :param mail_folder: The mail folder, in Unicode.
        :param mail_filter: A SEARCH string; ``All`` for every mail.
        :param not_found_mode: ``raise``, ``warn`` or ``ignore``.
        :param overwrite: Replace files that are there already; False adds a number instead.
        :raises AttachmentNotFoundError: If there is none and ``not_found_mode`` is ``raise``; also
            an ``AirflowException``. A retry helps once the mail has come.
        :raises DestinationError: If the folder cannot be written.
        """
        query = AttachmentQuery(
            name=name,
            check_regex=check_regex,
            latest_only=latest_only,
            max_mails=max_mails,
            mail_folder=mail_folder,
            mail_filter=mail_filter,
        )
        with self._located():
            found = self._find(query, not_found_mode)
            save(self._session(), found, Path(local_output_directory), overwrite=overwrite)

    @contextmanager
    def _located(self) -> Iterator[None]:
        try:
            yield
        except ImapOAuthError as error:
            error.located(conn_id=self.imap_conn_id, step="looking for attachments")
            raise

    def _find(self, query: AttachmentQuery, not_found_mode: str = "ignore") -> list[Found]:
        # A wrong argument is told before anything is asked.
        query.matcher()
        if not_found_mode not in NOT_FOUND_MODES:
            raise ConfigurationError(
                f"not_found_mode must be one of {', '.join(NOT_FOUND_MODES)}, "
                f"not {not_found_mode!r}."
            )
        found = find(self._session(), query)
        if not found and not_found_mode == "raise":
            raise AttachmentNotFoundError("No attachment of that name was found.")
        if not found and not_found_mode == "warn":
            self.log.warning("No attachment of that name was found.")
        return found

    def _session(self) -> MailSession:
        if self.mail_client is None:
            raise ConfigurationError(
                "The hook is not signed in.",
                hint="Use it as a context manager: with ImapOAuthHook(...) as hook.",
                conn_id=self.imap_conn_id,
            )
        return self.mail_client

    def _sign_in(self) -> MailSession:
        from airflow_imap_oauth.hooks import fallback  # noqa: PLC0415  # not at each start of a task

        return fallback.sign_in(self._mailbox(), self._read)

    def _mailbox(self) -> Mailbox:
        # Read anew each time: somebody may have authorized again meanwhile.
        return open_mailbox(self._read(self.imap_conn_id))

    def _read(self, conn_id: str) -> ConnectionLike:
        try:
            found: ConnectionLike = self.get_connection(conn_id)
        except Exception as error:  # noqa: BLE001  # of any secrets backend; it may quote secrets
            from airflow_imap_oauth.hooks.loading import why_unreadable  # noqa: PLC0415  # rare

            raise why_unreadable(conn_id, error).located(conn_id=conn_id, step="connection") from (
                None
            )
        return found

    def _tokens(self, mailbox: Mailbox) -> MaskedTokens:
        return MaskedTokens(mailbox.token_manager(), mailbox.settings.imap)


async def _in_thread(call: Callable[[], _Result]) -> _Result:
    # asgiref's threads are those in which Airflow's own synchronous calls work in a trigger; not
    # the one that all of these share: a slow authorization server would hold up every trigger.
    from asgiref.sync import sync_to_async  # noqa: PLC0415  # triggers only

    result: _Result = await sync_to_async(call, thread_sensitive=False)()
    return result
