# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The authorization server in a process of its own, driven over its control endpoint.

Use::

    with AuthorizationServerProcess(ca_folder) as server:
        server.mint_refresh_token("alice@example.com")
        assert server.token_requests == 0

For one that runs already: ``RemoteAuthorizationServer(settings)``, with the JSON that it printed.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.servers.authorization import browser

_REPOSITORY = Path(__file__).parents[3]
_STOP_SECONDS = 10


class RemoteAuthorizationServer:
    """
    An authorization server in another process, with the methods of the one in this.

    :param settings: As the server printed them.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings
        self.base_url: str = settings["base_url"]
        self.ca_file = Path(settings["ca_file"])
        self.issuer: str = settings["issuer"]
        self.authorize_url: str = settings["authorize_url"]
        self.token_url: str = settings["token_url"]
        self.device_url: str = settings["device_url"]
        self.jwks_url: str = settings["jwks_url"]
        self.introspection_url: str = settings["introspection_url"]
        self.revoke_url: str = settings["revoke_url"]
        self.client_id: str = settings["client_id"]
        self.client_secret: str = settings["client_secret"]
        self.public_client_id: str = settings["public_client_id"]
        context = ssl.create_default_context(cafile=str(self.ca_file))
        self._http = httpx.Client(verify=context, trust_env=False, base_url=self.base_url)

    def close(self) -> None:
        """Close the connection to the control endpoint."""
        self._http.close()

    @property
    def counters(self) -> dict[str, Any]:
        """All counters, as :meth:`AuthorizationServer.counters` names them."""
        return self._get("counters")

    @property
    def token_requests(self) -> int:
        """Token requests since the last reset."""
        return int(self.counters["token_requests"])

    def secrets_issued(self) -> set[str]:
        """Return every code, token and client secret so far."""
        return set(self._get("secrets")["secrets"])

    def mint_refresh_token(self, login: str, **options: object) -> str:
        """Return a refresh token, as if the account had consented."""
        return str(self._post("mint_refresh_token", login=login, **options))

    def mint_access_token(self, login: str, **options: object) -> str:
        """Return an access token."""
        return str(self._post("mint_access_token", login=login, **options))

    def revoke_all(self, login: str) -> None:
        """Revoke every token of an account."""
        self._post("revoke_all", login=login)

    def add_client(self, client_id: str, **options: object) -> None:
        """Register a client."""
        self._post("add_client", client_id=client_id, **options)

    def add_service_account(
        self, client_email: str, public_key_pem: str, *, subjects: Iterable[str], **options: object
    ) -> None:
        """Register a service account at Google."""
        self._post(
            "add_service_account",
            client_email=client_email,
            public_key_pem=public_key_pem,
            subjects=list(subjects),
            **options,
        )

    def new_service_account(
        self, client_email: str, *, subjects: Iterable[str], **options: object
    ) -> str:
        """Register a service account with a new key, and return the key as Google's console."""
        arguments = {"client_email": client_email, "subjects": list(subjects), **options}
        return str(self._post("new_service_account", **arguments))

    def decide_device(self, user_code: str, login: str, *, allow: bool = True) -> None:
        """Allow or deny a device, as a user does who enters its code."""
        self._post("decide_device", user_code=user_code, login=login, allow=allow)

    def next_id_token(self, **changes: object) -> None:
        """Change the next ID token that is issued."""
        self._post("next_id_token", **changes)

    def rotate_signing_key(self, *, keep_old: bool = False) -> None:
        """Sign with a new key from now on."""
        self._post("rotate_signing_key", keep_old=keep_old)

    def advance_clock(self, seconds: float) -> None:
        """Move the clock ahead that polls are measured by."""
        self._post("advance_clock", seconds=seconds)

    def fail_next(self, target: str, kind: str, **options: object) -> None:
        """Let the next requests fail."""
        self._post("fail_next", target=target, kind=kind, **options)

    def switch(self, **values: object) -> None:
        """Set switches by name."""
        self._post("switch", **values)

    def reset(self) -> None:
        """Set counters, faults and switches back."""
        self._post("reset")

    def reset_counters(self) -> None:
        """Set every counter to zero."""
        self._post("reset_counters")

    def consent(
        self,
        authorize_url: str,
        login: str,
        *,
        allow: bool = True,
        scopes: Iterable[str] | None = None,
    ) -> str:
        """Consent (or refuse to) at an authorization URL, as a browser would."""
        return browser.consent(authorize_url, login, self.ca_file, allow=allow, scopes=scopes)

    def _get(self, name: str) -> dict[str, Any]:
        answer = self._http.get(f"/control/{name}")
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    def _post(self, verb: str, **arguments: object) -> object:
        answer = self._http.post(f"/control/{verb}", json=arguments)
        if answer.status_code != httpx.codes.OK:
            raise ValueError(f"{verb}: {answer.text}")
        return answer.json()["result"]


class AuthorizationServerProcess:
    """
    Starts and stops the process.

    :param ca_folder: Folder of the test authority.
    :param arguments: Further arguments of the command.
    """

    def __init__(self, ca_folder: Path, *arguments: str) -> None:
        self._command = [
            sys.executable,
            "-m",
            "tests.servers.authorization_server",
            "--ca-folder",
            str(ca_folder.resolve()),
            *arguments,
        ]
        self._process: subprocess.Popen[str] | None = None
        self._remote: RemoteAuthorizationServer | None = None

    def __enter__(self) -> RemoteAuthorizationServer:
        """Start it, and wait until it serves."""
        self._process = subprocess.Popen(
            self._command, cwd=_REPOSITORY, stdout=subprocess.PIPE, text=True
        )
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            self.__exit__()
            raise RuntimeError("the authorization server did not start")
        self._remote = RemoteAuthorizationServer(json.loads(line))
        return self._remote

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        if self._remote is not None:
            self._remote.close()
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
