# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""From an Airflow connection to checked, frozen settings. No network, no file is touched."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, Protocol, cast

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.hooks.fields import Fields
from airflow_imap_oauth.hooks.masking import mask
from airflow_imap_oauth.imap.model import ImapSettings
from airflow_imap_oauth.oauth.profiles import (
    MailProviderProfile,
    SaslMechanism,
    get_profile,
    profile_names,
)
from airflow_imap_oauth.oauth.settings import (
    ClientAuthMethod,
    Endpoints,
    OAuthSettings,
    TransportSettings,
)
from airflow_imap_oauth.oauth.urls import checked_url

CONN_TYPE = "imap_oauth"

_GRANTS = ("user_consent",)
_LATER_GRANTS = ("client_credentials", "service_account")
_EDIT = "Edit the connection."
_HOST = re.compile(
    r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?|\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]?"
)
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
_MAX_PORT = 65535
_DEFAULT_PORTS = {"implicit": 993, "starttls": 143}
_DEFAULT_CONNECT_SECONDS = 10.0
_DEFAULT_TOKEN_READ_SECONDS = 30.0
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

    :param oauth: Its ``client_secret`` is as it stands in the connection, possibly sealed.
    :param seed: The refresh token as it stands in the connection, sealed or plain; None: none.
    """

    conn_id: str
    oauth: OAuthSettings
    imap: ImapSettings
    seed: str | None = field(repr=False)


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
        fields.choice("grant", _GRANTS, later=_LATER_GRANTS)
        return ConnectionSettings(
            conn_id=connection.conn_id,
            oauth=_oauth(connection.conn_id, fields, profile, login, allow_loopback_http),
            imap=_imap(connection, fields, profile, login),
            seed=seed,
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


def _oauth(
    conn_id: str,
    fields: Fields,
    profile: MailProviderProfile,
    login: str,
    allow_loopback_http: bool,
) -> OAuthSettings:
    client_id = fields.text("client_id")
    if client_id is None:
        raise fields.error(
            "Key 'client_id' of extra is not set.",
            "Enter the id that the mail provider gave the application when it was registered.",
        )
    tenant_id, region = _tenant(fields, profile), _region(fields, profile)
    client_secret = _client_secret(fields, profile)
    return OAuthSettings(
        conn_id=conn_id,
        profile=profile,
        client_id=client_id,
        client_secret=client_secret,
        client_auth_method=_client_auth_method(fields, profile, client_secret),
        tenant_id=tenant_id,
        endpoints=_endpoints(fields, profile, tenant_id, region, allow_loopback_http),
        scopes=fields.scopes("scopes") or profile.scopes,
        extra_scopes=profile.extra_scopes,
        login=login,
        transport=TransportSettings(
            ca_file=_ca_file(fields),
            connect_timeout_seconds=fields.seconds(
                "connect_timeout_seconds", _DEFAULT_CONNECT_SECONDS
            ),
            read_timeout_seconds=fields.seconds(
                "read_timeout_seconds", _DEFAULT_TOKEN_READ_SECONDS
            ),
            allow_loopback_http=allow_loopback_http,
        ),
    )


def _client_secret(fields: Fields, profile: MailProviderProfile) -> str | None:
    secret = fields.secret("client_secret")
    mask(secret)
    if secret is None and profile.client_secret_required:
        what = "holds only Airflow's mask" if fields.is_mask("client_secret") else "is not set"
        raise fields.error(
            f"Key 'client_secret' of extra {what}, and {profile.label} demands one.",
            "Enter the secret of the application's registration.",
        )
    return secret


def _client_auth_method(
    fields: Fields, profile: MailProviderProfile, secret: str | None
) -> ClientAuthMethod:
    if profile.engine != "rfc6749":
        fields.refuse(
            ["client_auth_method"], f"has no meaning for {profile.label}.", "Leave it empty."
        )
    method = fields.choice(
        "client_auth_method", ("post", "basic", "none"), later=("private_key_jwt",)
    )
    if secret is not None and method == "none":
        raise fields.error(
            "Key 'client_auth_method' of extra is 'none', but there is a client secret.",
            "Remove the secret, or choose post or basic.",
        )
    if secret is None and method in ("post", "basic"):
        raise fields.error(
            f"Key 'client_auth_method' of extra is '{method}', but there is no client secret.",
            "Enter the secret, or choose none.",
        )
    default = "none" if secret is None else "post"
    return cast("ClientAuthMethod", method or default)


def _tenant(fields: Fields, profile: MailProviderProfile) -> str | None:
    tenant_id = fields.text("tenant_id")
    if profile.default_tenant_id is None:
        fields.refuse(["tenant_id"], f"has no meaning for {profile.label}.", "Leave it empty.")
        return None
    if tenant_id is not None and not _TENANT.fullmatch(tenant_id):
        raise fields.error(
            "Key 'tenant_id' of extra is neither an id nor a domain.",
            "Enter the directory (tenant) ID of the application's registration.",
        )
    return tenant_id or profile.default_tenant_id


def _region(fields: Fields, profile: MailProviderProfile) -> str:
    if not profile.regions:
        fields.refuse(["region"], f"has no meaning for {profile.label}.", "Leave it empty.")
        return ""
    return fields.choice("region", profile.regions) or profile.regions[0]


def _endpoints(
    fields: Fields,
    profile: MailProviderProfile,
    tenant_id: str | None,
    region: str,
    allow_loopback_http: bool,
) -> Endpoints:
    if profile.token_url is not None:
        fields.refuse(
            ("issuer", "authorize_url", "exchange_url"),
            f"is not used for {profile.label}, whose endpoints are known.",
            "Leave it empty, or choose the mail provider custom.",
        )

    def known(url: str | None) -> str | None:
        if url is None:
            return None
        return url.replace("{tenant_id}", tenant_id or "").replace("{region}", region)

    def own(key: str, what: str) -> str | None:
        url = fields.text(key)
        if url is not None:
            checked_url(url, what=what, allow_loopback_http=allow_loopback_http)
        return url

    endpoints = Endpoints(
        issuer=own("issuer", "issuer (key 'issuer')") or known(profile.issuer),
        authorize_url=own("authorize_url", "authorization endpoint (key 'authorize_url')")
        or known(profile.authorize_url),
        token_url=own("exchange_url", "token endpoint (key 'exchange_url')")
        or known(profile.token_url),
        revoke_url=known(profile.revoke_url),
    )
    if endpoints.issuer is None and endpoints.token_url is None:
        raise fields.error(
            "Neither key 'issuer' nor key 'exchange_url' of extra is set.",
            "Enter the issuer, or the URL of the token endpoint, of the authorization server.",
        )
    return endpoints


def _ca_file(fields: Fields) -> str | None:
    path = fields.text("ca_file")
    if path is not None and not path.startswith("/"):
        raise fields.error(
            "Key 'ca_file' of extra is not an absolute path.",
            "Components of Airflow run in different folders: give an absolute path.",
        )
    return path


def _imap(
    connection: ConnectionLike, fields: Fields, profile: MailProviderProfile, login: str
) -> ImapSettings:
    host = fields.plain("The host", connection.host)
    if host is None and profile.imap_host is not None:
        host = profile.imap_host.replace("{region}", _region(fields, profile))
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
        ca_file=_ca_file(fields),
        connect_timeout_seconds=fields.seconds("connect_timeout_seconds", _DEFAULT_CONNECT_SECONDS),
        read_timeout_seconds=fields.seconds("read_timeout_seconds", _DEFAULT_MAIL_READ_SECONDS),
    )


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
