# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
httpx through a proxy. Load this module only where one is used.

httpx's own way over SOCKS writes the proxy's password into httpcore's debug log and waits for its
answers without end, so both kinds of proxies go through :mod:`airflow_imap_oauth.oauth.tunnels`.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

from airflow_imap_oauth.oauth.proxies import ProxyAddress
from airflow_imap_oauth.oauth.tunnels import extend, unreachable


class ProxiedTransport(httpx.HTTPTransport):
    """
    Sends every request through a proxy, also those to loopback.

    Requests raise :class:`~airflow_imap_oauth.oauth.proxies.ProxyFailureError` where the proxy
    does not open the way.

    :param proxy: The proxy.
    :param context: Verifies the server at the far end.
    :param connect_timeout_seconds: For the way to the proxy and what is said there, together.
    """

    def __init__(
        self, proxy: ProxyAddress, context: ssl.SSLContext, connect_timeout_seconds: float
    ) -> None:
        # Not that of the base: it has no argument for how connections are made.
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_keepalive_connections=0,
            network_backend=_ThroughProxy(proxy, connect_timeout_seconds),
        )


class _ThroughProxy(httpcore.NetworkBackend):
    def __init__(self, proxy: ProxyAddress, connect_timeout_seconds: float) -> None:
        self._proxy = proxy
        self._connect_timeout_seconds = connect_timeout_seconds
        self._direct = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        expires_at = time.monotonic() + self._connect_timeout_seconds
        proxy = self._proxy
        try:
            stream = self._direct.connect_tcp(
                proxy.host, proxy.port, timeout, local_address, socket_options
            )
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            failure = unreachable(proxy, error.__cause__)
        else:
            connection = stream.get_extra_info("socket")
            extend(connection, proxy, host, port, expires_at=expires_at)
            return stream
        raise failure from None
