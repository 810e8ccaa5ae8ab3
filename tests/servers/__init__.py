# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Real servers on loopback: authorization server, mail servers, proxy, a whole Airflow."""
