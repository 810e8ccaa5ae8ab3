# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""``airflow imap-oauth list-mail-providers``: what a connection can name, and what that offers."""

from __future__ import annotations

import sys
from typing import Any

from airflow.utils.cli import suppress_logs_and_warning

from airflow_imap_oauth.cli.exit_codes import EXIT_CONFIGURATION, exit_codes
from airflow_imap_oauth.cli.output import Row, show
from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.oauth.profiles import MailProviderProfile, get_profile, profile_names

_INTERRUPTED = "Stopped."


@suppress_logs_and_warning
def list_mail_providers(args: Any) -> None:
    """Run the command."""
    with exit_codes("", interrupted=_INTERRUPTED):
        _list(args.output)


def _list(output: str) -> None:
    profiles = [_profile(name) for name in profile_names()]
    show([_row(profile) for profile in profiles if profile is not None], output)
    if None in profiles:
        raise SystemExit(EXIT_CONFIGURATION)


def _profile(name: str) -> MailProviderProfile | None:
    """Return a profile; one of another package that is broken must not hide those that work."""
    try:
        return get_profile(name)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return None


def _row(profile: MailProviderProfile) -> Row:
    return {
        "name": profile.name,
        "label": profile.label,
        "imap_host": profile.imap_host,
        "regions": profile.regions,
        "grants": profile.grants,
        "device_sign_in": _offered(profile, profile.device_url),
        "revocation": _offered(profile, profile.revoke_url),
    }


def _offered(profile: MailProviderProfile, url: str | None) -> bool | None:
    """Tell whether there is an endpoint; None where the connection or its issuer says."""
    return None if profile.token_url is None and url is None else url is not None
