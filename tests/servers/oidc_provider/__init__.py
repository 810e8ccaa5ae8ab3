# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
A second authorization server, not ours: oidc-provider, certified by the OpenID Foundation.

It runs on Node.js, in a process of its own, over TLS, set up as a strict mail provider would: PKCE,
rotation with reuse detection, refresh tokens only after a new consent, access tokens for the
mailbox alone. ``make matrix`` installs what it needs.

Use::

    with OidcProvider(ca, clients) as server:
        callback = server.consent(authorize_url, "ada@example.test")
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.servers.certificates import CertificateAuthority
from tests.servers.oidc_provider.browser import Browser

IMAP_SCOPE = "imap"
OTHER_SCOPE = "smtp"
RESOURCE = "https://mail.example.test/"
_FOLDER = Path(__file__).parent
_MAILBOX = {
    "client_id": "mailbox",
    "client_secret": "mailbox-secret",
    "redirect_uris": [],
    "response_types": [],
    "grant_types": [],
}
_STOP_SECONDS = 10


class OidcProvider:
    """
    Starts and stops the server, and is the person who signs in there.

    :param ca: Issues its certificate.
    :param clients: Metadata of the clients it knows (RFC 7591 section 2).
    """

    def __init__(self, ca: CertificateAuthority, clients: Iterable[Mapping[str, Any]]) -> None:
        self.ca_file = ca.ca_file
        self.issuer = ""
        self._ca = ca
        self._clients = [*clients, _MAILBOX]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> OidcProvider:
        """Start it, and wait until it serves."""
        node = shutil.which("node")
        if node is None or not (_FOLDER / "node_modules").is_dir():
            raise RuntimeError("oidc-provider needs Node.js, and what make matrix installs")
        cert_file, key_file = self._ca.issue("127.0.0.1")
        settings = {
            "cert_file": str(cert_file),
            "key_file": str(key_file),
            "clients": self._clients,
            "resource": RESOURCE,
            "resource_scopes": f"{IMAP_SCOPE} {OTHER_SCOPE}",
        }
        self._process = subprocess.Popen(
            [node, str(_FOLDER / "server.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(settings)}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self.__exit__()
            raise RuntimeError("oidc-provider did not start")
        self.issuer = json.loads(line)["issuer"]
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def consent(
        self,
        authorize_url: str,
        login: str,
        *,
        allow: bool = True,
        scopes: Iterable[str] | None = None,
    ) -> str:
        """
        Sign in and consent (or refuse to) at an authorization URL.

        :param scopes: Consent to no others than these; None: to all.
        :return: Where the browser is sent back to, with ``code`` or ``error`` in its query.
        """
        with Browser(self.issuer, self._ca, login, allow=allow, scopes=scopes) as browser:
            return browser.sent_back_from(authorize_url)

    def decide_device(self, verification_uri: str, login: str, *, allow: bool = True) -> None:
        """Sign in and consent (or refuse to) at the address, with the code in it, of a device."""
        with Browser(self.issuer, self._ca, login, allow=allow) as browser:
            browser.last_page_from(verification_uri)

    def introspect(self, access_token: str) -> dict[str, Any]:
        """Look an access token up, as the mail server does."""
        with httpx.Client(verify=self._ca.client_context(), trust_env=False) as client:
            answer = client.post(
                f"{self.issuer}/token/introspection",
                data={"token": access_token},
                auth=(_MAILBOX["client_id"], _MAILBOX["client_secret"]),
            )
        found: dict[str, Any] = answer.raise_for_status().json()
        return found
