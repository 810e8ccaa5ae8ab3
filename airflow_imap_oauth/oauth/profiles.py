# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of each mail provider, as data. More come by the entry point group below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import EntryPoint, entry_points
from typing import Literal

from airflow_imap_oauth.exceptions import ConfigurationError

ENTRY_POINT_GROUP = "airflow_imap_oauth.mail_providers"

EngineName = Literal["rfc6749", "msal", "google-auth"]
SaslMechanism = Literal["xoauth2", "oauthbearer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a value comes from, and the day on which it was read there."""

    url: str
    read_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class MailProviderProfile:
    """
    One mail provider.

    URLs may hold ``{tenant_id}``. A URL that is None is not offered, or (``custom``) comes from
    the connection or from discovery at the issuer.

    :param name: The value of ``mail_provider`` in the connection.
    :param label: Shown to people.
    :param engine: Which token client refreshes.
    :param scopes: The scopes without which IMAP does not work.
    :param extra_scopes: Asked for at authorization besides, for example ``offline_access``.
    :param sasl_mechanism: The mechanism to use, or None for the best that the server offers.
    :param rotates_refresh_token: True where a refresh may return a new refresh token and kill
        the old one; then a refresh token must never be spent without saving the answer.
    :param loopback_redirect_host: Host of the loopback redirect URI (RFC 8252 section 7.3;
        ``localhost`` only where the mail provider demands it).
    :param missing_refresh_token_hint: What the user does when an authorization brought no
        refresh token.
    :param dead_refresh_token_hint: Why this mail provider's refresh tokens die, to be shown when
        one did.
    """

    name: str
    label: str
    engine: EngineName
    scopes: tuple[str, ...]
    extra_scopes: tuple[str, ...] = ()
    imap_host: str | None = None
    imap_port: int = 993
    issuer: str | None = None
    authorize_url: str | None = None
    token_url: str | None = None
    revoke_url: str | None = None
    default_tenant_id: str | None = None
    client_secret_required: bool = False
    sasl_mechanism: SaslMechanism | None = None
    authorize_params: Mapping[str, str] = field(default_factory=dict)
    rotates_refresh_token: bool = True
    loopback_redirect_host: str = "127.0.0.1"
    missing_refresh_token_hint: str = (
        "Add the scope that asks for a refresh token, often offline_access, to the scopes of the"
        " connection, and allow it in the application's registration."
    )
    dead_refresh_token_hint: str = ""
    sources: tuple[Source, ...] = ()


_MICROSOFT = MailProviderProfile(
    name="microsoft",
    label="Microsoft 365 and Outlook.com",
    engine="msal",
    scopes=("https://outlook.office.com/IMAP.AccessAsUser.All",),
    # openid and profile are asked for because MSAL asks for them at every refresh.
    extra_scopes=("offline_access", "openid", "profile"),
    imap_host="outlook.office365.com",
    issuer="https://login.microsoftonline.com/{tenant_id}/v2.0",
    authorize_url="https://login.microsoftonline.com/{tenant_id}/oauth2/v2.0/authorize",
    token_url="https://login.microsoftonline.com/{tenant_id}/oauth2/v2.0/token",
    # Serves applications registered for several tenants and personal accounts; for one
    # registered in a single tenant Entra demands that tenant's id and says so.
    default_tenant_id="common",
    sasl_mechanism="xoauth2",
    # Each refresh brings a new refresh token; the old one lives on.
    rotates_refresh_token=True,
    # Entra ignores the port of a registered http://localhost, and not that of 127.0.0.1.
    loopback_redirect_host="localhost",
    missing_refresh_token_hint=(
        "Allow the delegated permission offline_access in the application's registration."
    ),
    dead_refresh_token_hint=(
        "Refresh tokens end when unused for 90 days, when an administrator revokes the sessions,"
        " and by sign-in policies."
    ),
    sources=(
        Source(
            url="https://learn.microsoft.com/exchange/client-developer/legacy-protocols/"
            "how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth",
            read_on=date(2026, 11, 25),
        ),
        Source(
            url="https://learn.microsoft.com/entra/identity-platform/refresh-tokens",
            read_on=date(2026, 11, 25),
        ),
        Source(
            url="https://learn.microsoft.com/entra/identity-platform/reply-url",
            read_on=date(2026, 11, 25),
        ),
    ),
)

_GOOGLE = MailProviderProfile(
    name="google",
    label="Google Workspace and Gmail",
    engine="google-auth",
    # Google has no smaller scope for IMAP on behalf of a user.
    scopes=("https://mail.google.com/",),
    imap_host="imap.gmail.com",
    issuer="https://accounts.google.com",
    authorize_url="https://accounts.google.com/o/oauth2/v2/auth",
    token_url="https://oauth2.googleapis.com/token",
    revoke_url="https://oauth2.googleapis.com/revoke",
    sasl_mechanism="xoauth2",
    # Without both, a second consent brings no refresh token.
    authorize_params={"access_type": "offline", "prompt": "consent"},
    rotates_refresh_token=False,
    missing_refresh_token_hint=(
        "Remove the application's access at https://myaccount.google.com/connections, then"
        " authorize again."
    ),
    dead_refresh_token_hint=(
        "Refresh tokens end after 7 days while the consent screen is in testing, when unused for"
        " 6 months, and when the account's password changes."
    ),
    sources=(
        Source(
            url="https://developers.google.com/workspace/gmail/imap/xoauth2-protocol",
            read_on=date(2026, 11, 25),
        ),
        Source(
            url="https://developers.google.com/workspace/gmail/imap/imap-smtp",
            read_on=date(2026, 11, 25),
        ),
        Source(
            url="https://developers.google.com/identity/protocols/oauth2",
            read_on=date(2026, 11, 25),
        ),
    ),
)

_CUSTOM = MailProviderProfile(
    name="custom",
    label="Custom",
    engine="rfc6749",
    scopes=(),
)

_BUILT_IN = {profile.name: profile for profile in (_MICROSOFT, _GOOGLE, _CUSTOM)}


def profile_names() -> tuple[str, ...]:
    """Return the names of all profiles, the built-in ones first. Loads no entry point."""
    added = sorted({entry.name for entry in _entries()} - _BUILT_IN.keys())
    return (*_BUILT_IN, *added)


def get_profile(name: str) -> MailProviderProfile:
    """
    Return a profile by its name.

    An entry point cannot take the name of a built-in profile: whoever can install a package
    could else send the tokens of every existing connection elsewhere, unseen.

    :param name: The value of ``mail_provider`` in the connection.
    :raises ConfigurationError: If there is none, or its entry point is broken.
    """
    if name in _BUILT_IN:
        return _BUILT_IN[name]
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
