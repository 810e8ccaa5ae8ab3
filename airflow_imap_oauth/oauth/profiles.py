# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Find a mail-provider profile by its name: built in, or added by an entry point."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.oauth.mail_provider import (
    ClientAuthMethod,
    Grant,
    MailProviderProfile,
    SaslMechanism,
    Source,
)
from airflow_imap_oauth.oauth.mail_providers import BUILT_IN

__all__ = [
    "ENTRY_POINT_GROUP",
    "ClientAuthMethod",
    "Grant",
    "MailProviderProfile",
    "SaslMechanism",
    "Source",
    "get_profile",
    "profile_names",
]

ENTRY_POINT_GROUP = "airflow_imap_oauth.mail_providers"


def profile_names() -> tuple[str, ...]:
    """Return the names of all profiles, the built-in ones first. Loads no entry point."""
    added = sorted({entry.name for entry in _entries()} - BUILT_IN.keys())
    return (*BUILT_IN, *added)


def get_profile(name: str) -> MailProviderProfile:
    """
    Return a profile by its name.

    An entry point cannot take the name of a built-in profile: whoever can install a package
    could else send the tokens of every existing connection elsewhere, unseen.

    :param name: The value of ``mail_provider`` in the connection.
    :raises ConfigurationError: If there is none, or its entry point is broken.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    entries = [entry for entry in _entries() if entry.name == name]
    if not entries:
        raise ConfigurationError(
            "The mail provider is unknown.", hint=f"Choose one of: {', '.join(profile_names())}."
        )
    if len({entry.value for entry in entries}) > 1:
        raise ConfigurationError(
            f"Several packages define the mail provider '{name}'.",
            hint=f"Uninstall all but one: {', '.join(sorted(map(_distribution, entries)))}.",
        )
    return _loaded(entries[0])


def _entries() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=ENTRY_POINT_GROUP))


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value


def _loaded(entry: EntryPoint) -> MailProviderProfile:
    problem = ""
    try:
        value = entry.load()
        profile = value if isinstance(value, MailProviderProfile) else value()
    except Exception as error:  # noqa: BLE001  # code of another package may raise anything
        problem = f"raised {type(error).__name__}"
    else:
        if isinstance(profile, MailProviderProfile) and profile.name == entry.name:
            return profile
        problem = f"does not give a profile named '{entry.name}'"
    raise ConfigurationError(
        f"The mail provider '{entry.name}' cannot be loaded: '{entry.value}' {problem}.",
        hint=f"Check the package {_distribution(entry)}.",
    )
