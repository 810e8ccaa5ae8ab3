# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
What Airflow reads about this package before it imports anything else of it, as data.

Every Airflow process loads this module, some of them while ``airflow`` itself is still being
imported: it must not import Airflow, nor anything heavy.
"""

from __future__ import annotations

from typing import Any

_MAILBOX = "1. Mailbox"
_SIGN_IN = "2. Sign-in"
_ENDPOINTS = "3. Endpoints and limits"


def _field(
    section: str,
    label: str,
    description: str,
    *,
    kind: str = "string",
    choices: dict[str, str] | None = None,
    secret: bool = False,
    minimum: int | None = None,
    maximum: int | None = None,
) -> dict[str, Any]:
    """
    Describe one form field.

    No field has a default and every field may be null: the form stores defaults untouched, a
    default under a name that Airflow masks would be stored as ``***``, and null means unset.
    """
    schema: dict[str, Any] = {"type": [kind, "null"], "section": section}
    if choices:
        schema["enum"] = list(choices)
        schema["values_display"] = choices
    if secret:
        schema["format"] = "password"
    if minimum is not None:
        schema["minimum"] = minimum
    if maximum is not None:
        schema["maximum"] = maximum
    return {"label": label, "description": description, "schema": schema}


def _mailbox_fields() -> dict[str, Any]:
    return {
        "mail_provider": _field(
            _MAILBOX,
            "Mail provider",
            "Who runs the mailbox. 'Custom' is any IMAP server behind an OAuth 2.0 server: it also "
            "needs Host and the fields of section 3.",
            choices={
                "microsoft": "Microsoft 365 and Outlook.com",
                "microsoft_us_gov": "Microsoft 365 US Government (GCC High)",
                "microsoft_us_dod": "Microsoft 365 US Government (DoD)",
                "microsoft_china": "Microsoft 365 operated by 21Vianet (China)",
                "google": "Google Workspace and Gmail",
                "yahoo": "Yahoo Mail",
                "aol": "AOL Mail",
                "fastmail": "Fastmail",
                "zoho": "Zoho Mail",
                "yandex": "Yandex Mail",
                "mailru": "Mail.ru",
                "comcast": "Comcast Xfinity",
                "custom": "Custom",
            },
        ),
        "mailbox": _field(
            _MAILBOX,
            "Mailbox to open",
            "Only where it is not the mailbox address above, for example a shared mailbox: "
            "invoices@example.com",
        ),
        "tls": _field(
            _MAILBOX,
            "Encryption",
            "Empty: TLS from the first byte (port 993). There is no way to turn encryption off.",
            choices={
                "implicit": "TLS from the first byte (port 993)",
                "starttls": "STARTTLS (port 143)",
            },
        ),
    }


def _sign_in_fields() -> dict[str, Any]:
    return {
        "grant": _field(
            _SIGN_IN,
            "How access is granted",
            "Empty: somebody signs in once, with 'airflow imap-oauth login', and consents.",
            choices={"user_consent": "A person signs in and consents"},
        ),
        "client_id": _field(
            _SIGN_IN,
            "Client ID",
            "The application's id, from its registration at the mail provider. Always needed.",
        ),
        "tenant_id": _field(
            _SIGN_IN,
            "Tenant ID",
            "Microsoft only: the directory's id or domain. Empty: any organisation, and personal "
            "accounts.",
        ),
        "region": _field(
            _SIGN_IN,
            "Region",
            "Zoho only: the data centre of the account, as its web address ends. Empty: zoho.com.",
            choices={
                "com": "zoho.com (United States)",
                "eu": "zoho.eu (Europe)",
                "in": "zoho.in (India)",
                "com.au": "zoho.com.au (Australia)",
                "jp": "zoho.jp (Japan)",
                "com.cn": "zoho.com.cn (China)",
            },
        ),
        "client_secret": _field(
            _SIGN_IN,
            "Client secret",
            "The secret's value (not its id). Google needs one; leave it empty where the "
            "application is registered as public.",
            secret=True,
        ),
    }


def _endpoint_fields() -> dict[str, Any]:
    seconds: dict[str, Any] = {"kind": "integer", "minimum": 1, "maximum": 600}
    return {
        "issuer": _field(
            _ENDPOINTS,
            "Issuer",
            "Custom only: its metadata tell the endpoints, which may then stay empty. "
            "https://login.example.com/realms/mail",
        ),
        "authorize_url": _field(
            _ENDPOINTS,
            "Authorization endpoint",
            "Custom without issuer: where the browser goes. https://login.example.com/authorize",
        ),
        "exchange_url": _field(
            _ENDPOINTS,
            "Token endpoint",
            "Custom without issuer: where tokens come from. https://login.example.com/token",
        ),
        "scopes": _field(
            _ENDPOINTS,
            "Scopes",
            "Separated by blanks. Empty: what the mail provider needs for IMAP; with Custom, what "
            "its server grants by itself.",
        ),
        "client_auth_method": _field(
            _ENDPOINTS,
            "Client authentication",
            "Custom only: how the client secret is sent. Empty: in the request's body.",
            choices={
                "post": "In the body (client_secret_post)",
                "basic": "HTTP Basic (client_secret_basic)",
                "none": "Not at all (public client)",
            },
        ),
        "sasl_mechanism": _field(
            _ENDPOINTS,
            "SASL mechanism",
            "Empty: the best that mail provider and server support.",
            choices={"auto": "Automatic", "oauthbearer": "OAUTHBEARER", "xoauth2": "XOAUTH2"},
        ),
        "ca_file": _field(
            _ENDPOINTS,
            "CA file",
            "Path of a PEM file on every host, with certificates to trust besides the system's: "
            "/etc/ssl/company.pem",
        ),
        "connect_timeout_seconds": _field(
            _ENDPOINTS, "Connect timeout", "In seconds, for mail and tokens. Empty: 10.", **seconds
        ),
        "read_timeout_seconds": _field(
            _ENDPOINTS,
            "Read timeout",
            "In seconds without a byte. Empty: 60 for mail, 30 for tokens.",
            **seconds,
        ),
    }


def _connection_type() -> dict[str, Any]:
    return {
        "connection-type": "imap_oauth",
        "hook-class-name": "airflow_imap_oauth.hooks.imap_oauth.ImapOAuthHook",
        "hook-name": "IMAP (OAuth 2.0)",
        "conn-fields": {**_mailbox_fields(), **_sign_in_fields(), **_endpoint_fields()},
        "ui-field-behaviour": {
            "hidden-fields": ["schema"],
            "relabeling": {"login": "Mailbox address", "password": "Refresh token"},
            "placeholders": {
                "host": "empty: the mail provider's own",
                "login": "reports@example.com",
                "port": "993",
            },
        },
    }


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
            "every executor), ``file`` (a folder of one host), or the name of a store that another "
            "package adds by the entry point group ``airflow_imap_oauth.token_stores``.",
            example="file",
        ),
        "token_keys": _option(
            "string",
            "",
            "Keys that seal tokens and client secrets: comma-separated, each 32 random bytes as "
            "URL-safe base64. The first one seals, all of them open. Empty: keys derived from "
            "Airflow's Fernet keys. Every host needs the same.",
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
        "connection-types": [_connection_type()],
        "config": {
            "imap_oauth": {
                "description": "Options of airflow-imap-oauth.",
                "options": _options(),
            }
        },
        "cli": [f"{package}.cli.definition.get_cli_commands"],
    }
