# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What to change in a connection's extra so that its client signs in by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.servers.authorization.client_keys import ClientKey

if TYPE_CHECKING:
    from tests.servers.authorization_server import AuthorizationServer

TENANT = "contoso"
SERVICE_ACCOUNT = "etl@project.iam.gserviceaccount.com"


def with_secret(server: AuthorizationServer, login: str) -> dict[str, Any]:
    """Let a client of the generic server sign in with its secret."""
    server.add_client("own", client_secret="own-secret", login=login)
    return {"grant": "client_credentials", "client_id": "own", "client_secret": "own-secret"}


def with_key(server: AuthorizationServer, login: str) -> dict[str, Any]:
    """Let a client of the generic server sign in with its key."""
    key = ClientKey.create("Ed25519")
    server.add_client("own", assertion_key=key.public_key, login=login)
    return {
        "grant": "client_credentials",
        "client_id": "own",
        "client_secret": None,
        "client_auth_method": "private_key_jwt",
        "certificate_private_key": key.private_key,
        "key_id": "key-7",
    }


def with_certificate(server: AuthorizationServer, login: str) -> dict[str, Any]:
    """Let an application of the server that plays Microsoft sign in with its certificate."""
    key = ClientKey.create()
    server.add_client("own", assertion_key=key.certificate, login=login)
    return {
        "mail_provider": "test_microsoft",
        "grant": "client_credentials",
        "tenant_id": TENANT,
        "client_id": "own",
        "client_secret": None,
        "certificate_private_key": key.private_key,
        "certificate_chain": key.certificate,
        "issuer": None,
        "scopes": None,
    }


def with_service_account(server: AuthorizationServer, login: str) -> dict[str, Any]:
    """Let a service account of the server that plays Google act for the mailbox."""
    key = server.new_service_account(SERVICE_ACCOUNT, subjects=[login])
    return {
        "mail_provider": "test_google",
        "grant": "service_account",
        "client_id": None,
        "client_secret": None,
        "service_account_key": key,
        "issuer": None,
        "scopes": None,
    }


GRANTS = [with_secret, with_key, with_certificate, with_service_account]
