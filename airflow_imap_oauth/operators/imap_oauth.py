# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The operator that lands mail.

Every DAG parse imports this module, so hook, session and ledger are imported when a task runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.hooks.arguments import check_given, check_rendered
from airflow_imap_oauth.retry import airflow_errors

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath

    from airflow_imap_oauth.etl import FetchOptions, RunResult
    from airflow_imap_oauth.imap.model import MailSession

#: What of a message can be landed.
PARTS = ("eml", "attachments")


class ImapOAuthFetchOperator(BaseOperator):
    """
    Land the new messages of a mail folder in object storage, each exactly once.

    What is new is told by a ledger beside the data, not by flags: the mailbox is only read, and
    people may read, flag and move its mail as they like. Messages are landed as ``.eml`` files,
    attachments and JSON Lines; a batch counts once its commit file exists, so a killed task's retry
    goes on after the last commit. A message that cannot be landed is set aside with its reason and
    its raw bytes, and stops nothing.

    Let one task at a time fetch a folder into a destination (``max_active_runs=1``): a second
    one loses nothing, but its work. Other folders and mailboxes may share the destination.

    :param imap_conn_id: Connection of type ``imap_oauth``.
    :param destination: Absolute path or URL, for example ``s3://aws_default@bucket/mail``, or an
        ``ObjectStoragePath``. One destination holds one choice of ``parts``: mail landed before a
        change of it stays as it is.
    :param mail_folder: Unicode name of the folder.
    :param mail_filter: IMAP SEARCH criteria as in Airflow's ``ImapHook``, for example
        ``(FROM "billing@example.com")``. What another filter has landed is not landed again.
    :param parts: ``eml`` (whole messages), ``attachments`` (decoded), or both.
    :param attachment_glob: Land only attachments with such a file name, for example ``*.csv``, in
        any case. None: all.
    :param max_messages: Land at most so many messages a run, the oldest first. None: all.
    :return: XCom ``{"manifest": str or None, "messages": int, "attachments": int, "bytes": int,
        "quarantined": int, "uidvalidity": int or None, "last_uid": int or None}`` over all tries of
        the run. ``manifest`` is the path of the run's record, None where nothing was committed.
    """

    template_fields: Sequence[str] = (
        "imap_conn_id",
        "destination",
        "mail_folder",
        "mail_filter",
        "attachment_glob",
    )
    ui_color = "#dcecf7"

    def __init__(
        self,
        *,
        destination: str | ObjectStoragePath,
        imap_conn_id: str = "imap_oauth_default",
        mail_folder: str = "INBOX",
        mail_filter: str = "ALL",
        parts: Sequence[str] = PARTS,
        attachment_glob: str | None = None,
        max_messages: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(parts, str) or not parts or set(parts) - set(PARTS):
            raise ConfigurationError(f"parts must be some of {', '.join(PARTS)}, not {parts!r}.")
        if max_messages is not None and (type(max_messages) is not int or max_messages < 1):
            raise ConfigurationError(
                f"max_messages must be a whole number from 1, or None, not {max_messages!r}."
            )
        self.imap_conn_id = imap_conn_id
        self.destination = destination
        self.mail_folder = mail_folder
        self.mail_filter = mail_filter
        self.parts = tuple(parts)
        self.attachment_glob = attachment_glob
        self.max_messages = max_messages
        self._session: MailSession | None = None
        check_given(imap_conn_id=imap_conn_id, destination=destination, mail_folder=mail_folder)
        if mail_filter is None or attachment_glob == "":
            raise ConfigurationError(
                "To choose everything leave mail_filter and attachment_glob out."
            )

    def execute(self, context: Context) -> dict[str, Any]:
        """Land what is new."""
        with airflow_errors(conn_id=self.imap_conn_id):
            check_rendered(
                imap_conn_id=self.imap_conn_id,
                mail_folder=self.mail_folder,
                mail_filter=self.mail_filter,
                attachment_glob="*" if self.attachment_glob is None else self.attachment_glob,
            )
            return self._fetch(run_id_of(context)).to_xcom()

    def on_kill(self) -> None:
        """Close the session: the task ends with its last commit."""
        if self._session is not None:
            self._session.close()

    def _fetch(self, run_id: str) -> RunResult:
        from airflow_imap_oauth.etl import fetch, open_destination  # noqa: PLC0415  # see the top
        from airflow_imap_oauth.hooks.destination import destination_path  # noqa: PLC0415
        from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook  # noqa: PLC0415  # see the top

        # Before anyone signs in: a destination that cannot be used is told without touching mail.
        destination = open_destination(destination_path(self.destination))
        hook = ImapOAuthHook(imap_conn_id=self.imap_conn_id)
        with hook.session() as session:
            self._session = session
            try:
                return fetch(
                    session, destination, self._options(), account=hook.account, run_id=run_id
                )
            finally:
                self._session = None

    def _options(self) -> FetchOptions:
        from airflow_imap_oauth.etl import Choice, FetchOptions  # noqa: PLC0415  # see the top

        return FetchOptions(
            mail_folder=self.mail_folder,
            criteria=self.mail_filter,
            choice=Choice(
                eml="eml" in self.parts,
                attachments="attachments" in self.parts,
                attachment_glob=self.attachment_glob,
            ),
            max_messages=self.max_messages,
        )


def run_id_of(context: Context) -> str:
    """Return what all tries of a task instance share, and no other task instance has."""
    ti = context["ti"]
    mapped = f"/{ti.map_index}" if ti.map_index is not None and ti.map_index >= 0 else ""
    return f"{ti.dag_id}/{ti.task_id}/{ti.run_id}{mapped}"
