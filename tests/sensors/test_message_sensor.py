# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The message sensor in poke and reschedule mode: what counts as new, and what it remembers."""

from __future__ import annotations

import importlib.util
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout

from airflow_imap_oauth.exceptions import ImapOAuthError
from airflow_imap_oauth.operators.imap_oauth import ImapOAuthFetchOperator
from airflow_imap_oauth.sensors.imap_oauth import ImapOAuthMessageSensor
from tests.hooks.mailboxes import Mailbox, with_files
from tests.operators.running import Run
from tests.servers.authorization_server import AuthorizationServer
from tests.servers.certificates import CertificateAuthority
from tests.servers.embedded_imap import EmbeddedImapServer
from tests.servers.imap_clients import signed_in

FOLDER = "\u8acb\u6c42 & mehr"
Sensing = Callable[..., ImapOAuthMessageSensor]


class SensorBeforeStateStore(ImapOAuthMessageSensor):
    """What runs on Airflow 3.2, whose tasks have no task state store."""

    def execute(self, context: Any) -> Any:
        """Take it away, where there is one."""
        if "task_state_store" in context:
            del context["task_state_store"]
        return super().execute(context)


def sensing(
    mailbox: Mailbox, kind: type[ImapOAuthMessageSensor] = ImapOAuthMessageSensor, **arguments: Any
) -> Sensing:
    """Return what makes the sensor; it never waits between pokes."""

    def build(task_id: str = "task") -> ImapOAuthMessageSensor:
        values = {"imap_conn_id": mailbox.conn_id, "poke_interval": 0, "timeout": 600, **arguments}
        return kind(task_id=task_id, **values)

    return build


def poke(sensor: ImapOAuthMessageSensor) -> list[int]:
    """Poke outside of a task; return the UIDs found."""
    answer = sensor.poke({})
    assert bool(answer.xcom_value) is answer.is_done
    return answer.xcom_value["uids"] if answer.is_done else []


def memories() -> list[str]:
    """Return what Airflow keeps of all sensors: task states and Variables."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    kept: list[str] = []
    with create_session() as session:
        mine = Variable.key.startswith("imap_oauth_sensor")
        kept += [str(row.get_val()) for row in session.scalars(select(Variable).where(mine))]
        if importlib.util.find_spec("airflow.models.task_state_store") is not None:  # 3.3
            from airflow.models.task_state_store import TaskStateStoreModel

            mine = TaskStateStoreModel.key.startswith("imap_oauth_sensor")
            found = session.scalars(select(TaskStateStoreModel).where(mine))
            kept += [row.value for row in found]
    return kept


# --- What counts ----------------------------------------------------------------------------------


def test_any_message_counts_by_default(mailbox: Mailbox) -> None:
    """An empty folder is not enough; whatever lies there is, at the first poke too."""
    sensor = sensing(mailbox)()
    assert poke(sensor) == []
    mailbox.deliver(with_files(), with_files())
    assert poke(sensor) == [1, 2]
    assert poke(sensing(mailbox)()) == [1, 2]
    assert mailbox.search("UNSEEN") == [1, 2]


def test_filter_and_folder_choose_what_counts(mailbox: Mailbox) -> None:
    """Only messages of the folder that pass the filter count."""
    sensor = sensing(
        mailbox, mail_folder=FOLDER, mail_filter='(FROM "b@shop" SUBJECT "M\u00e4rz")'
    )()
    mailbox.deliver(with_files(sender="b", subject="=?utf-8?Q?M=C3=A4rz?="))
    mailbox.deliver(with_files(sender="b"), folder=FOLDER)
    assert poke(sensor) == []
    mailbox.deliver(with_files(sender="b", subject="=?utf-8?Q?M=C3=A4rz?="), folder=FOLDER)
    assert poke(sensor) == [2]


def test_xcom_has_the_oldest_hundred_and_the_total(embedded_mailbox: Mailbox) -> None:
    """XCom stays small however many messages there are."""
    embedded_mailbox.deliver(*[with_files()] * 103)
    attempt = Run(sensing(embedded_mailbox)).attempt()
    assert attempt.state == "success", attempt.shown
    assert attempt.xcom.pop("uidvalidity") > 0
    assert attempt.xcom == {"mail_folder": "INBOX", "uids": [*range(1, 101)], "total": 103}


def test_ledger_tells_what_is_fetched(mailbox: Mailbox, tmp_path: Path) -> None:
    """What the operator has committed does not count; the ledger is only read."""
    ledger = tmp_path / "mail"
    mailbox.deliver(with_files(sender="a"), with_files(sender="b"))
    build = sensing(mailbox, ledger=str(ledger))
    assert poke(build()) == [1, 2]
    assert not ledger.exists()

    def fetch(**arguments: Any) -> None:
        values = {"imap_conn_id": mailbox.conn_id, "destination": str(ledger), **arguments}
        run = Run(lambda task_id: ImapOAuthFetchOperator(task_id=task_id, **values))
        assert run.attempt().state == "success"

    fetch(mail_filter='FROM "b@shop"')
    assert poke(build()) == [1]
    fetch()
    waiting = build()
    assert poke(waiting) == []
    mailbox.deliver(with_files())
    assert poke(waiting) == [3]


def test_flags_that_change_are_looked_at_again(mailbox: Mailbox, ca: CertificateAuthority) -> None:
    """A message that did not match counts once its flags do."""
    mailbox.deliver(with_files(), with_files())
    sensor = sensing(mailbox, mail_filter="FLAGGED")()
    assert poke(sensor) == []
    token = mailbox.authorization.mint_access_token(mailbox.login)
    with signed_in(mailbox.mail, ca, mailbox.login, token) as client:
        client.select_folder("INBOX")
        client.add_flags([1], [b"\\Flagged"])
    assert poke(sensor) == [1]


def test_renumbered_folder_is_looked_at_anew(mailbox: Mailbox) -> None:
    """New UIDs are not taken for old ones."""
    mailbox.deliver(with_files(sender="b"), with_files(sender="b"))
    sensor = sensing(mailbox, mail_filter='FROM "a@shop"')()
    assert poke(sensor) == []
    mailbox.deliver(with_files(sender="a"))
    mailbox.mail.expunge(mailbox.login, 1)
    mailbox.mail.expunge(mailbox.login, 2)
    mailbox.mail.renumber(mailbox.login)
    assert len(poke(sensor)) == 1


def test_second_poke_is_cheap(
    embedded_mailbox: Mailbox,
    embedded_imap: EmbeddedImapServer,
    authorization_server: AuthorizationServer,
) -> None:
    """With nothing new a poke asks nothing about messages, and no token request is made."""
    embedded_mailbox.deliver(*[with_files(sender="b")] * 20)
    sensor = sensing(embedded_mailbox, mail_filter='FROM "a@shop"')()
    assert poke(sensor) == []
    embedded_imap.reset()
    authorization_server.reset_counters()
    assert poke(sensor) == []
    assert not {"UID SEARCH", "UID FETCH"} & set(embedded_imap.command_names)
    assert embedded_imap.traffic.round_trips <= 10
    assert embedded_imap.traffic.bytes_out + embedded_imap.traffic.bytes_in < 10_000
    assert not authorization_server.token_requests


# --- What it remembers ----------------------------------------------------------------------------

KINDS = pytest.mark.parametrize("kind", [ImapOAuthMessageSensor, SensorBeforeStateStore])


@KINDS
def test_first_poke_is_the_baseline_across_processes(
    embedded_mailbox: Mailbox, kind: type[ImapOAuthMessageSensor]
) -> None:
    """In reschedule mode each poke is another process; only what came after the first counts."""
    mailbox = embedded_mailbox
    mailbox.deliver(with_files(), with_files())
    run = Run(sensing(mailbox, kind, baseline="first_poke", mode="reschedule"))
    assert [run.attempt().state for _ in range(2)] == ["up_for_reschedule"] * 2
    (kept,) = memories()
    assert json.loads(kept)["baseline_uid"] == 2
    mailbox.deliver(with_files())
    last = run.attempt()
    assert (last.state, last.xcom["uids"]) == ("success", [3]), last.shown
    assert memories() == []


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (ImapOAuthMessageSensor, {}),
        (ImapOAuthMessageSensor, {"soft_fail": True}),
        (SensorBeforeStateStore, {}),
    ],
)
def test_memory_ends_with_the_task(
    embedded_mailbox: Mailbox, kind: type[ImapOAuthMessageSensor], arguments: dict[str, Any]
) -> None:
    """A sensor that times out, or fails for good, leaves nothing behind."""
    build = sensing(embedded_mailbox, kind, mode="reschedule", timeout=0, **arguments)
    attempt = Run(build).attempt()
    assert attempt.state == ("skipped" if arguments else "failed")
    assert memories() == []
    run = Run(sensing(embedded_mailbox, kind, mode="reschedule", **arguments))
    assert run.attempt().state == "up_for_reschedule"
    assert len(memories()) == 1
    embedded_mailbox.connect(extra={"tls": "none"})
    assert run.attempt().state == ("skipped" if arguments else "failed")
    assert memories() == []


def test_task_instances_do_not_share_a_memory(embedded_mailbox: Mailbox) -> None:
    """Two sensors on one folder have a baseline each."""
    arguments = {"baseline": "first_poke", "mode": "reschedule"}
    for kind in (ImapOAuthMessageSensor, SensorBeforeStateStore):
        first, second = (Run(sensing(embedded_mailbox, kind, **arguments)) for _ in range(2))
        assert first.attempt().state == "up_for_reschedule"
        embedded_mailbox.deliver(with_files())
        assert second.attempt().state == "up_for_reschedule"
        assert len(memories()) == 2
        assert first.attempt().state == "success"
        assert second.attempt().state == "up_for_reschedule"
        embedded_mailbox.deliver(with_files())
        assert second.attempt().state == "success"


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_baseline_outlives_a_retry(
    embedded_mailbox: Mailbox, embedded_imap: EmbeddedImapServer, mode: str
) -> None:
    """What arrives while a sensor waits for its retry counts: the first poke was before."""
    build = sensing(embedded_mailbox, baseline="first_poke", mode=mode, retries=1)
    greetings = itertools.count(1)
    embedded_imap.script("GREETING", matching=lambda _: next(greetings) == 2, drop_after_bytes=0)
    run = Run(build)
    states = [run.attempt().state]
    if mode == "reschedule":
        states.append(run.attempt().state)
    assert states[-1] == "up_for_retry"
    embedded_mailbox.deliver(with_files())
    last = run.attempt()
    assert (last.state, last.xcom) != ("success", None), last.shown
    assert last.xcom["uids"] == [1]


def test_poke_mode_waits_in_one_process(
    embedded_mailbox: Mailbox, embedded_imap: EmbeddedImapServer
) -> None:
    """It pokes until there is mail, and signs in anew each time."""
    greetings = itertools.count(1)

    def deliver_at_third(_: str) -> bool:
        if next(greetings) == 3:
            embedded_mailbox.deliver(with_files())
        return False

    embedded_imap.script("GREETING", matching=deliver_at_third)
    attempt = Run(sensing(embedded_mailbox)).attempt()
    assert (attempt.state, attempt.xcom["uids"]) == ("success", [1]), attempt.shown
    assert embedded_imap.connections == 3
    assert embedded_imap.command_names.count("LOGOUT") == 3


# --- Arguments and errors -------------------------------------------------------------------------

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"baseline": "last_poke"}, "first_poke"),
    ({"baseline": None}, "baseline"),
    ({"baseline": "first_poke", "ledger": "/mail"}, "one baseline"),
    ({"imap_conn_id": ""}, "imap_conn_id"),
    ({"mail_folder": ""}, "mail_folder"),
    ({"mail_filter": None}, "mail_filter"),
    ({"ledger": ""}, "ledger"),
]


@pytest.mark.parametrize(("arguments", "named"), WRONG)
def test_wrong_arguments_are_refused_when_the_dag_is_parsed(
    arguments: dict[str, Any], named: str
) -> None:
    """What can never work is an import error of the DAG that names the argument."""
    with pytest.raises(ImapOAuthError, match=named):
        ImapOAuthMessageSensor(task_id="t", **arguments)


def test_templates_are_rendered(embedded_mailbox: Mailbox, tmp_path: Path) -> None:
    """Every template field may hold a template."""
    conf = {
        "imap_conn_id": embedded_mailbox.conn_id,
        "mail_folder": FOLDER,
        "mail_filter": 'FROM "b@shop"',
        "ledger": str(tmp_path / "mail"),
    }
    assert set(conf) == set(ImapOAuthMessageSensor.template_fields)
    embedded_mailbox.deliver(with_files(), with_files(sender="b"), folder=FOLDER)
    templates = {name: f"{{{{ dag_run.conf['{name}'] }}}}" for name in conf}
    attempt = Run(sensing(embedded_mailbox, **templates), conf=conf).attempt()
    assert (attempt.state, attempt.xcom["uids"]) == ("success", [2]), attempt.shown


PERMANENT: list[dict[str, Any]] = [
    {"mail_folder": "nowhere"},
    {"ledger": "relative/path"},
    {"ledger": "nosuch://bucket/mail"},
    {"mail_filter": 'FROM "a'},
]


@pytest.mark.parametrize("arguments", PERMANENT)
def test_permanent_errors_end_the_waiting(
    embedded_mailbox: Mailbox, arguments: dict[str, Any]
) -> None:
    """What no poke can mend fails the task at once, naming connection and step."""
    attempt = Run(sensing(embedded_mailbox, retries=2, **arguments)).attempt()
    assert attempt.state == "failed"
    assert isinstance(attempt.error, AirflowFailException)
    assert f"connection '{embedded_mailbox.conn_id}', " in str(attempt.error)
    assert "During handling" not in attempt.shown


def test_transient_error_can_be_sat_out(
    embedded_mailbox: Mailbox, embedded_imap: EmbeddedImapServer
) -> None:
    """It uses a retry, or with ``silent_fail`` the next poke."""
    embedded_mailbox.deliver(with_files())
    for arguments, state in (({"retries": 1}, "up_for_retry"), ({"silent_fail": True}, "success")):
        embedded_imap.script("GREETING", drop_after_bytes=0)
        assert Run(sensing(embedded_mailbox, **arguments)).attempt().state == state


def test_timeout_is_airflows(embedded_mailbox: Mailbox) -> None:
    """A folder that stays empty ends in Airflow's own timeout."""
    attempt = Run(sensing(embedded_mailbox, timeout=0)).attempt()
    assert isinstance(attempt.error, AirflowSensorTimeout)
