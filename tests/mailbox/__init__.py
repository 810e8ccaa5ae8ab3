# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Mail for tests and the demo, the same at every run.

:data:`WELL_FORMED` and :data:`BROKEN` are tables of single messages, a name each;
:func:`small_mailbox` makes up a realistic mailbox of any number of messages from a seed.
"""

from __future__ import annotations

from tests.mailbox.broken import BROKEN
from tests.mailbox.model import Attachment, Mail
from tests.mailbox.small import small_mailbox
from tests.mailbox.well_formed import WELL_FORMED

__all__ = ["BROKEN", "WELL_FORMED", "Attachment", "Mail", "small_mailbox"]
