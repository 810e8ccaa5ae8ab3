# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Every key of a connection that concerns OAuth is obeyed."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.hooks.connection import parse
from airflow_imap_oauth.hooks.credentials import mended_pem
from airflow_imap_oauth.hooks.imap_oauth import ImapOAuthHook
from airflow_imap_oauth.oauth import authorization_code
from tests.hooks.test_connection import connection, parsed, without
from tests.servers.authorization.client_keys import ClientKey
from tests.servers.http_proxy import ForwardProxy

if TYPE_CHECKING:
    from tests.hooks.mailboxes import Mailbox
    from tests.servers.http_proxy import ProxyKind


def test_explicit_endpoints_arrive() -> None:
    """Each URL of a custom server is the one that was entered."""
    urls = {
        "authorize_url": "https://login.example.com/authorize",
        "exchange_url": "https://login.example.com/token",
        "device_url": "https://login.example.com/device",
        "revoke_url": "https://login.example.com/revoke",
        "jwks_url": "https://login.example.com/jwks",
    }
    endpoints = parsed(extra=urls).oauth.endpoints
    assert endpoints.authorize_url == urls["authorize_url"]
    assert endpoints.token_url == urls["exchange_url"]
    assert endpoints.device_url == urls["device_url"]
    assert endpoints.revoke_url == urls["revoke_url"]
    assert endpoints.jwks_url == urls["jwks_url"]


@pytest.mark.parametrize("written", ['{"prompt": "consent", "hd": "example.com"}', None])
def test_authorize_params_go_into_the_address(written: str | None) -> None:
    """What is entered, as text or as JSON, is in the address that the browser opens."""
    params = {"prompt": "consent", "hd": "example.com"}
    settings = parsed(
        extra={
            "authorize_url": "https://login.example.com/authorize",
            "authorize_params": written or params,
        }
    )
    pending = authorization_code.start(settings.oauth, "http://127.0.0.1:8123")
    query = parse_qs(urlsplit(pending.url).query)
    assert query["prompt"] == ["consent"]
    assert query["hd"] == ["example.com"]
    assert query["code_challenge_method"] == ["S256"]


def test_authorize_params_win_over_the_profile() -> None:
    """A person who knows better than the profile is heard."""
    extra = without(
        "exchange_url", mail_provider="google", authorize_params={"prompt": "select_account"}
    )
    settings = parsed(extra=extra)
    pending = authorization_code.start(settings.oauth, "http://127.0.0.1:8123")
    query = parse_qs(urlsplit(pending.url).query)
    assert query["prompt"] == ["select_account"]
    assert query["access_type"] == ["offline"]


def test_date_of_the_credential_arrives() -> None:
    """The day on which the credential ends is a date."""
    settings = parsed(extra={"credential_expires_on": "2027-01-31"})
    assert settings.oauth.credential_expires_on == date(2027, 1, 31)


def test_microsoft_application_arrives() -> None:
    """Tenant, certificate and key of an application, and the scope that stands for its own."""
    key = ClientKey.create()
    extra = without(
        "exchange_url",
        mail_provider="microsoft",
        tenant_id="contoso.example",
        grant="client_credentials",
        certificate_private_key=key.private_key,
        certificate_chain=key.certificate,
    )
    oauth = parsed(extra=extra).oauth
    assert oauth.grant == "client_credentials"
    assert oauth.scopes == ("https://outlook.office365.com/.default",)
    assert oauth.extra_scopes == ()
    assert oauth.client_auth_method == "private_key_jwt"
    assert oauth.client_key is not None
    assert oauth.client_key.certificate_chain is not None
    assert key.private_key not in repr(oauth)


def microsoft_application(private_key: str, certificate: str) -> dict[str, Any]:
    """Return what an application of Microsoft with these keys has in its extra."""
    return without(
        "exchange_url",
        mail_provider="microsoft",
        tenant_id="contoso.example",
        grant="client_credentials",
        certificate_private_key=private_key,
        certificate_chain=certificate,
    )


KEY = ClientKey.create()


@pytest.mark.parametrize(
    ("private_key", "certificate", "message", "hint"),
    [
        (KEY.certificate, KEY.certificate, "holds a certificate", "The private key goes here"),
        (KEY.private_key, KEY.private_key, "holds a private key", "The certificate alone goes"),
        (
            KEY.private_key,
            KEY.certificate + KEY.private_key,
            "certificate_chain' of extra holds a private key",
            "The certificate alone goes here",
        ),
        (
            KEY.private_key.replace("PRIVATE KEY", "PUBLIC KEY"),
            KEY.certificate,
            "holds no private key",
            "The private key goes here",
        ),
        (
            KEY.private_key,
            KEY.certificate.replace("CERTIFICATE", "CERTIFICATE REQUEST"),
            "holds no certificate",
            "The certificate alone goes here",
        ),
    ],
    ids=["certificate", "private key", "both", "public key", "request"],
)
def test_key_and_certificate_in_the_wrong_field_are_told(
    private_key: str, certificate: str, message: str, hint: str
) -> None:
    """Whoever mixes up private key and certificate reads which of them goes where."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        parsed(extra=microsoft_application(private_key, certificate))
    assert caught.value.hint.startswith(hint)
    assert private_key.splitlines()[1] not in str(caught.value)


@pytest.mark.parametrize("tenant_id", ["common", "Organizations", "CONSUMERS", None])
def test_application_needs_a_tenant_of_its_own(tenant_id: str | None) -> None:
    """However it is written, a tenant that many share is none for an application."""
    extra = microsoft_application(KEY.private_key, KEY.certificate)
    with pytest.raises(ConfigurationError, match="no single organisation"):
        parsed(extra={**extra, "tenant_id": tenant_id})


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("socks://proxy.example.com:1080", "Write socks5h:// if the proxy speaks version 5"),
        ("socks4://proxy.example.com", "Write socks5h:// if the proxy speaks version 5"),
        ("SOCKS4A://proxy.example.com", "Write socks5h:// if the proxy speaks version 5"),
        ("https://proxy.example.com:3128", "Schemes that work are http, socks5, socks5h"),
        ("proxy.example.com:3128", "Schemes that work are http, socks5, socks5h"),
        ("proxy.example.com", "Schemes that work are http, socks5, socks5h"),
        ("etl:pa55-of-a-proxy@proxy.example.com", "Schemes that work are http, socks5, socks5h"),
        ("//proxy.example.com:3128", "Schemes that work are http, socks5, socks5h"),
        ("ftp://proxy.example.com", "none of http, socks5, socks5h"),
    ],
)
def test_scheme_of_a_proxy_that_does_not_work_is_told(url: str, said: str) -> None:
    """Each way to get the scheme of a proxy wrong is answered with those that work."""
    with pytest.raises(ConfigurationError) as caught:
        parsed(extra={"proxy_url": url})
    assert said in str(caught.value)
    assert "pa55-of-a-proxy" not in str(caught.value)


def test_fallback_arrives() -> None:
    """The id of the fallback connection is kept."""
    settings = parse(connection(extra={"fallback_conn_id": "other"}))
    assert settings.fallback_conn_id == "other"


@pytest.mark.parametrize("kind", ["http", "socks5"])
def test_proxy_is_used_for_mail_and_tokens(embedded_mailbox: Mailbox, kind: ProxyKind) -> None:
    """Both the token request and the IMAP connection go through the proxy that is named."""
    with ForwardProxy(kind, user="etl", password="p@ss") as proxy:
        embedded_mailbox.connect(extra={"proxy_url": proxy.url})
        with ImapOAuthHook(embedded_mailbox.conn_id) as hook:
            assert hook.mail_client is not None
        ports = {port for _, port in proxy.targets}
    assert ports == {embedded_mailbox.mail.port, embedded_mailbox.authorization.port}


@pytest.mark.parametrize(
    "mangle",
    [
        lambda pem: pem,
        lambda pem: pem.replace("\n", " "),
        lambda pem: pem.replace("\n", ""),
        lambda pem: pem.replace("\n", "\\n"),
        lambda pem: pem.replace("\n", "\r\n"),
        lambda pem: pem.replace("\n", "\\r\\n"),
        lambda pem: f"\n  {pem}\n ",
    ],
    ids=["whole", "blanks", "lost", "escaped", "crlf", "escaped crlf", "indented"],
)
def test_mangled_pem_is_mended(mangle: object) -> None:
    """However a form or a shell treats line breaks, the key is the one that was copied."""
    assert callable(mangle)
    for kind in ("RSA", "P-256", "Ed25519"):
        pem = ClientKey.create(kind).private_key  # type: ignore[arg-type]
        assert mended_pem(mangle(pem)) == pem


def test_chain_keeps_its_order() -> None:
    """Several certificates stay several, the client's own first."""
    one, two = ClientKey.create().certificate, ClientKey.create().certificate
    assert mended_pem(f"{one} {two}".replace("\n", " ")) == one + two


def test_what_is_no_pem_is_none() -> None:
    """A text without BEGIN and END is no PEM."""
    assert mended_pem("c2VjcmV0") is None
    assert mended_pem("-----BEGIN PRIVATE KEY-----\nc2VjcmV0") is None
