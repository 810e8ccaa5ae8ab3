# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""``airflow imap-oauth login``: somebody signs in and consents, and the connection remembers."""

from __future__ import annotations

import json
import secrets
import sys
import webbrowser
from typing import Any

from airflow.utils.cli import suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

from airflow_imap_oauth.cli.connections import NewSecrets, load, save
from airflow_imap_oauth.cli.exit_codes import exit_codes, told, warn
from airflow_imap_oauth.cli.listener import RedirectListener
from airflow_imap_oauth.exceptions import (
    AuthorizationFlowError,
    ConfigurationError,
    ImapOAuthError,
)
from airflow_imap_oauth.hooks.keys import sealed_secrets
from airflow_imap_oauth.hooks.mailbox import Mailbox, open_mailbox
from airflow_imap_oauth.oauth import authorization_code, device_authorization, discovery
from airflow_imap_oauth.oauth.accounts import is_another
from airflow_imap_oauth.oauth.expiry import expiry_warning
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.scopes import surplus_warning
from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.tokens.manager import utc_now
from airflow_imap_oauth.tokens.refreshing import ServerRefresh
from airflow_imap_oauth.tokens.seeds import seal_refresh_token

_MAX_PORT = 65535
_DYNAMIC_PORTS = range(49152, 65536)
_EVENT = "imap_oauth.authorized"
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
        _check_own_access(mailbox)
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
    _check_account(mailbox, response, confirmed=args.other_account)
    _save(
        mailbox,
        seal_refresh_token(
            response,
            settings=mailbox.settings.oauth,
            binding=mailbox.binding,
            sealer=mailbox.sealer,
        ),
    )
    print(f"Authorized. The connection '{mailbox.settings.conn_id}' holds the sealed token.")
    warn(surplus_warning(mailbox.settings.oauth, response.scopes))
    _begin_record(mailbox, response)


def _check_own_access(mailbox: Mailbox) -> None:
    """Nobody signs in: see whether the client's own credential works, and seal it."""
    ServerRefresh(mailbox.settings.oauth)("")
    _save(mailbox, None)
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


def _check_account(mailbox: Mailbox, response: TokenResponse, *, confirmed: bool) -> None:
    """Refuse another account than the one that authorized before, unless that is confirmed."""
    settings = mailbox.settings.oauth
    shown = response.account.shown if response.account else None
    who = f"as {shown}" if shown else "with an account"
    bound = mailbox.token_manager().state().account
    if is_another(bound, response.account) and not confirmed:
        raise AuthorizationFlowError(
            f"You signed in {who} that is not the account which authorized before, so nothing was"
            " saved.",
            hint=f"{_sign_in_anew(settings.login)} If the change is meant, repeat the command with"
            " --other-account.",
            step="sign-in",
        )
    if shown and shown.lower() != settings.login.lower():
        warn(
            f"You signed in as {shown}; the connection says {settings.login} ('Mailbox address' in"
            " the form). If these are two names of one account, or the mailbox is shared with it,"
            " all is well. If the address is wrong, correct it. If the person is wrong:"
            f" {_sign_in_anew(settings.login)}"
        )


def _sign_in_anew(login: str) -> str:
    return (
        f"Run the command again to sign in as {login}. A browser that signs you in as somebody else"
        " without asking: sign out there first, or open the printed address in a private window."
    )


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


def _save(mailbox: Mailbox, sealed_refresh_token: str | None) -> None:
    """Write what is sealed into the connection: the refresh token, and secrets typed plain."""

    def decide(row: Any) -> NewSecrets:
        now = open_mailbox(row, mailbox.options)
        if (now.binding, now.settings.oauth.login) != (
            mailbox.binding,
            mailbox.settings.oauth.login,
        ):
            raise AuthorizationFlowError(
                "The connection was changed while you signed in, so nothing was saved."
            )
        stored = json.loads(row.extra or "{}")
        sealed = sealed_secrets(now.settings.oauth, stored, now.binding, now.sealer)
        return NewSecrets(password=sealed_refresh_token, extra=dict(sealed))

    oauth = mailbox.settings.oauth
    save(
        mailbox.settings.conn_id,
        decide,
        event=_EVENT,
        details={"mail_provider": oauth.profile.name, "login": oauth.login},
    )


def _begin_record(mailbox: Mailbox, response: TokenResponse) -> None:
    """Keep the access token that came along; without it, the next use renews at once."""
    try:
        mailbox.token_manager().accept_authorization(response)
    except ImapOAuthError as error:
        conn_id = mailbox.settings.conn_id
        warn(f"the token store does not work yet, tasks will need it. {told(error, conn_id)}")
