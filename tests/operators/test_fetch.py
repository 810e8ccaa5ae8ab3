# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The fetch operator as a worker runs it: real mail servers, real Airflow database and API."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import AirflowFailException

from airflow_imap_oauth.exceptions import ImapOAuthError
from airflow_imap_oauth.operators.imap_oauth import ImapOAuthFetchOperator, run_id_of
from tests.hooks import connections
from tests.hooks.mailboxes import Mailbox, with_files
from tests.mailbox import small_mailbox
from tests.operators.running import Attempt, Run
from tests.servers.authorization_server import AuthorizationServer
from tests.servers.embedded_imap import EmbeddedImapServer

XCOM_KEYS = {
    "manifest", "messages", "attachments", "bytes", "quarantined", "uidvalidity", "last_uid",
}  # fmt: skip


def fetching(mailbox: Mailbox, folder: Path, **arguments: Any) -> Callable[..., Any]:
    """Return what makes the operator."""

    def build(task_id: str) -> ImapOAuthFetchOperator:
        values = {"imap_conn_id": mailbox.conn_id, "destination": str(folder), **arguments}
        return ImapOAuthFetchOperator(task_id=task_id, **values)

    return build


def fetched(mailbox: Mailbox, folder: Path, **arguments: Any) -> Attempt:
    """Run it once in a DAG run of its own."""
    return Run(fetching(mailbox, folder, **arguments)).attempt()


def landed(destination: Path) -> dict[str, list[bytes]]:
    """Return the contents of what landed, by kind, sorted."""
    files = [path for path in destination.rglob("*") if path.is_file()]
    kinds = {
        kind: [path.read_bytes() for path in files if path.suffix == f".{kind}"]
        for kind in ("eml", "csv", "txt")
    }
    return {kind: sorted(contents) for kind, contents in kinds.items() if contents}


def test_new_mail_lands_once(mailbox: Mailbox, tmp_path: Path) -> None:
    """A second run lands nothing again, a third one only what has arrived meanwhile."""
    mails = small_mailbox(7)
    mailbox.deliver(*mails)
    first = fetched(mailbox, tmp_path)
    assert first.state == "success", first.shown
    assert landed(tmp_path)["eml"] == sorted(mails)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*") if path.is_file()}

    second = fetched(mailbox, tmp_path)

    assert second.xcom == {
        "manifest": None, "messages": 0, "attachments": 0, "bytes": 0, "quarantined": 0,
        "uidvalidity": first.xcom["uidvalidity"], "last_uid": None,
    }  # fmt: skip
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*") if path.is_file()}
    assert after == before
    newer = small_mailbox(1, seed=9)
    mailbox.deliver(*newer)
    third = fetched(mailbox, tmp_path)
    assert (third.xcom["messages"], third.xcom["last_uid"]) == (1, 8)
    assert landed(tmp_path)["eml"] == sorted([*mails, *newer])
    assert mailbox.search("UNSEEN") == [*range(1, 9)]


def test_xcom_is_small_and_true(mailbox: Mailbox, tmp_path: Path) -> None:
    """It holds counts and the path of the run's record, which names every commit; nothing else."""
    mailbox.deliver(with_files(("a.csv", b"12345"), ("b.txt", b"678")), with_files())

    xcom = fetched(mailbox, tmp_path).xcom

    assert set(xcom) == XCOM_KEYS
    eml_bytes = sum(len(content) for content in landed(tmp_path)["eml"])
    assert (xcom["messages"], xcom["attachments"], xcom["quarantined"]) == (2, 2, 0)
    assert xcom["bytes"] == eml_bytes + 8
    assert xcom["last_uid"] == 2
    assert xcom["uidvalidity"] > 0
    record = json.loads(Path(xcom["manifest"].removeprefix("file://")).read_text())
    (folder,) = record["folders"]
    assert folder["mail_folder"] == "INBOX"
    assert folder["account"] == mailbox.login
    for commit in folder["commits"]:
        assert (tmp_path / commit["path"]).is_file()


def test_retry_of_a_finished_run_returns_the_same(
    embedded_mailbox: Mailbox, tmp_path: Path
) -> None:
    """A task whose result was lost on the way lands nothing again and tells the same."""
    mailbox = embedded_mailbox
    mailbox.deliver(*small_mailbox(2))
    run = Run(fetching(mailbox, tmp_path))
    first = run.attempt()
    mailbox.deliver(*small_mailbox(1, seed=9))
    assert run.attempt().xcom == first.xcom
    assert first.xcom["messages"] == 2


CHOICES: list[tuple[dict[str, Any], dict[str, list[bytes]], int]] = [
    ({"parts": ["attachments"]}, {"csv": [b"one", b"two"], "txt": [b"notes"]}, 3),
    ({"parts": ("attachments",), "attachment_glob": "*.CSV"}, {"csv": [b"one", b"two"]}, 3),
    ({"parts": ["attachments"], "mail_filter": '(FROM "b@shop")'}, {"csv": [b"two"]}, 1),
    ({"parts": ["attachments"], "max_messages": 1}, {"csv": [b"one"], "txt": [b"notes"]}, 1),
    ({"parts": ["attachments"], "mail_folder": "\u8acb\u6c42"}, {"csv": [b"three"]}, 1),
]


@pytest.mark.parametrize(("arguments", "files", "messages"), CHOICES)
def test_arguments_choose_what_lands(
    embedded_mailbox: Mailbox,
    tmp_path: Path,
    arguments: dict[str, Any],
    files: dict[str, list[bytes]],
    messages: int,
) -> None:
    """Parts, names, filter, limit and folder each choose what lands."""
    mailbox = embedded_mailbox
    mailbox.deliver(
        with_files(("a.csv", b"one"), ("b.txt", b"notes")),
        with_files(("a.csv", b"two"), sender="b"),
        with_files(sender="c"),
    )
    mailbox.deliver(with_files(("a.csv", b"three")), folder="\u8acb\u6c42")
    attempt = fetched(mailbox, tmp_path, **arguments)
    assert attempt.state == "success", attempt.shown
    assert landed(tmp_path) == files
    assert attempt.xcom["messages"] == messages


def test_two_mailboxes_share_a_destination(embedded_mailbox: Mailbox, tmp_path: Path) -> None:
    """Another account and another folder land beside the first, and neither hides the other."""
    mailbox = embedded_mailbox
    mailbox.deliver(*small_mailbox(2))
    mailbox.deliver(*small_mailbox(2), folder="Other")
    counts = [fetched(mailbox, tmp_path).xcom["messages"]]
    counts.append(fetched(mailbox, tmp_path, mail_folder="Other").xcom["messages"])
    other = f"second-{mailbox.login}"
    mailbox.mail.deliver(other, small_mailbox(1)[0])
    mailbox.connect(login=other, password=mailbox.authorization.mint_refresh_token(other))
    counts.append(fetched(mailbox, tmp_path).xcom["messages"])
    assert counts == [2, 2, 1]
    assert len(landed(tmp_path)["eml"]) == 5


def test_templates_are_rendered(embedded_mailbox: Mailbox, tmp_path: Path) -> None:
    """Every template field may hold a template."""
    embedded_mailbox.deliver(
        with_files(("a.csv", b"one"), ("b.txt", b"notes")), with_files(sender="b"), folder="Inbox2"
    )
    conf = {
        "imap_conn_id": embedded_mailbox.conn_id,
        "destination": str(tmp_path / "deep"),
        "mail_folder": "Inbox2",
        "mail_filter": 'FROM "a@shop"',
        "attachment_glob": "*.csv",
    }
    assert set(conf) == set(ImapOAuthFetchOperator.template_fields)
    templates = {name: f"{{{{ dag_run.conf['{name}'] }}}}" for name in conf}
    attempt = Run(fetching(embedded_mailbox, tmp_path, **templates), conf=conf).attempt()
    assert attempt.state == "success", attempt.shown
    found = landed(tmp_path / "deep")
    assert (len(found["eml"]), found["csv"]) == (1, [b"one"])
    assert "txt" not in found


def test_destination_may_be_a_path_object(embedded_mailbox: Mailbox, tmp_path: Path) -> None:
    """An ``ObjectStoragePath`` is taken as it is, and the manifest's path is one again."""
    embedded_mailbox.deliver(*small_mailbox(1))
    path = ObjectStoragePath(f"file://{tmp_path}")
    attempt = fetched(embedded_mailbox, tmp_path, destination=path)
    assert attempt.state == "success", attempt.shown
    assert ObjectStoragePath(attempt.xcom["manifest"]).is_file()


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"parts": []}, "parts"),
    ({"parts": "eml"}, "parts"),
    ({"parts": ["eml", "body"]}, "body"),
    ({"max_messages": 0}, "max_messages"),
    ({"max_messages": -1}, "max_messages"),
    ({"max_messages": "5"}, "max_messages"),
    ({"max_messages": True}, "max_messages"),
    ({"imap_conn_id": ""}, "imap_conn_id"),
    ({"imap_conn_id": None}, "imap_conn_id"),
    ({"destination": ""}, "destination"),
    ({"destination": None}, "destination"),
    ({"mail_folder": ""}, "mail_folder"),
    ({"mail_folder": None}, "mail_folder"),
    ({"mail_filter": None}, "mail_filter"),
    ({"attachment_glob": ""}, "attachment_glob"),
]


@pytest.mark.parametrize(("arguments", "named"), WRONG)
def test_wrong_arguments_are_refused_when_the_dag_is_parsed(
    arguments: dict[str, Any], named: str
) -> None:
    """What can never work is an import error of the DAG that names the argument."""
    with pytest.raises(ImapOAuthError, match=named):
        ImapOAuthFetchOperator(task_id="t", **{"destination": "/mail", **arguments})


def test_missing_destination_is_refused_when_the_dag_is_parsed() -> None:
    """It has no default."""
    with pytest.raises(TypeError, match="destination"):
        ImapOAuthFetchOperator(task_id="t")  # type: ignore[call-arg]  # that is the point


def test_permanent_error_fails_at_once(
    embedded_mailbox: Mailbox, authorization_server: AuthorizationServer, tmp_path: Path
) -> None:
    """No retry is spent on a dead refresh token, and the error says what to do, without a chain."""
    authorization_server.revoke_all(embedded_mailbox.login)
    attempt = Run(fetching(embedded_mailbox, tmp_path, retries=3)).attempt()
    assert attempt.state == "failed"
    assert isinstance(attempt.error, AirflowFailException)
    assert f"connection '{embedded_mailbox.conn_id}', " in str(attempt.error)
    assert "airflow imap-oauth login" in str(attempt.error)
    assert "During handling" not in attempt.shown
    assert "direct cause" not in attempt.shown
    assert not [path for path in tmp_path.rglob("*.eml") if path.is_file()]


def test_transient_error_uses_the_retries(
    embedded_mailbox: Mailbox, authorization_server: AuthorizationServer, tmp_path: Path
) -> None:
    """A server that is down is asked again by Airflow, as often as the task's retries allow."""
    embedded_mailbox.deliver(*small_mailbox(2))
    authorization_server.fail_next("token", "status", status=503, retry_after="7")
    run = Run(fetching(embedded_mailbox, tmp_path, retries=1))
    attempt = run.attempt()
    assert attempt.state == "up_for_retry"
    assert isinstance(attempt.error, ImapOAuthError)
    assert attempt.error.retry_after_seconds == 7
    assert attempt.error.conn_id == embedded_mailbox.conn_id
    assert "oauth/http.py" not in attempt.shown  # no frames of what lies below the operator
    second = run.attempt()
    assert (second.state, second.xcom["messages"]) == ("success", 2), second.shown


def test_lost_connection_is_resumed_by_the_retry(
    embedded_mailbox: Mailbox, embedded_imap: EmbeddedImapServer, tmp_path: Path
) -> None:
    """The try after a lost connection lands every message, and the result counts them all."""
    mails = small_mailbox(4)
    embedded_mailbox.deliver(*mails)
    embedded_imap.script("UID FETCH", uid=3, reset=True, drop_after_bytes=300)
    run = Run(fetching(embedded_mailbox, tmp_path, retries=1))
    assert run.attempt().state == "up_for_retry"
    second = run.attempt()
    assert (second.state, second.xcom["messages"]) == ("success", 4), second.shown
    assert landed(tmp_path)["eml"] == sorted(mails)


def test_one_bad_message_stops_nothing(
    embedded_mailbox: Mailbox, embedded_imap: EmbeddedImapServer, tmp_path: Path
) -> None:
    """What cannot be landed is counted as quarantined, and the task succeeds."""
    embedded_mailbox.deliver(*small_mailbox(3))
    embedded_imap.script(
        "UID FETCH",
        uid=2,
        matching=lambda line: "BODY.PEEK[]" in line,
        status="NO [SERVERBUG] cannot read it",
        times=None,
    )
    attempt = fetched(embedded_mailbox, tmp_path)
    assert attempt.state == "success", attempt.shown
    assert (attempt.xcom["messages"], attempt.xcom["quarantined"]) == (2, 1)


def test_renumbered_folder_is_told(mailbox: Mailbox, tmp_path: Path) -> None:
    """A folder whose UIDs mean something else now is not fetched again by itself."""
    mailbox.deliver(*small_mailbox(2))
    assert fetched(mailbox, tmp_path).state == "success"
    mailbox.mail.renumber(mailbox.login)
    attempt = fetched(mailbox, tmp_path, retries=1)
    assert attempt.state == "failed"
    assert "renumbered" in str(attempt.error)
    assert mailbox.conn_id in str(attempt.error)
    assert len(landed(tmp_path)["eml"]) == 2


def test_kill_closes_the_session(
    embedded_mailbox: Mailbox, embedded_imap: EmbeddedImapServer, tmp_path: Path
) -> None:
    """The signal that ends a task ends its session, amid an answer, without a library's error."""
    embedded_mailbox.deliver(*small_mailbox(2))
    operator = fetching(embedded_mailbox, tmp_path)("task")
    main = threading.get_ident()

    def kill(line: str) -> bool:
        if "BODY.PEEK[]" not in line:
            return False
        threading.Timer(0.2, signal.pthread_kill, [main, signal.SIGUSR1]).start()
        return True

    embedded_imap.script("UID FETCH", matching=kill, delay_seconds=8)
    before = signal.signal(signal.SIGUSR1, lambda *_: operator.on_kill())
    ti = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1)
    started = time.monotonic()
    try:
        with pytest.raises(ImapOAuthError) as caught:
            operator.execute({"ti": ti})
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert time.monotonic() - started < 5  # Airflow waits no longer before it kills the process
    assert caught.value.retry_helps
    operator.on_kill()  # nothing is open any more


RUN_IDS = [
    (("d", "t", "r", -1), "d/t/r"),
    (("d", "t", "r", None), "d/t/r"),
    (("d", "t", "r", 0), "d/t/r/0"),
]


@pytest.mark.parametrize(("names", "expected"), RUN_IDS)
def test_run_id_is_that_of_the_task_instance(names: tuple[Any, ...], expected: str) -> None:
    """Tries share it; other tasks, runs and mapped instances have others."""
    ti = SimpleNamespace(
        **dict(zip(("dag_id", "task_id", "run_id", "map_index"), names, strict=True))
    )
    assert run_id_of({"ti": ti}) == expected  # type: ignore[typeddict-item]  # all that is read


def test_logs_hold_no_secret(
    embedded_mailbox: Mailbox,
    authorization_server: AuthorizationServer,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    """Neither a run that succeeds nor one that fails logs or stores a token."""
    caplog.set_level("DEBUG")
    embedded_mailbox.deliver(*small_mailbox(1))
    assert fetched(embedded_mailbox, tmp_path).state == "success"
    authorization_server.revoke_all(embedded_mailbox.login)
    connections.remove(embedded_mailbox.conn_id)
    embedded_mailbox.connect(extra={"client_secret": "wrong-secret-canary"})
    failed = fetched(embedded_mailbox, tmp_path)
    assert failed.state == "failed"
    connections.remove(embedded_mailbox.conn_id)
    texts = capsys.readouterr().out, caplog.text, failed.shown
    held = "\n".join([*texts, connections.everything_in_the_database()])
    for secret in {*authorization_server.secrets_issued(), "wrong-secret-canary"}:
        assert secret not in held
