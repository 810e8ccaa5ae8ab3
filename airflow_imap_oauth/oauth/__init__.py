# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""OAuth 2.0: mail-provider profiles, one transport, grants, and the answers understood."""
