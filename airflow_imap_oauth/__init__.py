# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
OAuth 2.0 mailboxes as a data source for Apache Airflow.

Airflow imports this package before its own configuration exists, so nothing is imported here.
"""

from __future__ import annotations

__version__ = "0.1.0"
