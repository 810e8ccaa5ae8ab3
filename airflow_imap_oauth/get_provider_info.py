# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
What Airflow reads about this package before it imports anything else of it, as data.

Every Airflow process loads this module, some of them while ``airflow`` itself is still being
imported: it must not import Airflow, nor anything heavy.
"""

from __future__ import annotations

from typing import Any

from airflow_imap_oauth.connection_form import connection_type


def _option(
    kind: str,
    default: str,
    description: str,
    *,
    example: str | None = None,
    sensitive: bool = False,
) -> dict[str, Any]:
    option: dict[str, Any] = {
        "description": description,
        "type": kind,
        "version_added": "0.1.0",
        "example": example,
        "default": default,
    }
    if sensitive:
        option["sensitive"] = True
    return option


def _options() -> dict[str, Any]:
    return {
        "token_store": _option(
            "string",
            "variable",
            "Where renewed tokens are kept, sealed: ``variable`` (Airflow Variables; works with "
            "every executor), ``sql`` (a database of its own; the safest where several hosts renew "
            "and the mail provider punishes a refresh token that is spent twice), ``file`` (a "
            "folder of one host), or the name of a store that another package adds by the entry "
            "point group ``airflow_imap_oauth.token_stores``.",
            example="file",
        ),
        "token_keys": _option(
            "string",
            "",
            "Keys that seal tokens and client secrets: comma-separated, each 32 random bytes as "
            "URL-safe base64. The first one seals, all of them open, and so do keys derived from "
            "Airflow's Fernet keys; where this is empty, the first of those seals. Every host "
            "needs the same.",
            sensitive=True,
        ),
        "sql_alchemy_conn": _option(
            "string",
            "",
            "Database of the token store ``sql``, as a URL of SQLAlchemy: PostgreSQL, or SQLite "
            "for a single host. Not Airflow's own, which workers cannot reach. Two tables are made "
            "in it on first use.",
            example="postgresql+psycopg2://airflow_imap_oauth@db.example.com/tokens",
            sensitive=True,
        ),
        "file_folder": _option(
            "string",
            "",
            "Folder of the token store ``file``. Empty: ``imap_oauth/tokens`` in Airflow's home.",
            example="/var/lib/airflow/imap-oauth",
        ),
        "file_folder_shared": _option(
            "boolean",
            "False",
            "Set it to True where ``file_folder`` is one and the same folder on all hosts. "
            "Otherwise the store ``file`` refuses executors that use other hosts.",
        ),
        "lock_folder": _option(
            "string",
            "",
            "Folder of the lock files by which the processes of a host take turns at renewing; a "
            "local one, the same for all components on a host. Empty: one of the user's own in the "
            "system's temporary folder.",
            example="/run/airflow/imap-oauth",
        ),
        "renew_before_seconds": _option(
            "integer",
            "300",
            "How long before its end an access token is renewed.",
        ),
        "lease_delay_seconds": _option(
            "integer",
            "3",
            "With the token store ``variable``: how long a host's claim to renew must stand before "
            "it counts. Writing a Variable must take less than half of it; the same on all hosts. "
            "0: every component runs on one host, whose processes take turns by ``lock_folder``.",
        ),
        "allow_loopback_http": _option(
            "boolean",
            "False",
            "Accept plain http for the URLs of a connection whose host is this machine. For tests "
            "only.",
        ),
    }


def get_provider_info() -> dict[str, Any]:
    """Return the metadata that Airflow's providers manager asks for."""
    integration = "IMAP (OAuth 2.0)"
    package = "airflow_imap_oauth"
    return {
        "package-name": "airflow-imap-oauth",
        "name": integration,
        "description": "Mailboxes that demand OAuth 2.0, as a data source: "
        "`IMAP <https://www.rfc-editor.org/rfc/rfc9051>`__ with XOAUTH2 and OAUTHBEARER.",
        "integrations": [
            {
                "integration-name": integration,
                "external-doc-url": "https://www.rfc-editor.org/rfc/rfc7628",
                "tags": ["protocol"],
            }
        ],
        "hooks": [
            {"integration-name": integration, "python-modules": [f"{package}.hooks.imap_oauth"]}
        ],
        "operators": [
            {"integration-name": integration, "python-modules": [f"{package}.operators.imap_oauth"]}
        ],
        "sensors": [
            {"integration-name": integration, "python-modules": [f"{package}.sensors.imap_oauth"]}
        ],
        "connection-types": [connection_type()],
        "config": {
            "imap_oauth": {
                "description": "Options of airflow-imap-oauth.",
                "options": _options(),
            }
        },
        "cli": [f"{package}.cli.definition.get_cli_commands"],
    }
