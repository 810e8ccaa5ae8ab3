# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Which token store is used, as ``[imap_oauth] token_store`` says."""

from __future__ import annotations

import re

from airflow.configuration import conf

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.hooks.config import PackageOptions
from airflow_imap_oauth.hooks.masking import mask
from airflow_imap_oauth.hooks.variable_store import VariableTokenStore
from airflow_imap_oauth.tokens.file_store import FileTokenStore
from airflow_imap_oauth.tokens.store import TokenStore
from airflow_imap_oauth.tokens.stores import load_store

# Executors whose tasks run on the scheduler's host, by class name.
_LOCAL_EXECUTORS = frozenset({"LocalExecutor", "DebugExecutor", "InProcessExecutor"})


def token_store(options: PackageOptions) -> TokenStore:
    """
    Return the store that the options name.

    :raises ConfigurationError: If there is none of that name, or if it cannot work with the
        configured executors. A retry cannot help.
    """
    name = options.token_store
    if name == "variable":
        return VariableTokenStore(options.lease_delay_seconds)
    if name == "sql":
        return _sql_store(options)
    if name == "file":
        if not options.file_folder_shared:
            _refuse_other_hosts()
        return FileTokenStore(options.file_folder)
    return load_store(name)


def _sql_store(options: PackageOptions) -> TokenStore:
    if not options.sql_alchemy_conn:
        raise ConfigurationError(
            "The token store 'sql' has no database.",
            hint="Set [imap_oauth] sql_alchemy_conn to the URL of a PostgreSQL or SQLite database "
            "that every component of Airflow can reach.",
            step="token store",
        )
    mask(options.sql_alchemy_conn)
    from airflow_imap_oauth.tokens.sql_store import SqlTokenStore  # noqa: PLC0415  # SQLAlchemy

    return SqlTokenStore(options.sql_alchemy_conn)


def _refuse_other_hosts() -> None:
    configured = conf.get("core", "executor", fallback="LocalExecutor") or ""
    for entry in re.split("[,;]", configured):
        # An entry reads [team=][alias:][package.module.]Class; only the class's own name counts.
        name = re.split("[=:.]", entry)[-1].strip()
        if name and name not in _LOCAL_EXECUTORS:
            raise ConfigurationError(
                f"The token store 'file' is for one host, but {name} runs tasks on others.",
                hint="Set [imap_oauth] token_store to variable; or, where file_folder is one "
                "folder shared by all hosts, set file_folder_shared to True.",
                step="token store",
            )
