# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of :mod:`tests.servers.authorization_server`."""
