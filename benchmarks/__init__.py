# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Benchmarks against the peers: ``python -m benchmarks``.

Every measure is taken in a fresh child process, ours and the peer's alternately, against one
Dovecot with one generated mailbox, over TLS.
"""
