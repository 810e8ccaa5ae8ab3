# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The peer: Airflow's own IMAP hook, signed in with an access token; all else is its own code."""

from __future__ import annotations

from airflow.providers.imap.hooks.imap import ImapHook


class TokenImapHook(ImapHook):
    """
    Upstream's hook, which knows passwords only, with XOAUTH2 in their place.

    The connection's password is the access token.
    """

    def get_conn(self) -> ImapHook:
        """Sign in."""
        if not self.mail_client:
            connection = self.get_connection(self.imap_conn_id)
            # Annotated for the connections of Airflow's core, called with those of its Task SDK.
            self.mail_client = self._build_client(connection)  # type: ignore[arg-type]
            first = f"user={connection.login}\x01auth=Bearer {connection.password}\x01\x01"
            self.mail_client.authenticate("XOAUTH2", lambda _: first.encode())
        return self
