# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The connection form, as data.

It is read together with the metadata of this Airflow provider, so it must not import anything heavy
either.
"""

from __future__ import annotations

from typing import Any

_MAILBOX = "1. Mailbox"
_SIGN_IN = "2. Sign-in"
_KEYS = "3. Keys"
_ENDPOINTS = "4. Endpoints and limits"


def _field(
    section: str,
    label: str,
    description: str,
    *,
    kind: str = "string",
    choices: dict[str, str] | None = None,
    secret: bool = False,
    lines: bool = False,
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
    if lines:
        schema["format"] = "multiline"
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
            "needs Host and the fields of section 4.",
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
            "Empty: somebody signs in once, with 'airflow imap-oauth login', and consents. The "
            "others need nobody: Microsoft and Custom know the second, Google the third.",
            choices={
                "user_consent": "A person signs in and consents",
                "client_credentials": "The application signs in by itself",
                "service_account": "A service account acts for the mailbox",
            },
        ),
        "client_id": _field(
            _SIGN_IN,
            "Client ID",
            "The application's id, from its registration at the mail provider. Needed, but for a "
            "service account.",
        ),
        "tenant_id": _field(
            _SIGN_IN,
            "Tenant ID",
            "Microsoft only: the directory's id or domain. Empty: any organisation, and personal "
            "accounts; an application that signs in by itself needs it.",
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
        "credential_expires_on": _field(
            _SIGN_IN,
            "Credential ends on",
            "The day on which client secret, certificate or key end, for a warning from 30 days "
            "before: 2027-01-31",
        ),
        "fallback_conn_id": _field(
            _SIGN_IN,
            "Fallback connection",
            "Id of another connection to the same mailbox, of this type or of Airflow's type imap, "
            "to try when this one cannot authenticate.",
        ),
    }


def _key_fields() -> dict[str, Any]:
    return {
        "certificate_private_key": _field(
            _KEYS,
            "Private key",
            "Instead of a client secret, Microsoft and Custom: PEM, without a password. The text "
            "is visible until it is saved.",
            lines=True,
        ),
        "certificate_chain": _field(
            _KEYS,
            "Certificate",
            "Microsoft only: the certificate that belongs to the private key and was uploaded to "
            "the registration, in PEM.",
            lines=True,
        ),
        "key_id": _field(
            _KEYS,
            "Key ID",
            "Custom only: which of the registered keys (kid) the private key is, where the server "
            "asks for it.",
        ),
        "service_account_key": _field(
            _KEYS,
            "Service account key",
            "Google's service account only: the whole JSON file of the key. The text is visible "
            "until it is saved.",
            lines=True,
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
        "device_url": _field(
            _ENDPOINTS,
            "Device authorization endpoint",
            "Custom without issuer: for signing in by a code. https://login.example.com/device",
        ),
        "revoke_url": _field(
            _ENDPOINTS,
            "Revocation endpoint",
            "Custom without issuer: where tokens are taken back. https://login.example.com/revoke",
        ),
        "jwks_url": _field(
            _ENDPOINTS,
            "Keys of the server (JWKS)",
            "Custom without issuer: to verify who signed in. https://login.example.com/jwks",
        ),
        "authorize_params": _field(
            _ENDPOINTS,
            "Parameters of the sign-in",
            'Added to the address that the browser opens, as JSON: {"prompt": "consent"}',
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
            "Custom only: how the client proves who it is. Empty: by a private key where there is "
            "one, else by the secret in the request's body.",
            choices={
                "post": "In the body (client_secret_post)",
                "basic": "HTTP Basic (client_secret_basic)",
                "private_key_jwt": "Signed with the private key (private_key_jwt)",
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
        "proxy_url": _field(
            _ENDPOINTS,
            "Proxy",
            "For mail and tokens: http://user:password@proxy.example.com:3128, or socks5h://…",
            secret=True,
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


def connection_type() -> dict[str, Any]:
    """Return the metadata of the connection type, as Airflow's form wants them."""
    return {
        "connection-type": "imap_oauth",
        "hook-class-name": "airflow_imap_oauth.hooks.imap_oauth.ImapOAuthHook",
        "hook-name": "IMAP (OAuth 2.0)",
        "conn-fields": {
            **_mailbox_fields(),
            **_sign_in_fields(),
            **_key_fields(),
            **_endpoint_fields(),
        },
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
