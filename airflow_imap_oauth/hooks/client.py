# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The OAuth client of a connection: which grant, which credentials, which endpoints."""

from __future__ import annotations

import re
from typing import cast

from airflow_imap_oauth.hooks.credentials import read_client_key, read_service_account_key
from airflow_imap_oauth.hooks.fields import Fields
from airflow_imap_oauth.hooks.masking import mask
from airflow_imap_oauth.oauth.profiles import ClientAuthMethod, Grant, MailProviderProfile
from airflow_imap_oauth.oauth.proxies import checked_proxy_url
from airflow_imap_oauth.oauth.settings import (
    OWN_PARAMETERS,
    ClientKey,
    Endpoints,
    OAuthSettings,
    TransportSettings,
)
from airflow_imap_oauth.oauth.urls import checked_url

DEFAULT_CONNECT_SECONDS = 10.0
_DEFAULT_READ_SECONDS = 30.0

_GRANTS: dict[Grant, str] = {
    "user_consent": "a person signs in once and consents",
    "client_credentials": "the application signs in by itself",
    "service_account": "a service account acts for the mailbox's account",
}
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")


def read_client(
    conn_id: str,
    fields: Fields,
    profile: MailProviderProfile,
    login: str,
    allow_loopback_http: bool,
) -> OAuthSettings:
    """
    Read what concerns OAuth out of a connection.

    :raises ConfigurationError: Naming the key and what to do. A retry cannot help.
    """
    grant = _grant(fields, profile)
    client_secret, client_key = _credentials(fields, profile, grant)
    tenant_id, region = _tenant(fields, profile, grant), read_region(fields, profile)
    own_access = grant == "client_credentials"
    return OAuthSettings(
        conn_id=conn_id,
        profile=profile,
        grant=grant,
        client_id=_client_id(fields, grant),
        client_secret=client_secret,
        client_key=client_key,
        service_account_key=read_service_account_key(fields, grant),
        client_auth_method=_client_auth_method(fields, profile, client_secret, client_key),
        tenant_id=tenant_id,
        endpoints=_endpoints(fields, profile, tenant_id, region, allow_loopback_http),
        scopes=fields.scopes("scopes") or (profile.app_scopes if own_access else profile.scopes),
        extra_scopes=profile.extra_scopes if grant == "user_consent" else (),
        login=login,
        authorize_params=_authorize_params(fields, grant),
        credential_expires_on=fields.day("credential_expires_on"),
        transport=TransportSettings(
            ca_file=read_ca_file(fields),
            proxy_url=read_proxy_url(fields),
            connect_timeout_seconds=fields.seconds(
                "connect_timeout_seconds", DEFAULT_CONNECT_SECONDS
            ),
            read_timeout_seconds=fields.seconds("read_timeout_seconds", _DEFAULT_READ_SECONDS),
            allow_loopback_http=allow_loopback_http,
        ),
    )


def read_region(fields: Fields, profile: MailProviderProfile) -> str:
    """Return the region, by default the profile's first; empty where there are none."""
    if not profile.regions:
        fields.refuse(["region"], f"has no meaning for {profile.label}.", "Leave it empty.")
        return ""
    return fields.choice("region", profile.regions) or profile.regions[0]


def read_ca_file(fields: Fields) -> str | None:
    """Return the path of a PEM file, or None."""
    path = fields.text("ca_file")
    if path is not None and not path.startswith("/"):
        raise fields.error(
            "Key 'ca_file' of extra is not an absolute path.",
            "Components of Airflow run in different folders: give an absolute path.",
        )
    return path


def read_proxy_url(fields: Fields) -> str | None:
    """Return the URL of a proxy, masked because it may hold a password, or None."""
    url = fields.secret("proxy_url")
    mask(url)
    if url is None:
        # Without it, all would go past the proxy.
        fields.refuse_mask("proxy_url")
    else:
        checked_proxy_url(url)
    return url


def _grant(fields: Fields, profile: MailProviderProfile) -> Grant:
    grant = cast("Grant", fields.choice("grant", _GRANTS) or "user_consent")
    if grant not in profile.grants:
        instead = "; or ".join(f"{name} ({_GRANTS[name]})" for name in profile.grants)
        raise fields.error(
            f"{profile.label} does not know the grant '{grant}' for mail.",
            f"Set key 'grant' to {instead}.",
        )
    return grant


def _client_id(fields: Fields, grant: Grant) -> str:
    if grant == "service_account":
        fields.refuse(
            ["client_id"], "is not used: the service account's key names it.", "Leave it empty."
        )
        return ""
    client_id = fields.text("client_id")
    if client_id is None:
        raise fields.error(
            "Key 'client_id' of extra is not set.",
            "Enter the id that the mail provider gave the application when it was registered.",
        )
    return client_id


def _credentials(
    fields: Fields, profile: MailProviderProfile, grant: Grant
) -> tuple[str | None, ClientKey | None]:
    """Read what the client authenticates with: a secret, a key, or nothing; never both."""
    secret, key = fields.secret("client_secret"), read_client_key(fields, profile, grant)
    mask(secret)
    if secret is None and key is None and grant == "user_consent":
        # Without its secret, the client would silently be a public one.
        fields.refuse_mask("client_secret")
    if secret is not None and (key is not None or grant == "service_account"):
        raise fields.error(
            "Key 'client_secret' of extra is set, and so is a key that takes its place.",
            "Leave one of them empty.",
        )
    needs_secret = profile.client_secret_required or grant == "client_credentials"
    if secret is None and key is None and needs_secret:
        what = "holds only Airflow's mask" if fields.is_mask("client_secret") else "is not set"
        certificate = (
            ", or a certificate with its private key"
            if "private_key_jwt" in profile.client_auth_methods
            else ""
        )
        raise fields.error(
            f"Key 'client_secret' of extra {what}, and {profile.label} demands one.",
            f"Enter the secret of the application's registration{certificate}.",
        )
    return secret, key


def _client_auth_method(
    fields: Fields, profile: MailProviderProfile, secret: str | None, key: ClientKey | None
) -> ClientAuthMethod:
    if profile.engine != "rfc6749":
        fields.refuse(
            ["client_auth_method"], f"has no meaning for {profile.label}.", "Leave it empty."
        )
    chosen = fields.choice("client_auth_method", profile.client_auth_methods)
    method = cast("ClientAuthMethod | None", chosen)
    if secret is not None and method in ("none", "private_key_jwt"):
        raise fields.error(
            f"Key 'client_auth_method' of extra is '{method}', but there is a client secret.",
            "Remove the secret, or choose post or basic.",
        )
    if secret is None and method in ("post", "basic"):
        raise fields.error(
            f"Key 'client_auth_method' of extra is '{method}', but there is no client secret.",
            "Enter the secret, or choose none.",
        )
    if (key is None) is (method == "private_key_jwt"):
        if key is not None and method is None:
            return "private_key_jwt"
        if method is not None:
            raise fields.error(
                f"Key 'client_auth_method' of extra is '{method}', and key"
                f" 'certificate_private_key' {'is not set' if key is None else 'is set'}.",
                "Use private_key_jwt together with a private key.",
            )
    return method or ("none" if secret is None else "post")


def _tenant(fields: Fields, profile: MailProviderProfile, grant: Grant) -> str | None:
    tenant_id = fields.text("tenant_id")
    if profile.default_tenant_id is None:
        fields.refuse(["tenant_id"], f"has no meaning for {profile.label}.", "Leave it empty.")
        return None
    if tenant_id is not None and not _TENANT.fullmatch(tenant_id):
        raise fields.error(
            "Key 'tenant_id' of extra is neither an id nor a domain.",
            "Enter the directory (tenant) ID of the application's registration.",
        )
    shared = (None, "common", "organizations", "consumers")
    if grant == "client_credentials" and (tenant_id and tenant_id.lower()) in shared:
        raise fields.error(
            "Key 'tenant_id' of extra names no single organisation, which an application that signs"
            " in by itself needs.",
            "Enter the directory (tenant) ID of the application's registration.",
        )
    return tenant_id or profile.default_tenant_id


def _authorize_params(fields: Fields, grant: Grant) -> dict[str, str]:
    params = fields.texts("authorize_params")
    if params and grant != "user_consent":
        raise fields.error(
            f"Key 'authorize_params' of extra is not used: with grant '{grant}' nobody is asked.",
            "Leave it empty.",
        )
    own = sorted(name for name in params if name.lower() in OWN_PARAMETERS)
    if own:
        raise fields.error(
            f"Key 'authorize_params' of extra may not set {', '.join(own)}.",
            "These are set for each sign-in; scopes have a key of their own.",
        )
    return params


def _endpoints(
    fields: Fields,
    profile: MailProviderProfile,
    tenant_id: str | None,
    region: str,
    allow_loopback_http: bool,
) -> Endpoints:
    if profile.token_url is not None:
        fields.refuse(
            ("issuer", "authorize_url", "exchange_url", "device_url", "revoke_url", "jwks_url"),
            f"is not used for {profile.label}, whose endpoints are known.",
            "Leave it empty, or choose the mail provider custom.",
        )

    def url(key: str, what: str, known: str | None) -> str | None:
        own = fields.text(key)
        if own is not None:
            checked_url(own, what=f"{what} (key '{key}')", allow_loopback_http=allow_loopback_http)
            return own
        if known is None:
            return None
        return known.replace("{tenant_id}", tenant_id or "").replace("{region}", region)

    endpoints = Endpoints(
        issuer=url("issuer", "issuer", profile.issuer),
        authorize_url=url("authorize_url", "authorization endpoint", profile.authorize_url),
        token_url=url("exchange_url", "token endpoint", profile.token_url),
        device_url=url("device_url", "device authorization endpoint", profile.device_url),
        revoke_url=url("revoke_url", "revocation endpoint", profile.revoke_url),
        jwks_url=url("jwks_url", "keys of the server", profile.jwks_url),
    )
    if endpoints.issuer is None and endpoints.token_url is None:
        raise fields.error(
            "Neither key 'issuer' nor key 'exchange_url' of extra is set.",
            "Enter the issuer, or the URL of the token endpoint, of the authorization server.",
        )
    return endpoints
