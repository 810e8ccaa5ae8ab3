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
from airflow_imap_oauth.cli.listener import RedirectListener
from airflow_imap_oauth.exceptions import (
    AuthorizationFlowError,
    ConfigurationError,
    ImapOAuthError,
    SealingError,
)
from airflow_imap_oauth.hooks.keys import CLIENT_SECRET_PURPOSE
from airflow_imap_oauth.hooks.mailbox import Mailbox, open_mailbox
from airflow_imap_oauth.oauth import authorization_code, discovery
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.tokens.sealing import is_sealed
from airflow_imap_oauth.tokens.seeds import seal_refresh_token

EXIT_FAILED = 1
EXIT_CONFIGURATION = 2

_MAX_PORT = 65535
_DYNAMIC_PORTS = range(49152, 65536)
_EVENT = "imap_oauth.authorized"


@suppress_logs_and_warning
@providers_configuration_loaded
def login(args: Any) -> None:
    """Run the command."""
    try:
        _login(args.conn_id, no_browser=args.no_browser, redirect_port=args.redirect_port)
    except (ConfigurationError, SealingError) as error:
        _fail(error, args.conn_id, EXIT_CONFIGURATION)
    except ImapOAuthError as error:
        _fail(error, args.conn_id, EXIT_FAILED)
    except KeyboardInterrupt:
        print("\nStopped; nothing was saved.", file=sys.stderr)
        raise SystemExit(EXIT_FAILED) from None


def _fail(error: ImapOAuthError, conn_id: str, code: int) -> None:
    text = str(error.located(conn_id=conn_id)).replace("CONN_ID", conn_id)
    print(text, file=sys.stderr)
    raise SystemExit(code) from None


def _login(conn_id: str, *, no_browser: bool, redirect_port: int) -> None:
    if not 0 <= redirect_port <= _MAX_PORT:
        raise ConfigurationError(f"--redirect-port must be from 0 to {_MAX_PORT}.")
    mailbox = open_mailbox(load(conn_id))
    # Before anybody signs in: without a key, what they bring back could not be kept.
    mailbox.sealer.seal("probe", purpose="probe", binding={})
    with Transport(mailbox.settings.oauth.transport) as transport:
        settings = discovery.complete(mailbox.settings.oauth, transport)
        sign_in = _by_paste if no_browser else _by_browser
        response = sign_in(settings, redirect_port, transport)
    _save(mailbox, response)
    _begin_record(mailbox, response)


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


def _save(mailbox: Mailbox, response: TokenResponse) -> None:
    """Write the sealed refresh token into the connection."""
    sealed = seal_refresh_token(
        response,
        settings=mailbox.settings.oauth,
        binding=mailbox.binding,
        sealer=mailbox.sealer,
    )

    def decide(row: Any) -> NewSecrets:
        now = open_mailbox(row, mailbox.options)
        if (now.binding, now.settings.oauth.login) != (
            mailbox.binding,
            mailbox.settings.oauth.login,
        ):
            raise AuthorizationFlowError(
                "The connection was changed while you signed in, so nothing was saved."
            )
        return NewSecrets(password=sealed, client_secret=_sealed_client_secret(now, row))

    save(
        mailbox.settings.conn_id,
        decide,
        event=_EVENT,
        details={
            "mail_provider": mailbox.settings.oauth.profile.name,
            "login": mailbox.settings.oauth.login,
        },
    )
    print(f"Authorized. The connection '{mailbox.settings.conn_id}' holds the sealed token.")


def _begin_record(mailbox: Mailbox, response: TokenResponse) -> None:
    """Keep the access token that came along; without it, the next use renews at once."""
    try:
        mailbox.token_manager().accept_authorization(response)
    except ImapOAuthError as error:
        print(
            f"Warning: the token store does not work yet, tasks will need it. {error}",
            file=sys.stderr,
        )


def _sealed_client_secret(mailbox: Mailbox, row: Any) -> str | None:
    """Seal a client secret that was typed plain; None leaves what is there."""
    stored = json.loads(row.extra or "{}").get("client_secret")
    plain = mailbox.settings.oauth.client_secret
    if plain is None or (isinstance(stored, str) and is_sealed(stored.strip())):
        return None
    return mailbox.sealer.seal(plain, purpose=CLIENT_SECRET_PURPOSE, binding=mailbox.binding)
