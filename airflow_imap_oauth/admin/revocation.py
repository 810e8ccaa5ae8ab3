# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Taking access back, at the mail provider and here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from airflow_imap_oauth.admin.connections import NewSecrets, save
from airflow_imap_oauth.exceptions import ConfigurationError, ImapOAuthError
from airflow_imap_oauth.hooks.mailbox import Mailbox
from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.tokens.refreshing import ServerRevocation

_EVENT = "imap_oauth.revoked"

#: ``revoked``: the mail provider no longer accepts the tokens; ``none``: there were none;
#: ``own``: none is needed, so access stays; ``not_offered``: the mail provider revokes nothing, and
#: the failure says what to do there; ``failed``: it may still accept them.
Ending = Literal["revoked", "none", "own", "not_offered", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """
    How it ended at the mail provider. The local copies are gone in any case.

    :param failure: Why the refresh token may live on, and what to do; None where it does not.
    """

    ending: Ending
    failure: ImapOAuthError | None = None


class _Revoke:
    """Asks the authorization server, and remembers whether there was anything to ask for."""

    def __init__(self, settings: OAuthSettings) -> None:
        self._revoke = ServerRevocation(settings)
        self.asked = False

    def __call__(self, refresh_token: str) -> None:
        self.asked = True
        self._revoke(refresh_token)


def revoke(
    mailbox: Mailbox, *, at_mail_provider: bool = True, owner: str | None = None
) -> Revocation:
    """
    Revoke the refresh token of a connection, and delete every copy of it here.

    :param at_mail_provider: False: only delete it here.
    :param owner: Who did it, for the audit log; None: the user of this process.
    :raises TokenStoreError: If the token store does not work. A retry helps.
    :raises ImapOAuthError: If the connection cannot be written.
    """
    oauth = mailbox.settings.oauth
    asking = _Revoke(oauth)
    failure = mailbox.token_manager().forget(asking if at_mail_provider else None)
    save(
        mailbox.settings.conn_id,
        _without_tokens,
        event=_EVENT,
        details={"mail_provider": oauth.profile.name, "login": oauth.login},
        owner=owner,
    )
    return Revocation(ending=_ending(oauth, asking, failure), failure=failure)


def _ending(oauth: OAuthSettings, asking: _Revoke, failure: ImapOAuthError | None) -> Ending:
    if oauth.grant != "user_consent":
        return "own"
    if failure is None:
        return "revoked" if asking.asked else "none"
    hint = oauth.profile.no_revocation_hint
    # Only where the mail provider offers none: with other settings amiss it was not asked.
    if isinstance(failure, ConfigurationError) and failure.hint == hint:
        return "not_offered"
    failure.hint = f"The mail provider may still accept the refresh token. {hint}"
    return "failed"


def _without_tokens(row: Any) -> NewSecrets:
    held = json.loads(row.extra or "{}")
    return NewSecrets(
        password="", extra={"refresh_token": None} if held.get("refresh_token") else {}
    )
