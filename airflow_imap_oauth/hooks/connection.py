# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""From an Airflow connection to checked, frozen settings. No network, no file is touched."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, Protocol, cast

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.hooks.client import (
    DEFAULT_CONNECT_SECONDS,
    read_ca_file,
    read_client,
    read_proxy_url,
    read_region,
)
from airflow_imap_oauth.hooks.fields import Fields
from airflow_imap_oauth.hooks.masking import mask
from airflow_imap_oauth.imap.model import ImapSettings
from airflow_imap_oauth.oauth.profiles import (
    MailProviderProfile,
    SaslMechanism,
    get_profile,
    profile_names,
)
from airflow_imap_oauth.oauth.settings import OAuthSettings

CONN_TYPE = "imap_oauth"

_HOST = re.compile(
    r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?|\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]?"
)
_MAX_PORT = 65535
_DEFAULT_PORTS = {"implicit": 993, "starttls": 143}
_DEFAULT_MAIL_READ_SECONDS = 60.0


class ConnectionLike(Protocol):
    """What the connections of Airflow's core and of its Task SDK have in common."""

    conn_id: str
    conn_type: str | None
    host: str | None
    login: str | None
    password: str | None
    schema: str | None
    port: int | None
    extra: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """
    One mailbox, as its connection describes it.

    :param oauth: Its secrets are as they stand in the connection, possibly sealed.
    :param seed: The refresh token as it stands in the connection, sealed or plain; None: none.
    :param fallback_conn_id: The connection to try where this one cannot authenticate, or None.
    """

    conn_id: str
    oauth: OAuthSettings
    imap: ImapSettings
    seed: str | None = field(repr=False)
    fallback_conn_id: str | None = None


def parse(connection: ConnectionLike, *, allow_loopback_http: bool = False) -> ConnectionSettings:
    """
    Check a connection and turn it into settings.

    Secrets are masked as soon as they are read. Whether sealed secrets open, whether hosts exist
    and whether the token lives is for later.

    :param allow_loopback_http: ``[imap_oauth] allow_loopback_http``.
    :raises ConfigurationError: Naming connection, field and what to do. A retry cannot help.
    """
    password = connection.password
    mask(password)
    fields = Fields(connection.conn_id, connection.extra)
    _check_kind(connection, fields)
    seed = fields.hidden("The password", password) or fields.secret("refresh_token")
    mask(seed)
    login = fields.plain("The mailbox address (login)", connection.login)
    if login is None:
        raise fields.error(
            "The mailbox address (login) is not set.",
            "Enter the address of the account that consents.",
        )
    try:
        profile = _profile(fields)
        return ConnectionSettings(
            conn_id=connection.conn_id,
            oauth=read_client(connection.conn_id, fields, profile, login, allow_loopback_http),
            imap=_imap(connection, fields, profile, login),
            seed=seed,
            fallback_conn_id=_fallback(connection, fields),
        )
    except ConfigurationError as error:
        raise error.located(conn_id=connection.conn_id) from None


def _check_kind(connection: ConnectionLike, fields: Fields) -> None:
    if connection.conn_type != CONN_TYPE:
        raise fields.error(
            f"Its connection type is '{connection.conn_type}', not '{CONN_TYPE}'.",
            "Choose the type 'IMAP (OAuth 2.0)'.",
        )
    if fields.plain("The schema", connection.schema) is not None:
        raise fields.error(
            "It has a schema, which means nothing here.",
            "Leave it empty; name the mail folder in the operator or sensor.",
        )


def _profile(fields: Fields) -> MailProviderProfile:
    name = fields.text("mail_provider")
    if name is None:
        raise fields.error(
            "Key 'mail_provider' of extra is not set.", f"Choose: {', '.join(profile_names())}."
        )
    return get_profile(name)


def _imap(
    connection: ConnectionLike, fields: Fields, profile: MailProviderProfile, login: str
) -> ImapSettings:
    host = fields.plain("The host", connection.host)
    if host is None and profile.imap_host is not None:
        host = profile.imap_host.replace("{region}", read_region(fields, profile))
    if host is None:
        raise fields.error("The host is not set.", "Enter the name of the IMAP server.")
    if not _is_host(host):
        raise fields.error(
            "The host is not a host name.",
            "Enter the name alone, for example imap.example.com: no scheme, port or path.",
        )
    tls = cast(
        'Literal["implicit", "starttls"]', fields.choice("tls", tuple(_DEFAULT_PORTS)) or "implicit"
    )
    mechanism = fields.choice("sasl_mechanism", ("auto", "oauthbearer", "xoauth2"))
    return ImapSettings(
        conn_id=connection.conn_id,
        host=host.strip("[]"),
        port=_port(connection, fields, profile, tls),
        user=fields.text("mailbox") or login,
        tls=tls,
        sasl_mechanism=(
            profile.sasl_mechanism
            if mechanism in (None, "auto")
            else cast("SaslMechanism", mechanism)
        ),
        ca_file=read_ca_file(fields),
        proxy_url=read_proxy_url(fields),
        connect_timeout_seconds=fields.seconds("connect_timeout_seconds", DEFAULT_CONNECT_SECONDS),
        read_timeout_seconds=fields.seconds("read_timeout_seconds", _DEFAULT_MAIL_READ_SECONDS),
    )


def _fallback(connection: ConnectionLike, fields: Fields) -> str | None:
    conn_id = fields.text("fallback_conn_id")
    if conn_id == connection.conn_id:
        raise fields.error(
            "Key 'fallback_conn_id' of extra names this very connection.",
            "Name another one, or leave it empty.",
        )
    return conn_id


def _is_host(host: str) -> bool:
    try:
        host.encode("idna")  # as the resolver will: no label may be empty or too long
    except UnicodeError:
        return False
    return _HOST.fullmatch(host) is not None


def _port(
    connection: ConnectionLike, fields: Fields, profile: MailProviderProfile, tls: str
) -> int:
    # The form sends 0 for an empty port.
    if not connection.port:
        return profile.imap_port if tls == "implicit" else _DEFAULT_PORTS[tls]
    if not 0 < connection.port <= _MAX_PORT:
        raise fields.error(
            "The port is out of range.", f"Enter a port from 1 to {_MAX_PORT}, mostly 993."
        )
    return connection.port
