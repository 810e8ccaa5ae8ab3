# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The one way to an authorization server: HTTPS, verified, bounded in time and size."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from urllib.parse import quote_plus, urlencode

import httpx

from airflow_imap_oauth.exceptions import ConfigurationError, OAuthError, TransientOAuthError
from airflow_imap_oauth.oauth.deadline import Deadline
from airflow_imap_oauth.oauth.failures import connection_failure, proxy_failure, status_failure
from airflow_imap_oauth.oauth.proxies import ProxyFailureError, checked_proxy_url
from airflow_imap_oauth.oauth.settings import TransportSettings
from airflow_imap_oauth.oauth.tls import client_context
from airflow_imap_oauth.oauth.urls import checked_url

#: No token response or metadata document comes near this size.
MAX_BODY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """
    An answer with status 2xx or 4xx.

    :param headers: By lower-case name.
    :param text: The body as UTF-8, at most 1 MiB; never shown, because it may hold tokens.
    """

    status_code: int
    headers: Mapping[str, str] = field(repr=False)
    text: str = field(repr=False)


class Transport:
    """
    Sends requests, one at a time, from one thread.

    Environment variables (proxies, CA bundles, ``.netrc``) have no say: the proxy is that of the
    settings, or none, for every host. Connections are not kept
    open: a request that meets a connection just closed by the server would leave in doubt whether
    a refresh token was spent. Nothing is retried, no redirect is followed, no cookie is kept.
    What httpx and httpcore log are method, URL and response headers; secrets travel in the body
    and in ``Authorization`` alone.

    :param settings: Timeouts, trust and proxy.
    """

    def __init__(self, settings: TransportSettings) -> None:
        self.settings = settings
        self._client: httpx.Client | None = None

    def __enter__(self) -> Transport:
        """Return the transport itself: the first request opens the connection."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close as :meth:`close` does."""
        self.close()

    def close(self) -> None:
        """Close what is open. The transport can be used again afterwards."""
        if self._client is not None:
            self._client.close()
            self._client = None

    @property
    def max_answer_seconds(self) -> float:
        """
        How long a request may take in all, from TCP (to the proxy, if any) to the last byte.

        Name look-up comes on top (the resolver's own limits), and a connect timeout for each
        further address of the host that does not answer.
        """
        return self.settings.connect_timeout_seconds + 2 * self.settings.read_timeout_seconds

    def request(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        basic_auth: tuple[str, str] | None = None,
        step: str,
    ) -> HttpAnswer:
        """
        Send one request and return the answer if its status is 2xx or 4xx.

        :param form: Sent as ``application/x-www-form-urlencoded``.
        :param headers: Further headers.
        :param basic_auth: Client id and secret, sent as RFC 6749 section 2.3.1 demands: each
            form-url-encoded before they are joined.
        :param step: For error messages, for example ``token request``.
        :raises ConfigurationError: If the URL, ``ca_file`` or ``proxy_url`` is unfit. A retry
            cannot help.
        :raises TransientOAuthError: On 408, 429, 5xx (``retry_after_seconds`` as the server
            asked), timeouts, lost connections, oversized bodies, and where the proxy is out of
            order or cannot reach the server. A retry helps.
        :raises OAuthError: On an untrusted certificate or a redirect, and where the proxy wants
            another sign-in or does not allow the host. A retry cannot help.
        """
        host = checked_url(
            url, what=step, allow_loopback_http=self.settings.allow_loopback_http
        ).hostname
        request = self._request(method, url, form, headers, basic_auth)
        outcome = self._exchange(request, host=host or "", step=step)
        if isinstance(outcome, HttpAnswer):
            failure = status_failure(
                outcome.status_code, outcome.headers, host=host or "", step=step
            )
            if failure is None:
                return outcome
            outcome = failure
        raise outcome

    def _request(
        self,
        method: str,
        url: str,
        form: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        basic_auth: tuple[str, str] | None,
    ) -> httpx.Request:
        client = self._opened()
        all_headers = {"accept": "application/json"}
        all_headers.update({name.lower(): value for name, value in (headers or {}).items()})
        # No compression: the cap on the body then bounds memory, too.
        all_headers["accept-encoding"] = "identity"
        all_headers["connection"] = "close"
        problem = ""
        try:
            if form is not None:
                all_headers["content-type"] = "application/x-www-form-urlencoded"
            if basic_auth is not None:
                all_headers["authorization"] = _basic(*basic_auth)
            content = None if form is None else urlencode(form).encode("ascii")
            return client.build_request(method, url, content=content, headers=all_headers)
        except httpx.InvalidURL:
            problem = "The URL of the authorization server is malformed."
        except UnicodeError:  # lone surrogates, as in an environment variable of raw bytes
            problem = "Client id, client secret or token holds what is not text."
        # Outside of the except clause: the caught error refers to the text, which may be secret.
        raise ConfigurationError(problem)

    def _opened(self) -> httpx.Client:
        if self._client is None:
            timeout = httpx.Timeout(
                self.settings.read_timeout_seconds, connect=self.settings.connect_timeout_seconds
            )
            context = client_context(self.settings.ca_file)
            self._client = httpx.Client(
                verify=context,
                transport=self._proxied(context),
                trust_env=False,
                follow_redirects=False,
                timeout=timeout,
                limits=httpx.Limits(max_keepalive_connections=0),
                headers={"user-agent": "airflow-imap-oauth"},
                cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            )
        return self._client

    def _proxied(self, context: ssl.SSLContext) -> httpx.BaseTransport | None:
        if self.settings.proxy_url is None:
            return None
        proxy = checked_proxy_url(self.settings.proxy_url)
        # Its libraries are loaded only where a proxy is used.
        from airflow_imap_oauth.oauth.proxied_transport import ProxiedTransport  # noqa: PLC0415

        return ProxiedTransport(proxy, context, self.settings.connect_timeout_seconds)

    def _exchange(self, request: httpx.Request, *, host: str, step: str) -> HttpAnswer | OAuthError:
        # Failures are returned, and raised outside of the except clause: the error of httpx
        # refers to the request, and so would the context of one raised inside.
        with Deadline(self.max_answer_seconds) as deadline:
            request.extensions["trace"] = deadline.trace
            try:
                response = self._opened().send(request, stream=True)
                try:
                    return self._read(response, deadline, host=host, step=step)
                finally:
                    response.close()
            except httpx.HTTPError as error:
                if deadline.expired:
                    return _too_slow(host, step, deadline.seconds)
                return connection_failure(error, host=host, step=step)
            except ProxyFailureError as error:
                return proxy_failure(error, step=step)

    def _read(
        self, response: httpx.Response, deadline: Deadline, *, host: str, step: str
    ) -> HttpAnswer | OAuthError:
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            return TransientOAuthError(
                f"Host '{host}' compressed its answer although asked not to.",
                hint="Check that no proxy sits in between.",
                status_code=response.status_code,
                step=step,
            )
        body = bytearray()
        for piece in response.iter_raw():
            body += piece
            if len(body) > MAX_BODY_BYTES:
                return TransientOAuthError(
                    f"The answer of host '{host}' is larger than {MAX_BODY_BYTES} bytes.",
                    hint="That is no token response: check the URL, and for a proxy in between.",
                    status_code=response.status_code,
                    step=step,
                )
        # A body without a length ends with the connection, also when the timer cut that.
        if deadline.expired:
            return _too_slow(host, step, deadline.seconds)
        return HttpAnswer(
            status_code=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            # Some servers put a byte order mark in front, past which no token library reads.
            text=body.decode("utf-8-sig", errors="replace"),
        )


def _basic(client_id: str, client_secret: str) -> str:
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    return "Basic " + base64.b64encode(pair.encode("ascii")).decode("ascii")


def _too_slow(host: str, step: str, seconds: float) -> TransientOAuthError:
    return TransientOAuthError(
        f"The answer of host '{host}' was not whole after {seconds:g} seconds.",
        hint="Raise read_timeout_seconds if it is just slow.",
        step=step,
    )
