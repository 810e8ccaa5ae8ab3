# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""From what a DAG names as destination to a path in Airflow's object storage."""

from __future__ import annotations

from urllib.parse import urlsplit

from airflow.sdk import ObjectStoragePath

from airflow_imap_oauth.exceptions import ConfigurationError


def destination_path(url: str | ObjectStoragePath) -> ObjectStoragePath:
    """
    Return the path that a URL names. Nothing is read or written.

    :raises ConfigurationError: If no installed file system knows such URLs. A retry cannot help.
    """
    try:
        return ObjectStoragePath(url)
    except Exception:  # noqa: BLE001  # each file system refuses in its own way, with its own words
        raise ConfigurationError(
            f"No installed file system opens a destination of the kind "
            f"'{urlsplit(str(url)).scheme}'.",
            hint="Correct the URL, or install the Airflow provider or library for it.",
            step="destination",
        ) from None
