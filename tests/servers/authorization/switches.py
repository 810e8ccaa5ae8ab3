# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""How the server behaves, to be changed by a test at any time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

AccessTokenFormat = Literal["opaque", "jwt"]
ScopeSpelling = Literal["asked", "other_resource", "short"]
YahooErrors = Literal["object", "flat"]


@dataclass(kw_only=True, eq=False)
class Switches:
    """
    How the server behaves; each may be set at any time.

    :param rotate_refresh_tokens: Every refresh at the generic endpoint returns a new refresh token
        and ends the old one; an ended one that is used again revokes all that descends from the
        same consent. False: the refresh token stays, and none is returned.
    :param access_token_lifetime_seconds: Of the tokens issued from now on.
    :param access_token_format: ``opaque``, or ``jwt`` (type ``JWT``, since Dovecot 2.3 knows no
        other).
    :param invalid_client_status: HTTP status of ``invalid_client``: 401 or 400.
    :param clock_offset_seconds: How far the wall clock of the server is ahead: of its tokens, of
        its checks of assertions, and of the header Date.
    :param device_interval_seconds: How far polls for a device code must be apart.
    :param device_lifetime_seconds: Of a device code and its user code.
    :param granted_scopes: A user consents to no others of those that were asked for; None: to all.
    :param scope_spelling: How Microsoft's token response names the scopes of mail: as asked, for
        the other of the two names of Exchange Online, or without the resource.
    :param yahoo_errors: ``object``: members of an object in ``error``; ``flat``: as RFC 6749 says.
    :param zoho_location: The data centre of the accounts, told at Zoho's callback.
    :param keep_access_tokens: A refresh at Yandex returns the same access token, as long as it has
        half its lifetime left.
    """

    rotate_refresh_tokens: bool = True
    access_token_lifetime_seconds: int = 3600
    access_token_format: AccessTokenFormat = "opaque"
    invalid_client_status: int = 401
    clock_offset_seconds: float = 0.0
    device_interval_seconds: int = 5
    device_lifetime_seconds: int = 900
    granted_scopes: tuple[str, ...] | None = None
    scope_spelling: ScopeSpelling = "asked"
    yahoo_errors: YahooErrors = "object"
    zoho_location: str = "us"
    keep_access_tokens: bool = True


def checked(name: str, value: object) -> object:
    """
    Return the value of a switch as it is kept.

    :param value: As JSON has it: a list for a tuple, an integer for a float.
    :raises ValueError: there is no such switch, or the value is of another type.
    """
    known = vars(Switches())
    if name == "granted_scopes":
        if value is None:
            return None
        if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
            return tuple(value)
    elif name in known:
        wanted = type(known[name])
        if type(value) is wanted:
            return value
        if wanted is float and type(value) is int:
            return float(value)
    raise ValueError(f"{name} is no switch, or its type is wrong")
