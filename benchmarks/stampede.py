# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
How many token requests it costs when the token of one mailbox ends under many workers.

Counted by the authorization server, which answers both as Microsoft does. Ours are 64 processes of
one host. The peer is MSAL alone, in 16 threads with an application object each: it keeps tokens in
that object, and has nothing by which workers could wait for each other. With 64 it would be 64.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from threading import Barrier

import msal
import requests

from benchmarks.results import Row
from tests.oauth import clients
from tests.servers.authorization.dialects import MICROSOFT_IMAP_SCOPE
from tests.servers.authorization_server import AuthorizationServer
from tests.servers.certificates import CertificateAuthority
from tests.tokens.workers import WAIT_SECONDS, Host, run_together

_PROCESSES = 64
_PEER_THREADS = 16


def measure(folder: Path) -> list[Row]:
    """
    Measure, the peer first.

    :raises RuntimeError: If a worker gets no token, or ours get different ones.
    """
    with AuthorizationServer(CertificateAuthority.create(folder / "ca")) as server:
        peer = _peer(server)
        ours = _ours(server, folder)
    return [
        Row(
            name="token_stampede",
            unit="token requests",
            ours=ours,
            peer=peer,
            peer_name=f"msal {version('msal')}",
            target_ours=1,
        )
    ]


def _ours(server: AuthorizationServer, folder: Path) -> int:
    host = Host(
        settings=clients.microsoft(server),
        seed=server.mint_refresh_token(clients.LOGIN),
        folder=folder,
    )
    host.manager().get_access_token()
    host.expire()
    server.reset_counters()
    tokens = {*run_together([host] * _PROCESSES)}
    if tokens != {host.manager().get_access_token()}:
        raise RuntimeError("The workers did not get the same token.")
    return server.token_requests


def _peer(server: AuthorizationServer) -> int:
    refresh_token = server.mint_refresh_token(clients.LOGIN)
    together = Barrier(_PEER_THREADS)

    def ask(_: int) -> bool:
        session = requests.Session()
        session.trust_env, session.verify = False, str(server.ca_file)
        application = msal.ConfidentialClientApplication(
            server.client_id,
            client_credential=server.client_secret,
            authority=f"{server.base_url}/{clients.TENANT}",
            instance_discovery=False,
            http_client=session,
        )
        together.wait(WAIT_SECONDS)
        found = application.acquire_token_by_refresh_token(refresh_token, [MICROSOFT_IMAP_SCOPE])
        return "access_token" in found

    server.reset_counters()
    with ThreadPoolExecutor(_PEER_THREADS) as pool:
        if not all(pool.map(ask, range(_PEER_THREADS))):
            raise RuntimeError("MSAL got no token.")
    return server.token_requests
