# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""From what a DAG names as destination to a path in Airflow's object storage."""

from __future__ import annotations

from airflow.sdk import ObjectStoragePath

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.imap.shown import shown


def destination_path(url: str | ObjectStoragePath) -> ObjectStoragePath:
    """
    Return the path that a URL names. Nothing is read or written.

    :raises ConfigurationError: If no installed file system knows such URLs. A retry cannot help.
    """
    text = str(url)
    scheme, _, rest = text.partition("://")
    authority = rest.partition("/")[0]
    if ":" in authority.rpartition("@")[0]:
        raise _refused(
            "It holds a password.", "Name an Airflow connection there: s3://my_s3@bucket/mail"
        )
    if scheme in ("file", "local") and authority:
        raise _refused(
            "A URL of a local folder has three slashes.", "For example file:///data/mail."
        )
    try:
        return ObjectStoragePath(url)
    except Exception:  # noqa: BLE001  # each file system refuses in its own way, with its own words
        raise _refused(
            f"No installed file system opens a destination of the kind '{shown(scheme)}'.",
            "Correct the URL, or install the Airflow provider or library for it.",
        ) from None


def _refused(what: str, hint: str) -> ConfigurationError:
    return ConfigurationError(what, hint=hint, step="destination")
