# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""After a change of keys: what connections and token store hold, sealed anew by the first key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow.models.connection import Connection
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_imap_oauth.admin.connections import NewSecrets, elsewhere, load, save
from airflow_imap_oauth.admin.database import faults_in_words
from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.hooks.config import PackageOptions, read_options
from airflow_imap_oauth.hooks.connection import CONN_TYPE
from airflow_imap_oauth.hooks.keys import plain_secrets, resealed_secrets
from airflow_imap_oauth.hooks.keys import sealer as configured_sealer
from airflow_imap_oauth.hooks.mailbox import Mailbox, open_mailbox
from airflow_imap_oauth.tokens.sealing import is_sealed

_EVENT = "imap_oauth.resealed"
_STORED = "tokens in the store"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """
    What was done to one connection, or is to be done.

    :param resealed: What is sealed anew: ``password``, keys of ``extra``, the tokens in the store.
    :param plain: What stands in the connection as somebody typed it, and stays so.
    """

    resealed: tuple[str, ...]
    plain: tuple[str, ...]


def first_key_id(options: PackageOptions) -> str:
    """
    Return the name of the key that seals.

    :raises ConfigurationError: If a key is malformed. A retry cannot help.
    :raises SealingError: If there is none. A retry cannot help.
    """
    sealer = configured_sealer(options)
    sealer.seal("", purpose="probe", binding={})
    return sealer.key_ids[0]


def mailbox_ids() -> tuple[str, ...]:
    """Return the ids of all connections of this type that Airflow's database holds."""
    # Not whole rows: one that does not decrypt must not hide the others.
    query = select(Connection.conn_id).where(Connection.conn_type == CONN_TYPE)
    with faults_in_words(), create_session() as session:
        return tuple(session.scalars(query.order_by(Connection.conn_id)))


def rotate(conn_id: str, *, dry_run: bool, owner: str | None = None) -> Rotation:
    """
    Seal anew what another key than the first has sealed for a connection.

    It may be repeated, also after it was interrupted: what is done already is left alone.

    :param dry_run: Only tell.
    :param owner: Who does it, for the audit log; None: the user of this process.
    :raises ConfigurationError: If the connection is wrong, or cannot be written although it has to
        be. A retry cannot help.
    :raises SealingError: If something does not open here; nothing of this connection was changed.
        A retry cannot help.
    :raises TokenStoreError: If the token store does not work. A retry helps.
    """
    hidden = elsewhere(conn_id)
    connection = load(conn_id) if hidden is None else hidden[1]
    mailbox = open_mailbox(connection, read_options())
    secrets = resealed_secrets(connection, mailbox.binding, mailbox.sealer)
    manager = mailbox.token_manager()
    has_tokens = manager.must_reseal()
    resealed = (*secrets, _STORED) if has_tokens else tuple(secrets)
    if resealed and not dry_run:
        if has_tokens:
            manager.reseal()
        if hidden is None:
            _write(mailbox, resealed, owner)
    if secrets and hidden is not None:
        raise _unwritable(hidden[0], secrets)
    return Rotation(resealed=resealed, plain=_plain(connection, mailbox))


def _write(mailbox: Mailbox, resealed: tuple[str, ...], owner: str | None) -> None:
    def decide(row: Any) -> NewSecrets:
        now = open_mailbox(row, mailbox.options)
        extra = resealed_secrets(row, now.binding, now.sealer)
        return NewSecrets(password=extra.pop("password", None), extra=dict(extra))

    save(
        mailbox.settings.conn_id,
        decide,
        event=_EVENT,
        details={"resealed": ", ".join(resealed), "key": mailbox.sealer.key_ids[0]},
        owner=owner,
    )


def _plain(connection: Any, mailbox: Mailbox) -> tuple[str, ...]:
    seed = mailbox.settings.seed
    has_seed = mailbox.settings.oauth.grant == "user_consent" and seed and not is_sealed(seed)
    secrets = plain_secrets(connection.extra)
    return ("refresh token", *secrets) if has_seed else secrets


def _unwritable(name: str, secrets: dict[str, str]) -> ConfigurationError:
    return ConfigurationError(
        f"Another key has sealed {', '.join(secrets)}, and the connection is defined by {name}, "
        "which Airflow cannot write.",
        hint="Before that key is removed, put there what a person would type, or what was sealed "
        "anew in a copy of this connection in Airflow's database.",
    )
