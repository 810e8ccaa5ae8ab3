# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The grants once more, against a server that is not ours; run by ``make matrix``."""
