# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The one place where errors become Airflow's: some fail a task at once, some use its retries."""

from __future__ import annotations

from types import TracebackType

from airflow.sdk.exceptions import AirflowFailException

from airflow_imap_oauth.exceptions import ImapOAuthError


class airflow_errors:  # noqa: N801  # a context manager, named like those of contextlib
    """
    Let only errors that Airflow understands out of a ``with`` block.

    - A permanent error becomes ``AirflowFailException``: the task fails now, its retries are not
      spent on what only a human can mend.
    - A transient one rises as it is, so that Airflow retries.
    - Whatever is not ours is a fault in the program and rises untouched.

    Neither carries the traceback of a library: what a user needs is in the message, and the
    values in such frames may be secret.

    :param conn_id: Filled in where an error does not name its connection.
    :param step: Filled in where an error does not name its step.
    """

    def __init__(self, *, conn_id: str | None = None, step: str | None = None) -> None:
        self._conn_id = conn_id
        self._step = step

    def __enter__(self) -> None:
        """Do nothing yet."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Turn the error."""
        if not isinstance(error, ImapOAuthError):
            return
        error.located(conn_id=self._conn_id, step=self._step)
        if error.retry_helps:
            raise error.with_traceback(None) from None
        raise AirflowFailException(str(error)) from None
