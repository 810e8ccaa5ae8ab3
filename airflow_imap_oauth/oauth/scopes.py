# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Scopes: what was asked for, what was granted, and what of it IMAP needs."""

from __future__ import annotations

import re
from collections.abc import Iterable

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


def split_scope(value: str) -> tuple[str, ...]:
    """Split a scope string (RFC 6749 section 3.3), each scope once, in its order."""
    return tuple(dict.fromkeys(value.split()))


def missing_scopes(needed: Iterable[str], granted: Iterable[str]) -> tuple[str, ...]:
    """
    Return the needed scopes that were not granted.

    Scopes are compared case-sensitively (RFC 6749 section 3.3), apart from Microsoft's
    prefixes. Scopes that only ask for identity or a refresh token are not IMAP's.
    """
    names = {_OUTLOOK_PREFIX.sub("", scope, count=1) for scope in granted}
    return tuple(
        scope
        for scope in needed
        if scope not in IDENTITY_SCOPES and _OUTLOOK_PREFIX.sub("", scope, count=1) not in names
    )
