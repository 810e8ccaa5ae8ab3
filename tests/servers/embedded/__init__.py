# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of :mod:`tests.servers.embedded_imap`: pure Python, standard library only."""
