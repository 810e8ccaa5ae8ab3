# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""*Set-up guide*: what to register at each mail provider, with redirect URIs ready to copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse

from airflow_imap_oauth.admin.guide_model import Loopback
from airflow_imap_oauth.admin.guides import guide_of
from airflow_imap_oauth.admin.mailboxes import GRANTS
from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.oauth.profiles import MailProviderProfile, get_profile, profile_names
from airflow_imap_oauth.ui.access import may_read_connections
from airflow_imap_oauth.ui.addresses import PREFIX, base_url
from airflow_imap_oauth.ui.rendering import render

router = APIRouter(dependencies=[may_read_connections])

#: Any port that is free on the machines of those who sign in does.
_EXAMPLE_PORT = 8765
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _RedirectUris:
    """
    What to register.

    :param pages: Of the pages; empty: this Airflow does not know its own address.
    :param is_insecure: Mail providers will refuse it.
    :param loopback: Of the command; empty: none needs to be registered.
    :param port: The port to name in the command; None: any will do.
    """

    pages: str
    is_insecure: bool
    loopback: str
    port: int | None


@router.get("/guide")
def guide(
    request: Request,
    user: GetUserDep,
    mail_provider: Annotated[str, Query(max_length=250)] = "",
) -> HTMLResponse:
    """Show the guide of one mail provider, or the list of all."""
    if not mail_provider:
        known = [(name, _label(name)) for name in profile_names()]
        return render(request, "guides.html", user=user, mail_providers=known)
    if mail_provider not in profile_names():
        raise HTTPException(404, "There is no such mail provider.")
    profile = get_profile(mail_provider)
    found = guide_of(mail_provider)
    return render(
        request,
        "guide.html",
        user=user,
        profile=profile,
        guide=found,
        ways=[way for way in found.ways if way.grant in profile.grants],
        uris=_redirect_uris(profile, found.loopback),
        grants=GRANTS,
    )


def _label(name: str) -> str:
    try:
        return get_profile(name).label
    except ConfigurationError:  # a broken package hides no other mail provider
        return name


def _redirect_uris(profile: MailProviderProfile, loopback: Loopback) -> _RedirectUris:
    own = base_url()
    parts = urlsplit(own)
    port = _EXAMPLE_PORT if loopback == "exact" else None
    host = profile.loopback_redirect_host
    return _RedirectUris(
        pages=f"{own}{PREFIX}/callback" if own else "",
        is_insecure=parts.scheme != "https" and parts.hostname not in _LOCAL_HOSTS,
        loopback=""
        if loopback == "none"
        else f"http://{host}:{port}"
        if port
        else f"http://{host}",
        port=port,
    )
