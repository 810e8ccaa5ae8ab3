# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What becomes of an authorization: whose it may be, and where its tokens are kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_imap_oauth.admin.connections import NewSecrets, save
from airflow_imap_oauth.exceptions import AuthorizationFlowError, ImapOAuthError
from airflow_imap_oauth.hooks.keys import sealed_secrets
from airflow_imap_oauth.hooks.mailbox import Mailbox, open_mailbox
from airflow_imap_oauth.oauth.accounts import is_another
from airflow_imap_oauth.oauth.scopes import surplus_warning
from airflow_imap_oauth.tokens.refreshing import ServerRefresh
from airflow_imap_oauth.tokens.seeds import seal_refresh_token

if TYPE_CHECKING:
    from airflow_imap_oauth.oauth.responses import TokenResponse

_EVENT = "imap_oauth.authorized"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """
    An authorization that is kept.

    :param surplus: What was granted beyond what is needed, as a warning; None: nothing.
    :param store_failure: Why the token store did not take the access token; None: it did. Tasks
        will need that store.
    """

    surplus: str | None
    store_failure: ImapOAuthError | None


def refuse_another_account(mailbox: Mailbox, response: TokenResponse, *, remedy: str) -> None:
    """
    Refuse another account than the one that authorized before.

    :param remedy: What to do where the change is meant.
    :raises AuthorizationFlowError: If it is another one. Nothing was saved.
    """
    if not is_another(mailbox.token_manager().state().account, response.account):
        return
    shown = response.account.shown if response.account else None
    who = f"as {shown}" if shown else "with an account"
    raise AuthorizationFlowError(
        f"You signed in {who} that is not the account which authorized before, so nothing was"
        " saved.",
        hint=f"{sign_in_anew(mailbox.settings.oauth.login)} If the change is meant, {remedy}",
        step="sign-in",
    )


def other_name_warning(mailbox: Mailbox, response: TokenResponse) -> str | None:
    """Warn where the account goes by another name than the mailbox address; None: it does not."""
    login = mailbox.settings.oauth.login
    shown = response.account.shown if response.account else None
    if not shown or shown.lower() == login.lower():
        return None
    return (
        f"You signed in as {shown}; the connection says {login} ('Mailbox address' in the form). If"
        " these are two names of one account, or the mailbox is shared with it, all is well. If the"
        f" address is wrong, correct it. If the person is wrong: {sign_in_anew(login)}"
    )


def sign_in_anew(login: str) -> str:
    """Say how to sign in as the right person."""
    return (
        f"Start again to sign in as {login}. A browser that signs you in as somebody else"
        " without asking: sign out there first, or use a private window."
    )


def sealed_token(mailbox: Mailbox, response: TokenResponse) -> str:
    """
    Return the refresh token as the connection holds it, in its password.

    :raises ReauthorizationRequiredError: If there is none. A retry cannot help.
    """
    return seal_refresh_token(
        response,
        settings=mailbox.settings.oauth,
        binding=mailbox.binding,
        sealer=mailbox.sealer,
    )


def keep(mailbox: Mailbox, response: TokenResponse, *, owner: str | None = None) -> Kept:
    """
    Seal what an authorization brought, together with secrets typed plain, into the connection.

    :param owner: Who did it, for the audit log; None: the user of this process.
    :raises AuthorizationFlowError: If the connection was changed meanwhile. Nothing was saved.
    :raises ReauthorizationRequiredError: If there is no refresh token. Nothing was saved.
    """
    _save(mailbox, sealed_token(mailbox, response), owner)
    failure: ImapOAuthError | None = None
    try:
        # Without the access token that came along, the next use renews at once.
        mailbox.token_manager().accept_authorization(response)
    except ImapOAuthError as error:
        failure = error
    surplus = surplus_warning(mailbox.settings.oauth, response.scopes)
    return Kept(surplus=surplus, store_failure=failure)


def prove_own_access(mailbox: Mailbox, *, owner: str | None = None) -> None:
    """
    Where nobody signs in: see whether the client's own credential works, and seal it.

    :param owner: As for :func:`keep`.
    :raises OAuthError: If it does not work. Nothing was saved.
    """
    ServerRefresh(mailbox.settings.oauth)("")
    _save(mailbox, None, owner)


def _save(mailbox: Mailbox, sealed_refresh_token: str | None, owner: str | None) -> None:
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
        owner=owner,
    )
