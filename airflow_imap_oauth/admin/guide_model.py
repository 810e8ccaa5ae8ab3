# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What a set-up guide is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from airflow_imap_oauth.oauth.profiles import Grant

#: How a mail provider compares the redirect URI of ``airflow imap-oauth login`` with the registered
#: one: its port does not matter, it must be the same, or none needs to be registered.
Loopback = Literal["any_port", "exact", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuideSource:
    """
    Where a step comes from, and the day on which it was read there.

    :param confirmed: False where the page is not the mail provider's own, or does not say it
        outright.
    """

    url: str
    read_on: date
    confirmed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class GuideStep:
    """
    One thing to do.

    :param text: For people.
    :param commands: To copy, in the order in which they are run.
    :param by_administrator: It takes the rights of an administrator at the mail provider.
    """

    text: str
    sources: tuple[GuideSource, ...]
    commands: tuple[str, ...] = ()
    by_administrator: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GuideWay:
    """
    How to set up one grant.

    :param fields: What goes into the connection besides, by the labels of its form.
    """

    grant: Grant
    steps: tuple[GuideStep, ...]
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """
    The set-up guide of one mail provider.

    :param console_url: Where applications are registered; empty: there is no such page.
    """

    console_url: str
    loopback: Loopback
    ways: tuple[GuideWay, ...]
