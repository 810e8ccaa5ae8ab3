# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The hook's public methods, those of Airflow's ``ImapHook``, against real mail servers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.imap.hooks.imap import ImapHook
from airflow.sdk.exceptions import AirflowException

from airflow_imap_oauth.exceptions import (
    ConfigurationError,
    DestinationError,
    ImapOAuthError,
    MailFolderNotFoundError,
)
from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from tests.hooks.mailboxes import Mailbox, with_files
from tests.mailbox.building import attachment, entity, message, multipart
from tests.servers.embedded_imap import EmbeddedImapServer

FOLDER = "R\u00e9sum\u00e9s & \u8acb\u6c42"
PDF = "\u00dcbersicht M\u00e4rz.pdf"
LOGO = entity(b"png", "image/png", encoding="base64", disposition='inline; filename="logo.png"')
NAME_ONLY = entity(b"a;b", 'text/csv; name="semicolons.csv"', encoding="quoted-printable")

INBOX = (
    with_files(("report.csv", b"first"), sender="daily"),
    with_files(("report.csv", b"second"), ("notes.txt", b"notes"), sender="daily"),
    with_files(),
    with_files((PDF, b"%PDF"), subject="=?utf-8?Q?M=C3=A4rz?="),
    message(multipart([entity(b"see below"), LOGO, NAME_ONLY])),
    message(multipart([entity(with_files(("inner.csv", b"inner")), "message/rfc822")])),
    with_files(("report.csv", b"third"), ("report.csv", b"third, again"), sender="weekly"),
)
THIRD, THIRD_AGAIN, SECOND, FIRST = (
    ("report.csv", content) for content in (b"third", b"third, again", b"second", b"first")
)

FOUND: list[tuple[dict[str, Any], list[tuple[str, bytes]]]] = [
    ({"name": "report.csv"}, [THIRD, THIRD_AGAIN, SECOND, FIRST]),
    ({"name": "report.csv", "latest_only": True}, [THIRD]),
    ({"name": "report.csv", "max_mails": 6}, [THIRD, THIRD_AGAIN, SECOND]),
    ({"name": "notes.txt", "max_mails": 5}, []),
    ({"name": "report.csv", "mail_filter": '(FROM "daily@")'}, [SECOND, FIRST]),
    ({"name": "report.csv", "mail_filter": '(FROM "daily@")', "max_mails": 1}, [SECOND]),
    ({"name": "report.csv", "mail_filter": 'FROM "nobody@"'}, []),
    ({"name": PDF, "mail_filter": 'SUBJECT "M\u00e4rz"'}, [(PDF, b"%PDF")]),
    ({"name": "report"}, []),
    ({"name": "REPORT.CSV"}, []),
    ({"name": "report.*"}, []),
    ({"name": r"report|notes", "check_regex": True, "latest_only": True}, [THIRD]),
    ({"name": r"no.*t$", "check_regex": True}, [("notes.txt", b"notes")]),
    ({"name": r"otes", "check_regex": True}, []),
    ({"name": "logo.png"}, [("logo.png", b"png")]),
    ({"name": "semicolons.csv"}, [("semicolons.csv", b"a;b")]),
    ({"name": "inner.csv"}, [("inner.csv", b"inner")]),
    ({"name": "report.csv", "mail_folder": FOLDER}, [("report.csv", b"elsewhere")]),
]


@pytest.fixture
def filled(mailbox: Mailbox) -> Mailbox:
    """Give a mailbox with mail in two folders."""
    mailbox.deliver(*INBOX)
    mailbox.deliver(with_files(("report.csv", b"elsewhere")), folder=FOLDER)
    return mailbox


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder to save to, inside of one where nothing else may appear."""
    made = tmp_path / "outer" / "saved"
    made.mkdir(parents=True)
    return made


def saved(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder by name; there must be nothing beside it."""
    assert list(folder.parent.iterdir()) == [folder]
    assert [path.name for path in folder.parent.parent.iterdir()] == [folder.parent.name]
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    "method", ["has_mail_attachment", "retrieve_mail_attachments", "download_mail_attachments"]
)
def test_signatures_are_those_of_airflows_hook(method: str) -> None:
    """Every argument has upstream's name, kind, default and type, and none is added."""
    ours, theirs = (inspect.signature(getattr(kind, method)) for kind in (ImapOAuthHook, ImapHook))
    expected = dict(theirs.parameters)
    if method == "download_mail_attachments":
        # Upstream's lowest version has it not yet.
        overwrite = inspect.Parameter(
            "overwrite", inspect.Parameter.KEYWORD_ONLY, default=True, annotation="bool"
        )
        expected.setdefault("overwrite", overwrite)
    assert list(ours.parameters.values()) == list(expected.values())


def test_it_is_an_imap_hook() -> None:
    """Code that asks for Airflow's hook takes this one."""
    assert isinstance(ImapOAuthHook("mail"), ImapHook)
    assert ImapOAuthHook().imap_conn_id == "imap_oauth_default"


def test_every_argument_finds_what_it_says(filled: Mailbox, folder: Path) -> None:
    """All three methods agree on what is found; the latest mail comes first."""
    with ImapOAuthHook(filled.conn_id) as hook:
        for arguments, expected in FOUND:
            found = hook.retrieve_mail_attachments(**arguments, not_found_mode="ignore")
            assert found == expected, arguments
            limits = {key: value for key, value in arguments.items() if key != "latest_only"}
            assert hook.has_mail_attachment(**limits) is bool(expected), arguments
            hook.download_mail_attachments(
                local_output_directory=str(folder), **arguments, not_found_mode="ignore"
            )
            files = saved(folder)
            assert sorted(files.values()) == sorted(content for _, content in expected), arguments
            assert files.get(arguments["name"]) == (dict(expected[:1]).get(arguments["name"]))
            for name in files:
                (folder / name).unlink()


def test_mail_stays_unread(filled: Mailbox, folder: Path) -> None:
    r"""No method sets ``\Seen``."""
    with ImapOAuthHook(filled.conn_id) as hook:
        hook.has_mail_attachment("report.csv")
        hook.retrieve_mail_attachments("report.csv")
        hook.download_mail_attachments("report.csv", str(folder))
    assert filled.search("UNSEEN") == [*range(1, len(INBOX) + 1)]


def test_only_wanted_bodies_are_read(
    embedded_mailbox: Mailbox, embedded_imap: EmbeddedImapServer
) -> None:
    """Telling whether there is one reads no body, and reading one reads no other."""
    embedded_mailbox.deliver(*INBOX)
    with ImapOAuthHook(embedded_mailbox.conn_id) as hook:
        hook.has_mail_attachment(".*", check_regex=True)
        assert not [line for line in embedded_imap.commands if "BODY.PEEK" in line]
        hook.retrieve_mail_attachments("notes.txt")
    (body,) = [line for line in embedded_imap.commands if "BODY.PEEK" in line]
    assert "UID FETCH 2 " in body
    assert "BODY.PEEK[3]" in body
    assert not {"SELECT", "CLOSE", "EXPUNGE", "STORE"} & set(embedded_imap.command_names)


@pytest.mark.parametrize("mode", ["raise", "warn", "ignore"])
def test_not_found_modes(
    embedded_mailbox: Mailbox, folder: Path, capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    """Nothing found is an error, a warning, or nothing; never a file."""
    with ImapOAuthHook(embedded_mailbox.conn_id) as hook:
        for attempt in (
            lambda: hook.retrieve_mail_attachments("x", not_found_mode=mode),
            lambda: hook.download_mail_attachments("x", str(folder), not_found_mode=mode),
        ):
            if mode != "raise":
                assert not attempt()
                continue
            with pytest.raises(AirflowException, match=f"connection '{hook.imap_conn_id}', ") as e:
                attempt()
            assert isinstance(e.value, ImapOAuthError)
            assert e.value.retry_helps
    # Airflow gives hooks a logger of its own, which writes by itself.
    assert capsys.readouterr().out.count("No attachment of that") == (2 if mode == "warn" else 0)
    assert saved(folder) == {}


CALLS: list[tuple[Callable[[ImapOAuthHook, str], object], type[ImapOAuthError], str]] = [
    (lambda hook, _: hook.has_mail_attachment("x", max_mails=0), ConfigurationError, "max_mails"),
    *(
        (
            lambda hook, _, wrong=wrong: hook.retrieve_mail_attachments(**{"name": "x", **wrong}),
            ConfigurationError,
            next(iter(wrong)),
        )
        for wrong in (
            {"max_mails": -1},
            {"max_mails": "3"},
            {"max_mails": True},
            {"mail_filter": None},
            {"mail_folder": 7},
            {"name": b"x"},
        )
    ),
    (
        lambda hook, _: hook.has_mail_attachment("(", check_regex=True),
        ConfigurationError,
        "regular expression",
    ),
    (
        lambda hook, _: hook.retrieve_mail_attachments("x", not_found_mode="silent"),
        ConfigurationError,
        "not_found_mode",
    ),
    (
        lambda hook, folder: hook.download_mail_attachments("x", folder, not_found_mode=""),
        ConfigurationError,
        "not_found_mode",
    ),
    (
        lambda hook, _: hook.has_mail_attachment("x", mail_filter='FROM "a\r\nA1 LOGOUT"'),
        ConfigurationError,
        "line",
    ),
    (
        lambda hook, _: hook.has_mail_attachment("x", mail_folder="nowhere"),
        MailFolderNotFoundError,
        "'nowhere'",
    ),
    (
        lambda hook, folder: hook.download_mail_attachments("report.csv", f"{folder}/missing"),
        DestinationError,
        "missing",
    ),
]


def test_errors_name_connection_and_step(filled: Mailbox, folder: Path) -> None:
    """Whatever is wrong with a call is told with connection, step and what it is about."""
    with ImapOAuthHook(filled.conn_id) as hook:
        for call, kind, words in CALLS:
            with pytest.raises(kind, match=words) as caught:
                call(hook, str(folder))
            assert caught.value.conn_id == filled.conn_id
            assert caught.value.step
            assert caught.value.__cause__ is None
    assert saved(folder) == {}


@pytest.mark.parametrize(
    ("overwrite", "expected"),
    [
        (True, {"report.csv": b"third", "report_1.csv": b"third, again"}),
        (False, {"report.csv": b"old", "report_1.csv": b"third", "report_2.csv": b"third, again"}),
    ],
)
def test_overwriting(
    embedded_mailbox: Mailbox, folder: Path, overwrite: bool, expected: dict[str, bytes]
) -> None:
    """Files that were there are replaced or kept; attachments of one call never collide."""
    embedded_mailbox.deliver(INBOX[-1])
    (folder / "report.csv").write_bytes(b"old")
    with ImapOAuthHook(embedded_mailbox.conn_id) as hook:
        hook.download_mail_attachments("report.csv", str(folder), overwrite=overwrite)
    assert saved(folder) == expected


@pytest.mark.parametrize("overwrite", [True, False])
def test_links_are_not_followed(
    embedded_mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory, folder: Path,
    overwrite: bool,
) -> None:  # fmt: skip
    """A link that lies where an attachment goes leads nowhere."""
    target = tmp_path_factory.mktemp("target") / "precious"
    target.write_bytes(b"precious")
    for name in ("report.csv", "report_1.csv"):
        (folder / name).symlink_to(target)
    embedded_mailbox.deliver(INBOX[-1])
    with ImapOAuthHook(embedded_mailbox.conn_id) as hook:
        hook.download_mail_attachments("report.csv", str(folder), overwrite=overwrite)
    assert target.read_bytes() == b"precious"
    regular = {path.read_bytes() for path in folder.iterdir() if not path.is_symlink()}
    assert regular == {b"third", b"third, again"}


HOSTILE = (
    "../../escaped.txt",
    "/etc/cron.d/evil",
    "C:\\Windows\\evil.exe",
    "..",
    ".bashrc",
    "a\x00b\r\nc.txt",
    "\u202egpj.exe",
    f"{'long' * 100}.csv",
    "-rf",
)


def test_hostile_names_stay_in_the_folder(mailbox: Mailbox, folder: Path) -> None:
    """Whatever a sender calls a file, it is saved in the folder, visible, under a base name."""
    for number, name in enumerate(HOSTILE):
        mailbox.deliver(with_files((name, b"%d" % number)))
    with ImapOAuthHook(mailbox.conn_id) as hook:
        hook.download_mail_attachments("", str(folder), check_regex=True)
    files = saved(folder)
    assert sorted(files.values()) == [b"%d" % number for number in range(len(HOSTILE))]
    for name in files:
        assert name.isprintable()
        assert not name.startswith(".")
        assert len(name.encode()) < 256


def test_damaged_content_is_told(
    mailbox: Mailbox, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An attachment that cannot be decoded whole is handed out as far as it goes, and told."""
    broken = attachment("report.csv", b"x" * 60).replace(b"eHh4", b"e*==", 1)
    mailbox.deliver(message(multipart([entity(b"text"), broken])))
    with ImapOAuthHook(mailbox.conn_id) as hook:
        assert len(hook.retrieve_mail_attachments("report.csv")) == 1
        hook.download_mail_attachments("report.csv", str(folder))
    told = [record.getMessage() for record in caplog.records if "UID 1" in record.getMessage()]
    assert len(told) == 2
    assert all("'report.csv'" in text for text in told)


def test_odd_structure_is_passed_over(
    embedded_mailbox: Mailbox,
    embedded_imap: EmbeddedImapServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A mail that the server cannot describe costs a warning, not the others."""
    embedded_mailbox.deliver(*INBOX[:2])
    embedded_imap.script(
        "UID FETCH",
        uid=1,
        times=None,
        rewrite=lambda answer: answer.replace(b'"MIXED"', b"((((").replace(b'"mixed"', b"(((("),
    )
    with ImapOAuthHook(embedded_mailbox.conn_id) as hook:
        found = hook.retrieve_mail_attachments("report.csv", not_found_mode="ignore")
    assert len(found) < 2
    assert [r for r in caplog.records if "passed over" in r.getMessage()]
