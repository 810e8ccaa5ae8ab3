# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""``airflow imap-oauth login``: somebody signs in and consents, and the connection remembers."""

from __future__ import annotations

import secrets
import sys
import webbrowser
from typing import Any

from airflow.utils.cli import suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

from airflow_imap_oauth.admin import authorization
from airflow_imap_oauth.admin.connections import load
from airflow_imap_oauth.cli.exit_codes import exit_codes, told, warn
from airflow_imap_oauth.cli.listener import RedirectListener
from airflow_imap_oauth.exceptions import AuthorizationFlowError, ConfigurationError
from airflow_imap_oauth.hooks.mailbox import Mailbox, open_mailbox
from airflow_imap_oauth.oauth import authorization_code, device_authorization, discovery
from airflow_imap_oauth.oauth.expiry import expiry_warning
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.tokens.manager import utc_now

_MAX_PORT = 65535
_DYNAMIC_PORTS = range(49152, 65536)
_INTERRUPTED = "Stopped; nothing was saved."


@suppress_logs_and_warning
@providers_configuration_loaded
def login(args: Any) -> None:
    """Run the command."""
    with exit_codes(args.conn_id, interrupted=_INTERRUPTED):
        _login(args)


def _login(args: Any) -> None:
    if not 0 <= args.redirect_port <= _MAX_PORT:
        raise ConfigurationError(f"--redirect-port must be from 0 to {_MAX_PORT}.")
    mailbox = open_mailbox(load(args.conn_id))
    _refuse_idle_options(args, mailbox.settings.oauth)
    # Before anybody signs in: without a key, what they bring back could not be kept.
    mailbox.sealer.seal("probe", purpose="probe", binding={})
    if mailbox.settings.oauth.grant != "user_consent":
        _prove_own_access(mailbox)
    else:
        _authorize(mailbox, args)
    warn(expiry_warning(mailbox.settings.oauth, utc_now().date()))


def _refuse_idle_options(args: Any, settings: OAuthSettings) -> None:
    """Refuse options that would have no effect: whoever gives one expects one."""
    given = {
        "--no-browser": args.no_browser,
        "--redirect-port": args.redirect_port,
        "--device": args.device,
        "--other-account": args.other_account,
    }
    idle = [option for option, value in given.items() if value]
    if settings.grant != "user_consent" and idle:
        raise ConfigurationError(
            f"{' and '.join(idle)} would have no effect: on this connection nobody signs in.",
            hint="Run the command without; or, if a person shall sign in, change 'How access is"
            " granted' (grant) in the connection.",
        )
    idle = [option for option in ("--no-browser", "--redirect-port") if given[option]]
    if args.device and idle:
        raise ConfigurationError(
            f"{' and '.join(idle)} would have no effect together with --device: nothing is brought"
            " back to this machine.",
            hint="Choose one of the two ways to sign in.",
        )


def _authorize(mailbox: Mailbox, args: Any) -> None:
    """Let a person sign in, and keep what comes of it."""
    with Transport(mailbox.settings.oauth.transport) as transport:
        response = _sign_in(mailbox.settings.oauth, args, transport)
    if not args.other_account:
        remedy = "repeat the command with --other-account."
        authorization.refuse_another_account(mailbox, response, remedy=remedy)
    warn(authorization.other_name_warning(mailbox, response))
    kept = authorization.keep(mailbox, response)
    print(f"Authorized. The connection '{mailbox.settings.conn_id}' holds the sealed token.")
    warn(kept.surplus)
    if kept.store_failure is not None:
        problem = told(kept.store_failure, mailbox.settings.conn_id)
        warn(f"the token store does not work yet, tasks will need it. {problem}")


def _prove_own_access(mailbox: Mailbox) -> None:
    authorization.prove_own_access(mailbox)
    print(
        f"Nobody needs to sign in: the connection '{mailbox.settings.conn_id}' gets its tokens by "
        "itself, and just did. Its secrets are sealed."
    )


def _sign_in(settings: OAuthSettings, args: Any, transport: Transport) -> TokenResponse:
    if args.device:
        settings = discovery.complete(
            settings, transport, "token_url", wanted=("device_url", "jwks_url")
        )
        return _by_device(settings, transport)
    settings = discovery.complete(
        settings, transport, "token_url", "authorize_url", wanted=("jwks_url",)
    )
    sign_in = _by_paste if args.no_browser else _by_browser
    return sign_in(settings, args.redirect_port, transport)


def _by_device(settings: OAuthSettings, transport: Transport) -> TokenResponse:
    device = device_authorization.start(settings, transport)
    print(f"On any device, open {device.verification_uri}, sign in as {settings.login} and enter")
    print(f"\n    {device.user_code}\n")
    if device.verification_uri_complete:
        print(f"or open {device.verification_uri_complete}")
    print(f"The code is good for {device.lifetime_seconds / 60:.0f} minutes.", flush=True)
    return device_authorization.wait(settings, device, transport)


def _by_browser(settings: OAuthSettings, redirect_port: int, transport: Transport) -> TokenResponse:
    host = settings.profile.loopback_redirect_host
    with RedirectListener(host=host, port=redirect_port) as listener:
        pending = authorization_code.start(settings, listener.redirect_uri)
        print(f"Sign in as {settings.login}. If no browser opens, open this address:")
        print(f"\n{pending.url}\n", flush=True)
        webbrowser.open(pending.url)
        answer = listener.wait(
            state=pending.state,
            timeout_seconds=authorization_code.LIFETIME.total_seconds(),
        )
    return authorization_code.finish(settings, pending, answer, transport)


def _by_paste(settings: OAuthSettings, redirect_port: int, transport: Transport) -> TokenResponse:
    # Nobody listens there; a random high port makes it unlikely that anybody else does.
    port = redirect_port or secrets.choice(_DYNAMIC_PORTS)
    redirect_uri = f"http://{settings.profile.loopback_redirect_host}:{port}"
    pending = authorization_code.start(settings, redirect_uri)
    print(f"Open this address in any browser and sign in as {settings.login}:")
    print(f"\n{pending.url}\n")
    print(
        f"In the end the browser cannot open a page that begins with {redirect_uri}. Copy the "
        "whole address of that page and paste it here:",
        flush=True,
    )
    pasted = sys.stdin.readline().strip()
    if not pasted:
        raise AuthorizationFlowError("No address was pasted.", step="sign-in")
    return authorization_code.finish(settings, pending, pasted, transport)
