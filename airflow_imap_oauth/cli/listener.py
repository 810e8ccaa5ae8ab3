# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The loopback redirect (RFC 8252 section 7.3): where the browser brings the answer back."""

from __future__ import annotations

import hmac
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from airflow_imap_oauth.exceptions import AuthorizationFlowError, ConfigurationError

LOOPBACK_ADDRESS = "127.0.0.1"

_IDLE_SECONDS = 10  # for a browser that connects ahead and sends nothing

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<title>{title}</title></head><body><h1>{title}</h1><p>{text}</p></body></html>
"""
_RECEIVED = ("Answer received", "You may close this window and go back to the terminal.")
_FOREIGN = (
    "Not expected",
    "No sign-in with this address is waited for. Use the window that the command has opened.",
)


class RedirectListener:
    """
    Waits for the answer to one sign-in, on this machine alone.

    Requests that do not belong to the sign-in (another path, another state) are refused and do
    not end the waiting.

    :param host: The host of the redirect URI: ``127.0.0.1``, or ``localhost`` where the mail
        provider demands that name.
    :param port: 0 takes any free port.
    :raises ConfigurationError: If the port is taken.
    """

    def __init__(self, *, host: str, port: int) -> None:
        self._answers: queue.Queue[str] = queue.Queue()
        self._state: str | None = None
        try:
            self._server = ThreadingHTTPServer((LOOPBACK_ADDRESS, port), self._handler())
        except (OSError, OverflowError):
            raise ConfigurationError(
                f"Port {port} of this machine cannot be listened on: another program may have it."
                if port
                else "This machine has no free port to listen on.",
                hint="Choose another with --redirect-port, the one that is registered at the mail"
                " provider if it names one; or use --no-browser, which needs no port.",
                step="sign-in",
            ) from None
        self._server.daemon_threads = True
        self.redirect_uri = f"http://{host}:{self._server.server_port}"

    def __enter__(self) -> RedirectListener:
        """Begin to answer."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the port back."""
        self._server.shutdown()
        self._server.server_close()

    def wait(self, *, state: str, timeout_seconds: float) -> str:
        """
        Return the address that the browser was sent to.

        :param state: Of the sign-in that is waited for.
        :raises AuthorizationFlowError: If nothing comes in that time. Start again.
        """
        self._state = state
        try:
            return self._answers.get(timeout=timeout_seconds)
        except queue.Empty:
            raise AuthorizationFlowError(
                f"Nobody signed in within {timeout_seconds / 60:g} minutes.",
                hint="Start the sign-in again. If the browser showed an error of the mail provider,"
                f" it says what is wrong; a redirect URI it does not know is {self.redirect_uri},"
                " to be registered there (with --redirect-port, if it must name the port). If the"
                " browser is on another machine, use --no-browser.",
                step="sign-in",
            ) from None

    def take(self, target: str) -> str | None:
        """Return the full address if it brings the answer that is waited for: once, else None."""
        try:
            parts = urlsplit(target)
            states = parse_qs(parts.query, max_num_fields=64).get("state", [])
        except ValueError:
            return None
        expected = self._state
        if parts.path not in ("", "/") or len(states) != 1 or expected is None:
            return None
        if not hmac.compare_digest(states[0].encode(), expected.encode()):
            return None
        self._state = None
        return f"{self.redirect_uri}/?{parts.query}"

    def deliver(self, answer: str) -> None:
        """End the waiting."""
        self._answers.put(answer)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            timeout = _IDLE_SECONDS

            def do_GET(self) -> None:
                answer = listener.take(self.path)
                try:
                    self._show(*(_RECEIVED if answer else _FOREIGN), status=200 if answer else 404)
                finally:
                    # Last, so that the page is out before the command ends.
                    if answer is not None:
                        listener.deliver(answer)

            def _show(self, title: str, text: str, *, status: int) -> None:
                body = _PAGE.format(title=title, text=text).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.send_header("Referrer-Policy", "no-referrer")
                self.send_header("Content-Security-Policy", "default-src 'none'")
                self.send_header("X-Content-Type-Options", "nosniff")
                self.end_headers()
                self.wfile.write(body)

            def version_string(self) -> str:
                return "airflow-imap-oauth"

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Write nothing: the address holds the code."""

        return Handler
