# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A client without any cleverness: what it is told to send goes out."""

from __future__ import annotations

import base64
import hashlib
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from tests.servers.authorization.dialects import DIALECTS

REDIRECT_URI = "http://127.0.0.1/callback"
_VERIFIER = "v" * 43
_CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(_VERIFIER.encode()).digest()).decode()


class Server(Protocol):
    """What is asked of a server, in this process or in another."""

    base_url: str
    ca_file: Path
    client_id: str
    client_secret: str

    def consent(
        self, authorize_url: str, login: str, *, allow: bool, scopes: Iterable[str] | None
    ) -> str:
        """Consent as a browser would."""
        ...


def url(server: Server, endpoint: str, mail_provider: str = "generic", tenant: str = "") -> str:
    """Return the URL of an endpoint."""
    paths = {dialect.name: dialect.paths for dialect in DIALECTS}[mail_provider]
    return server.base_url + paths[endpoint].format(tenant=tenant)


def get(server: Server, address: str) -> httpx.Response:
    """Send a GET request."""
    with _http(server) as http:
        return http.get(address)


def post(server: Server, address: str, /, **form: str) -> httpx.Response:
    """Send a form."""
    with _http(server) as http:
        return http.post(address, data=form)


def post_with_secret(server: Server, address: str, /, **form: str) -> httpx.Response:
    """Send a form as the confidential client."""
    secret = {"client_id": server.client_id, "client_secret": server.client_secret}
    return post(server, address, **secret, **form)


def authorize(
    server: Server,
    login: str,
    scope: str,
    *,
    mail_provider: str = "generic",
    tenant: str = "",
    allow: bool = True,
    scopes: Iterable[str] | None = None,
    **parameters: str,
) -> dict[str, str]:
    """
    Consent to a request of the confidential client.

    :param parameters: Further ones of the authorization request.
    :return: What came back in the redirect.
    """
    request = {
        "response_type": "code",
        "client_id": server.client_id,
        "redirect_uri": REDIRECT_URI,
        "scope": scope,
        "state": "state",
        "code_challenge": _CHALLENGE.rstrip("="),
        "code_challenge_method": "S256",
        **parameters,
    }
    address = f"{url(server, 'authorize', mail_provider, tenant)}?{urlencode(request)}"
    location = server.consent(address, login, allow=allow, scopes=scopes)
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def redeem(
    server: Server, code: str, *, mail_provider: str = "generic", tenant: str = ""
) -> httpx.Response:
    """Redeem a code of :func:`authorize`."""
    return post_with_secret(
        server,
        url(server, "token", mail_provider, tenant),
        grant_type="authorization_code",
        code=code,
        redirect_uri=REDIRECT_URI,
        code_verifier=_VERIFIER,
    )


def refresh(
    server: Server, refresh_token: str, *, mail_provider: str = "generic", tenant: str = ""
) -> httpx.Response:
    """Spend a refresh token."""
    return post_with_secret(
        server,
        url(server, "token", mail_provider, tenant),
        grant_type="refresh_token",
        refresh_token=refresh_token,
    )


def _http(server: Server) -> httpx.Client:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    return httpx.Client(verify=context, trust_env=False, timeout=10)
