# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Scopes: what was asked for, what was granted, and what of it IMAP needs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.oauth.settings import OAuthSettings

#: OpenID Connect Core section 5.4 and 11. Servers need not repeat them among the granted ones.
IDENTITY_SCOPES = frozenset({"openid", "profile", "email", "address", "phone", "offline_access"})

# Microsoft Entra names one permission in several ways: by any of Exchange Online's resource
# URIs, by the application id of that resource, or by the bare name
# (learn.microsoft.com/entra/identity-platform/scopes-oidc, read on 2026-11-25).
_OUTLOOK_PREFIX = re.compile(
    r"^(?:https://(?:outlook\.(?:office\.com|office365\.com|office365\.us)"
    r"|outlook-dod\.office365\.us|partner\.outlook\.cn)"
    r"|00000002-0000-0ff1-ce00-000000000000)/+"
)


# Google's long names of two of OpenID Connect's
# (developers.google.com/identity/protocols/oauth2/scopes, read on 2026-11-26).
_GOOGLE_PREFIX = "https://www.googleapis.com/auth/userinfo."
#: Whatever the application was permitted (learn.microsoft.com/entra/identity-platform/
#: scopes-oidc): no answer lists it.
_WHATEVER_PERMITTED = ".default"
# RFC 6749 section 3.3.
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


def split_scope(value: str) -> tuple[str, ...]:
    """Split a scope string (RFC 6749 section 3.3), each scope once, in its order."""
    return tuple(dict.fromkeys(value.split()))


def is_scope(name: str) -> bool:
    """Tell whether a name is made of the characters that a scope may have."""
    return _SCOPE.fullmatch(name) is not None


def asked_scopes(settings: OAuthSettings) -> tuple[str, ...]:
    """
    Return what a sign-in asks for, each scope once.

    :raises ConfigurationError: As :func:`check_scopes`.
    """
    check_scopes(settings)
    return tuple(dict.fromkeys((*settings.scopes, *settings.extra_scopes)))


def check_scopes(settings: OAuthSettings) -> None:
    """
    Refuse a scope that no server can have, such as one with typographic quotes.

    Only the character is named: what was entered in the wrong field may be a secret.

    :raises ConfigurationError: If there is one. A retry cannot help.
    """
    for number, name in enumerate((*settings.scopes, *settings.extra_scopes), start=1):
        if is_scope(name):
            continue
        wrong = next((f"U+{ord(one):04X}" for one in name if not is_scope(one)), "nothing")
        raise ConfigurationError(
            f"Scope {number} of the connection holds {wrong}, which no scope may (RFC 6749"
            " section 3.3).",
            hint="Set scopes of the connection as the mail provider spells them, with spaces in"
            " between and without quotes.",
        )


def missing_scopes(needed: Iterable[str], granted: Iterable[str]) -> tuple[str, ...]:
    """
    Return the needed scopes that were not granted.

    Scopes are compared case-sensitively (RFC 6749 section 3.3), apart from Microsoft's
    prefixes. Scopes that only ask for identity or a refresh token are not IMAP's.
    """
    names = {_name(scope) for scope in granted}
    return tuple(
        scope
        for scope in needed
        if _name(scope) not in IDENTITY_SCOPES | {_WHATEVER_PERMITTED} | names
    )


def surplus_scopes(asked: Iterable[str], granted: Iterable[str]) -> tuple[str, ...]:
    """
    Return the granted scopes that nobody asked for.

    :return: Nothing where what was asked for is not known, or is whatever is permitted.
    """
    names = {_name(scope) for scope in asked}
    if not names or _WHATEVER_PERMITTED in names:
        return ()
    return tuple(scope for scope in granted if _name(scope) not in IDENTITY_SCOPES | names)


def surplus_warning(settings: OAuthSettings, scopes: tuple[str, ...] | None) -> str | None:
    """
    Warn of access that nobody needs: an application should have the least that does the job.

    :param scopes: As granted; None where the answer is silent.
    """
    asked = (*settings.scopes, *settings.extra_scopes)
    surplus = surplus_scopes(asked, scopes or ()) if settings.scopes else ()
    if not surplus:
        return None
    return (
        f"More was granted than IMAP needs: {' '.join(surplus)}. Take it out of the application's"
        " registration."
    )


def _name(scope: str) -> str:
    return _OUTLOOK_PREFIX.sub("", scope, count=1).removeprefix(_GOOGLE_PREFIX)
