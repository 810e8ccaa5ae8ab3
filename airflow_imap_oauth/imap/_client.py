# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""IMAPClient connected to the server of some settings, directly or through a proxy."""

from __future__ import annotations

import socket
import ssl
from typing import Any

from imapclient import IMAPClient, SocketTimeout  # noqa: TID251  # a part of the seam
from imapclient.imap4 import IMAP4WithTimeout  # noqa: TID251  # as above

from airflow_imap_oauth.imap.model import ImapSettings
from airflow_imap_oauth.oauth.proxies import ProxyAddress, checked_proxy_url


def connected_client(settings: ImapSettings, context: ssl.SSLContext) -> Any:
    """
    Return an IMAPClient that has read the greeting; it has TLS where ``tls`` is ``implicit``.

    :raises ConfigurationError: If ``proxy_url`` is unfit. Nothing was sent.
    :raises ProxyFailureError: If the proxy does not open the way.
    :raises OSError: And what else IMAPClient raises while it connects.
    """
    options: dict[str, Any] = {
        "ssl": settings.tls == "implicit",
        "ssl_context": context,
        "timeout": SocketTimeout(settings.connect_timeout_seconds, settings.read_timeout_seconds),
    }
    if settings.proxy_url is None:
        return IMAPClient(settings.host, settings.port, **options)
    proxy = checked_proxy_url(settings.proxy_url)
    return _ProxiedClient(proxy, settings.host, settings.port, **options)


class _ProxiedClient(IMAPClient):  # type: ignore[misc]  # it carries no types
    def __init__(self, proxy: ProxyAddress, host: str, port: int, **options: Any) -> None:
        self._proxy = proxy
        super().__init__(host, port, **options)

    def _create_IMAP4(self) -> IMAP4WithTimeout:  # noqa: N802  # the library's name
        context = self.ssl_context if self.ssl else None
        return _ProxiedImap4(self._proxy, context, self.host, self.port, self._timeout.connect)


class _ProxiedImap4(IMAP4WithTimeout):  # type: ignore[misc]  # as above
    def __init__(
        self,
        proxy: ProxyAddress,
        context: ssl.SSLContext | None,
        host: str,
        port: int,
        timeout_seconds: float,
    ) -> None:
        self._proxy = proxy
        self._context = context
        super().__init__(host, port, timeout_seconds)

    def _create_socket(self, timeout: float | None = None) -> socket.socket:
        # python-socks is loaded only where a proxy is used.
        from airflow_imap_oauth.oauth.tunnels import open_tunnel  # noqa: PLC0415

        tunnel = open_tunnel(
            self._proxy, self.host, self.port, timeout_seconds=timeout or self._timeout
        )
        if self._context is None:
            return tunnel
        return self._context.wrap_socket(tunnel, server_hostname=self.host)
