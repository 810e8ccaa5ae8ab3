# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Who consented, told by what does not change: addresses do, and are for showing only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """
    An account at an authorization server.

    :param claims: What tells it from others: ``tid`` and ``oid`` of Microsoft Entra, else ``iss``,
        ``client_id`` and ``sub`` (a subject may be made for one client alone).
    :param shown: Its address as the server tells it, for people; None where it does not.
    """

    claims: Mapping[str, str]
    shown: str | None = None


def bound_after(bound: Mapping[str, str] | None, found: Account | None) -> Mapping[str, str] | None:
    """
    Return the claims to keep of an account that is not another one.

    :param bound: The claims kept so far, or None.
    :param found: What the newest answer tells; None where it is silent.
    :return: The bound ones, unless there were none, or they were told to an earlier client.
    """
    if bound is None or found is None:
        return bound if found is None else found.claims
    of_earlier_client = (
        "sub" in bound
        and "sub" in found.claims
        and bound.get("client_id") != found.claims["client_id"]
    )
    return found.claims if of_earlier_client else bound


def is_another(bound: Mapping[str, str] | None, found: Account | None) -> bool:
    """
    Tell whether an account is surely not the one that is bound.

    :param bound: The claims kept of it, or None.
    :return: False also where the two cannot be compared: another server or another client names
        the same account differently.
    """
    if bound is None or found is None:
        return False
    if bound.keys() != found.claims.keys():
        return False
    if "sub" in bound:
        place = ("iss", "client_id")
        if any(bound.get(name) != found.claims[name] for name in place):
            return False
    return dict(bound) != dict(found.claims)
