# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests of hooks."""

from __future__ import annotations

from tests.hooks.mailboxes import airflow_server, embedded_mailbox, mailbox

__all__ = ["airflow_server", "embedded_mailbox", "mailbox"]
