# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""From a connection to settings: what is understood, what is refused, and how it is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.models.connection import Connection as CoreConnection
from airflow.sdk import Connection

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.get_provider_info import get_provider_info
from airflow_imap_oauth.hooks.connection import ConnectionSettings, parse
from airflow_imap_oauth.hooks.fields import RESERVED, SUPPORTED

CUSTOM = {
    "mail_provider": "custom",
    "client_id": "client-1",
    "exchange_url": "https://login.example.com/token",
}
SECRET = "s3cret-value-of-a-client"


def connection(*, extra: dict[str, Any] | str | None = None, **fields: Any) -> Connection:
    values = {
        "conn_type": "imap_oauth",
        "host": "imap.example.com",
        "login": "reports@example.com",
        "extra": extra if isinstance(extra, str) else json.dumps({**CUSTOM, **(extra or {})}),
        **fields,
    }
    return Connection(conn_id="mail", **values)


def parsed(*, extra: dict[str, Any] | None = None, **fields: Any) -> ConnectionSettings:
    return parse(connection(extra=extra, **fields))


def without(*keys: str, **extra: Any) -> dict[str, Any]:
    return {**dict.fromkeys(keys), **extra}


def test_custom_connection_keeps_what_it_says() -> None:
    """A custom connection's endpoints, scopes, client and mailbox arrive as they were entered."""
    settings = parsed(
        port=1993,
        password="refresh-token-1",
        extra={
            "issuer": "https://login.example.com/realm",
            "authorize_url": "https://login.example.com/authorize",
            "client_secret": SECRET,
            "client_auth_method": "basic",
            "scopes": "imap  offline_access",
            "mailbox": "invoices@example.com",
            "sasl_mechanism": "xoauth2",
            "ca_file": "/etc/ssl/company.pem",
            "connect_timeout_seconds": 3,
            "read_timeout_seconds": 7.5,
        },
    )
    oauth, imap = settings.oauth, settings.imap
    assert settings.seed == "refresh-token-1"
    assert (oauth.client_id, oauth.client_secret, oauth.client_auth_method) == (
        "client-1",
        SECRET,
        "basic",
    )
    assert oauth.endpoints.issuer == "https://login.example.com/realm"
    assert oauth.endpoints.authorize_url == "https://login.example.com/authorize"
    assert oauth.endpoints.token_url == "https://login.example.com/token"
    assert oauth.scopes == ("imap", "offline_access")
    assert oauth.login == "reports@example.com"
    assert (imap.host, imap.port, imap.user) == ("imap.example.com", 1993, "invoices@example.com")
    assert imap.sasl_mechanism == "xoauth2"
    assert imap.ca_file == oauth.transport.ca_file == "/etc/ssl/company.pem"
    assert imap.connect_timeout_seconds == oauth.transport.connect_timeout_seconds == 3.0
    assert imap.read_timeout_seconds == oauth.transport.read_timeout_seconds == 7.5


def test_defaults_of_a_custom_connection() -> None:
    """What is left empty takes the documented default."""
    settings = parsed()
    assert settings.seed is None
    assert settings.oauth.client_auth_method == "none"
    assert settings.oauth.scopes == ()
    assert (settings.imap.port, settings.imap.tls) == (993, "implicit")
    assert settings.imap.user == "reports@example.com"
    assert settings.imap.sasl_mechanism is None
    assert settings.imap.read_timeout_seconds == 60.0
    assert settings.oauth.transport.read_timeout_seconds == 30.0
    assert settings.oauth.transport.allow_loopback_http is False


def test_microsoft_needs_only_address_and_client() -> None:
    """Host, endpoints and scopes of a known mail provider come from its profile."""
    settings = parsed(
        host=None, extra=without("exchange_url", mail_provider="microsoft", tenant_id="acme.test")
    )
    assert settings.imap.host == "outlook.office365.com"
    assert (
        settings.oauth.endpoints.token_url
        == "https://login.microsoftonline.com/acme.test/oauth2/v2.0/token"
    )
    assert settings.oauth.scopes == ("https://outlook.office.com/IMAP.AccessAsUser.All",)
    assert settings.oauth.tenant_id == "acme.test"


def test_microsoft_without_tenant_takes_the_default() -> None:
    """An empty tenant id becomes the profile's, in the endpoints too."""
    settings = parsed(extra=without("exchange_url", mail_provider="microsoft"))
    assert settings.oauth.tenant_id == "common"
    assert "/common/" in (settings.oauth.endpoints.token_url or "")


def test_region_chooses_the_data_centre() -> None:
    """An account of Zoho lives in one region: host and endpoints are that region's."""
    extra = without("exchange_url", mail_provider="zoho", region="eu", client_secret="s")
    settings = parsed(host=None, extra=extra)
    assert settings.imap.host == "imap.zoho.eu"
    assert settings.oauth.endpoints.token_url == "https://accounts.zoho.eu/oauth/v2/token"
    assert settings.oauth.endpoints.authorize_url == "https://accounts.zoho.eu/oauth/v2/auth"


def test_region_means_nothing_elsewhere() -> None:
    """Where a mail provider has one region, naming one is a mistake that is told."""
    with pytest.raises(ConfigurationError, match=r"'region'.*no meaning"):
        parsed(extra={"region": "eu"})


def test_starttls_has_its_own_default_port() -> None:
    """STARTTLS without a port means 143."""
    assert parsed(extra={"tls": "starttls"}).imap.port == 143


def test_port_zero_means_unset() -> None:
    """The form sends 0 for an empty port."""
    assert parsed(port=0).imap.port == 993


@pytest.mark.parametrize("unset", [None, "", "   "])
def test_null_and_blank_mean_unset(unset: str | None) -> None:
    """The form stores null, or an empty text, for every field that was not filled in."""
    everything = dict.fromkeys((*SUPPORTED, *RESERVED), unset)
    settings = parsed(
        extra={**everything, **CUSTOM}
        if unset is None
        else {**dict.fromkeys(SUPPORTED, unset), **CUSTOM},
        password=unset,
        schema=unset,
    )
    assert settings == parsed()


def test_password_wins_over_refresh_token_in_extra() -> None:
    """Where both hold a refresh token, the password is newer."""
    settings = parsed(password="from-password", extra={"refresh_token": "from-extra"})
    assert settings.seed == "from-password"


def test_refresh_token_in_extra_is_the_seed_without_password() -> None:
    """Connections written as JSON may carry the refresh token in extra."""
    assert parsed(extra={"refresh_token": "from-extra"}).seed == "from-extra"


def test_sealed_secrets_are_passed_on_sealed() -> None:
    """Parsing does not open what is sealed."""
    sealed = "sealed:v1:0123456789ab:AAAA"
    settings = parsed(password=sealed, extra={"client_secret": sealed})
    assert settings.seed == settings.oauth.client_secret == sealed


def test_blanks_around_pasted_values_are_dropped() -> None:
    """A value that was pasted with a line break at its end works."""
    settings = parsed(password=" token-1\n", extra={"client_secret": f"{SECRET}\n"})
    assert settings.seed == "token-1"
    assert settings.oauth.client_secret == SECRET


def test_uri_form_gives_the_same_settings() -> None:
    """A connection as URI, where numbers arrive as numbers, is understood as well."""
    uri = (
        "imap-oauth://reports%40example.com:token-1@imap.example.com:993/?mail_provider=custom"
        "&client_id=12345&exchange_url=https%3A%2F%2Flogin.example.com%2Ftoken"
        "&read_timeout_seconds=5"
    )
    settings = parse(CoreConnection(conn_id="mail", uri=uri))
    assert settings.oauth.client_id == "12345"
    assert settings.seed == "token-1"
    assert settings.imap.read_timeout_seconds == 5.0


@pytest.fixture
def strict_mail_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Install a package that adds a mail provider which demands a client secret."""
    (tmp_path / "strict_mail.py").write_text(
        "from airflow_imap_oauth.oauth.profiles import MailProviderProfile\n"
        "profile = MailProviderProfile(name='strict', label='Strict Mail', engine='rfc6749',\n"
        "    scopes=('imap',), imap_host='imap.strict.test', client_secret_required=True,\n"
        "    sasl_mechanism='xoauth2', token_url='https://login.strict.test/token')\n"
    )
    metadata = tmp_path / "strict_mail-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: strict-mail\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        "[airflow_imap_oauth.mail_providers]\nstrict = strict_mail:profile\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "strict"


def test_profile_of_another_package_is_found(strict_mail_provider: str) -> None:
    """Mail providers that an entry point adds can be named in a connection."""
    extra = without("exchange_url", mail_provider=strict_mail_provider, client_secret=SECRET)
    settings = parsed(host=None, extra=extra)
    assert settings.imap.host == "imap.strict.test"
    assert settings.imap.sasl_mechanism == "xoauth2"
    assert settings.oauth.client_auth_method == "post"


@pytest.mark.parametrize(("stored", "why"), [(None, "is not set"), ("***", "Airflow's mask")])
def test_missing_client_secret_is_told_where_it_is_demanded(
    strict_mail_provider: str, stored: str | None, why: str
) -> None:
    """A mail provider that demands a client secret is not asked without one."""
    extra = without("exchange_url", mail_provider=strict_mail_provider, client_secret=stored)
    with pytest.raises(ConfigurationError, match=why) as caught:
        parse(connection(extra=extra))
    assert "'client_secret'" in caught.value.message


def test_loopback_http_is_accepted_only_where_allowed() -> None:
    """Plain http to this machine needs the option for tests."""
    extra = {"exchange_url": "http://127.0.0.1:8080/token"}
    settings = parse(connection(extra=extra), allow_loopback_http=True)
    assert settings.oauth.transport.allow_loopback_http is True
    with pytest.raises(ConfigurationError, match="not https"):
        parse(connection(extra=extra))


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"conn_type": "imap"}, {}, "connection type is 'imap'"),
    ({"conn_type": None}, {}, "connection type"),
    ({"login": None}, {}, "mailbox address"),
    ({"login": "a\r\nb"}, {}, "control character"),
    ({"login": "***"}, {}, "masks a value"),
    ({"host": None}, {}, "host is not set"),
    ({"host": "https://imap.example.com"}, {}, "not a host name"),
    ({"host": "imap.example.com:993"}, {}, "not a host name"),
    ({"host": "imap..example.com"}, {}, "not a host name"),
    ({"host": f"{'a' * 64}.example.com"}, {}, "not a host name"),
    ({"login": "ada\ud800@example.com"}, {}, "half a character"),
    ({"password": "token\udfff"}, {}, "half a character"),
    ({"host": "imap.example.com/INBOX"}, {}, "not a host name"),
    ({"schema": "INBOX"}, {}, "schema"),
    ({"port": 70000}, {}, "port"),
    ({"port": -1}, {}, "port"),
    ({"password": "a\nb"}, {}, "password"),
    ({}, without("mail_provider"), "'mail_provider'"),
    ({}, {"mail_provider": "hotmail"}, "mail provider is unknown"),
    ({}, {"mail_provider": "***"}, "masks a value"),
    ({}, without("client_id"), "'client_id'"),
    ({}, {"client_id": ["x"]}, "not a text"),
    ({}, {"client_id": True}, "not a text"),
    ({}, {"client_id": "a\tb"}, "control character"),
    ({}, without("exchange_url"), "'issuer'"),
    ({}, {"exchange_url": "http://login.example.com/token"}, "exchange_url"),
    ({}, {"exchange_url": "login.example.com"}, "exchange_url"),
    ({}, {"exchange_url": "https://user:pw@login.example.com/t"}, "exchange_url"),
    ({}, {"exchange_url": "***"}, "masks a value"),
    ({}, {"authorize_url": "ftp://x/"}, "authorize_url"),
    ({}, {"issuer": "javascript:alert(1)"}, "issuer"),
    ({}, {"tenant_id": "acme.test"}, "'tenant_id'"),
    ({}, {"mail_provider": "microsoft"}, "'exchange_url'"),
    ({}, without("exchange_url", mail_provider="microsoft", tenant_id="a/b"), "'tenant_id'"),
    (
        {},
        without("exchange_url", mail_provider="google", client_auth_method="basic"),
        "'client_auth_method'",
    ),
    (
        {},
        without("exchange_url", mail_provider="google", grant="client_credentials"),
        "user_consent .*or service_account",
    ),
    ({}, {"grant": "service_account"}, "user_consent .*or client_credentials"),
    ({}, {"grant": "client_credentials"}, "'client_secret'"),
    ({}, {"grant": "password"}, "not known"),
    ({}, {"tls": "none"}, "'tls'"),
    ({}, {"sasl_mechanism": "plain"}, "'sasl_mechanism'"),
    (
        {},
        {"client_auth_method": "private_key_jwt", "client_secret": SECRET},
        "there is a client secret",
    ),
    (
        {},
        {"client_auth_method": "private_key_jwt"},
        "'certificate_private_key' is not set",
    ),
    ({}, {"client_auth_method": "post"}, "no client secret"),
    ({}, {"client_auth_method": "none", "client_secret": SECRET}, "there is a client secret"),
    ({}, {"ca_file": "company.pem"}, "absolute path"),
    ({}, {"scopes": 'imap "quoted"'}, "'scopes'"),
    ({}, {"read_timeout_seconds": 0}, "'read_timeout_seconds'"),
    ({}, {"read_timeout_seconds": "soon"}, "'read_timeout_seconds'"),
    ({}, {"read_timeout_seconds": "nan"}, "'read_timeout_seconds'"),
    ({}, {"connect_timeout_seconds": 10**9}, "'connect_timeout_seconds'"),
    ({}, {"connect_timeout_seconds": True}, "'connect_timeout_seconds'"),
    ({}, {"clientid": "x"}, "'client_id'"),
    ({}, {"use_ssl": False}, "'use_ssl'"),
    ({}, {"use_ssl": None}, "'use_ssl'"),
    ({}, {"max_connections": "3"}, "not supported in this version"),
    ({}, {"fallback_conn_id": "mail"}, "this very connection"),
    ({}, {"certificate_private_key": "-----BEGIN"}, "PEM"),
    ({}, {"key_id": "k1"}, "'certificate_private_key' is not"),
    ({}, {"service_account_key": "{}"}, "not used with grant"),
    ({}, {"credential_expires_on": "31.1.2027"}, "not a date"),
    ({}, {"authorize_params": "prompt=consent"}, "JSON object"),
    ({}, {"authorize_params": '{"prompt": 1}'}, "JSON object"),
    ({}, {"authorize_params": '{"state": "x"}'}, "may not set state"),
    ({}, {"proxy_url": "ftp://proxy.test"}, "proxy_url"),
    ({}, {"device_url": "http://device.test"}, "device_url"),
    ({"extra": "{"}, {}, "not a JSON object"),
    ({"extra": "[1]"}, {}, "not a JSON object"),
    ({"extra": '{"client_id":' + "[" * 100_000}, {}, "not a JSON object"),
]


@pytest.mark.parametrize(("fields", "extra", "message"), REFUSED)
def test_wrong_connections_are_refused(
    fields: dict[str, Any], extra: dict[str, Any], message: str
) -> None:
    """Whatever is wrong is refused with a message that names connection and field, and a hint."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        parse(connection(**{"extra": extra, **fields}))
    assert caught.value.conn_id == "mail"
    assert caught.value.hint


@pytest.mark.parametrize("key", ["client_secret", "refresh_token"])
def test_errors_never_quote_secrets(key: str) -> None:
    """A malformed secret is reported without its value, and so is one elsewhere in extra."""
    with pytest.raises(ConfigurationError) as caught:
        parse(connection(extra={key: f"{SECRET}\nmore"}))
    assert SECRET not in str(caught.value)
    assert key in str(caught.value)
    with pytest.raises(ConfigurationError) as caught:
        parse(connection(extra={key: SECRET, "tls": "wrong"}))
    assert SECRET not in str(caught.value)


def test_settings_never_show_secrets() -> None:
    """The repr of settings holds neither client secret nor refresh token."""
    settings = parsed(password="seed-of-the-test", extra={"client_secret": SECRET})
    assert SECRET not in repr(settings)
    assert "seed-of-the-test" not in repr(settings)


def test_form_shows_what_is_supported() -> None:
    """Every supported key has a form field, but for the refresh token, which is the password."""
    fields = get_provider_info()["connection-types"][0]["conn-fields"]
    assert set(fields) == set(SUPPORTED) - {"refresh_token"}
