# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The sensor that waits for mail.

Every DAG parse imports this module, so hook, session and ledger are imported when a task runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
)

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.hooks.arguments import check_given, check_rendered
from airflow_imap_oauth.retry import airflow_errors
from airflow_imap_oauth.sensors.memory import InstanceMemory, Memory, shared_memory

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath

    from airflow_imap_oauth.etl import Position
    from airflow_imap_oauth.sensors.looking import Baseline, Look

_BASELINES = ("any", "first_poke")
# XCom is for small values; whoever needs all UIDs asks the folder.
_MOST_UIDS = 100


class ImapOAuthMessageSensor(BaseSensorOperator):
    """
    Wait until a mail folder holds a message that matches and is new.

    New is what lies above the baseline. The folder is opened read-only and no body is read; a
    poke that finds nothing new costs a sign-in and a few hundred bytes. In ``reschedule`` mode no
    worker slot is held while waiting: the right mode for waits of more than a minute or two.

    :param imap_conn_id: Connection of type ``imap_oauth``.
    :param mail_folder: Unicode name of the folder.
    :param mail_filter: IMAP SEARCH criteria as in Airflow's ``ImapHook``, for example
        ``(FROM "billing@example.com")``.
    :param baseline: ``any`` (default): every message in the folder counts, as in Airflow's own
        sensor. ``first_poke``: only what arrives after the first poke of this task instance.
    :param ledger: A destination of
        :class:`~airflow_imap_oauth.operators.imap_oauth.ImapOAuthFetchOperator`: what it has
        committed there does not count. Give both the same ``mail_filter``, or the operator the
        wider one, or the sensor finds again and again what is never fetched. It is only read, and
        need not exist yet. Cannot be combined with ``first_poke``.
    :return: XCom ``{"mail_folder": str, "uidvalidity": int, "uids": list of int, "total": int}``:
        the oldest matching UIDs, at most 100, and how many there are.
    """

    template_fields: Sequence[str] = ("imap_conn_id", "mail_folder", "mail_filter", "ledger")

    def __init__(
        self,
        *,
        imap_conn_id: str = "imap_oauth_default",
        mail_folder: str = "INBOX",
        mail_filter: str = "ALL",
        baseline: Baseline = "any",
        ledger: str | ObjectStoragePath | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if baseline not in _BASELINES:
            raise ConfigurationError(
                f"baseline must be one of {', '.join(_BASELINES)}, not {baseline!r}."
            )
        if ledger is not None and baseline != "any":
            raise ConfigurationError("A sensor has one baseline: give ledger or first_poke.")
        self.imap_conn_id = imap_conn_id
        self.mail_folder = mail_folder
        self.mail_filter = mail_filter
        self.baseline: Baseline = baseline
        self.ledger = ledger
        self._instance_memory = InstanceMemory()
        check_given(imap_conn_id=imap_conn_id, mail_folder=mail_folder)
        if mail_filter is None or ledger == "":
            raise ConfigurationError("To count every message leave mail_filter and ledger out.")

    def execute(self, context: Context) -> Any:
        """Poke until there is mail; then, or at the end of waiting, forget what was seen."""
        try:
            result = super().execute(context)
        except (AirflowFailException, AirflowSensorTimeout, AirflowSkipException):
            self._forget(context)
            raise
        self._forget(context)
        return result

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""
        with airflow_errors(conn_id=self.imap_conn_id):
            check_rendered(
                imap_conn_id=self.imap_conn_id,
                mail_folder=self.mail_folder,
                mail_filter=self.mail_filter,
            )
            memory = self._memory(context)
            found = self._look(memory)
            if not found.uids:
                memory.save(found.seen)
                return PokeReturnValue(is_done=False)
        self.log.info("Mail folder '%s': %d new messages.", self.mail_folder, len(found.uids))
        return PokeReturnValue(
            is_done=True,
            xcom_value={
                "mail_folder": self.mail_folder,
                "uidvalidity": found.seen.uidvalidity,
                "uids": list(found.uids[:_MOST_UIDS]),
                "total": len(found.uids),
            },
        )

    def _look(self, memory: Memory) -> Look:
        from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook  # noqa: PLC0415  # see the top
        from airflow_imap_oauth.sensors.looking import look  # noqa: PLC0415  # see the top

        hook = ImapOAuthHook(imap_conn_id=self.imap_conn_id)
        position = self._position(hook.account)
        seen = memory.load()
        with hook.session() as session:
            return look(
                session,
                mail_folder=self.mail_folder,
                criteria=self.mail_filter,
                baseline=self.baseline,
                seen=seen,
                position=position,
            )

    def _position(self, account: str) -> Position | None:
        if self.ledger is None:
            return None
        from airflow_imap_oauth.etl import (  # noqa: PLC0415  # see the top
            open_destination,
            read_position,
        )
        from airflow_imap_oauth.hooks.destination import destination_path  # noqa: PLC0415

        destination = open_destination(destination_path(self.ledger), read_only=True)
        return read_position(destination, account=account, mail_folder=self.mail_folder)

    def _memory(self, context: Context) -> Memory:
        # A retry is another process, too: a baseline set anew would lie above unseen messages.
        if self.reschedule or self.baseline == "first_poke":
            return shared_memory(context)
        return self._instance_memory

    def _forget(self, context: Context) -> None:
        try:
            self._memory(context).forget()
        except Exception:  # noqa: BLE001  # what the sensor waited for matters more than a leftover
            self.log.warning(
                "What this sensor has seen could not be deleted; it is not used again."
            )
