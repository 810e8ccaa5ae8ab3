# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments of operators and sensors, as a DAG names them and as templates fill them in."""

from __future__ import annotations

from airflow_imap_oauth.exceptions import ConfigurationError


def check_given(**arguments: object) -> None:
    """
    Refuse arguments that are empty when the DAG is parsed; templates are filled in later.

    :raises ConfigurationError: If one is. A retry cannot help.
    """
    for name, value in arguments.items():
        if not value:
            raise ConfigurationError(f"{name} is empty.")


def check_rendered(**arguments: object) -> None:
    """
    Refuse what templates make of values that are missing: it would choose silently.

    :raises ConfigurationError: If an argument is no text, is empty, or is ``None`` as text. A
        retry cannot help.
    """
    for name, value in arguments.items():
        if not isinstance(value, str) or value.strip() in ("", "None"):
            raise ConfigurationError(
                f"{name} is {value!r} once its template is filled in."[:200],
                hint="Check the template, and what the DAG run hands to it.",
                step="arguments",
            )
