# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Write ``docs/mail_providers.md`` from the profiles: ``python docs/mail_providers.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from airflow_imap_oauth.oauth.mail_providers import BUILT_IN
from airflow_imap_oauth.oauth.profiles import MailProviderProfile, Source

PAGE = Path(__file__).with_suffix(".md")
_LABELS = {
    "imap_host": "IMAP host",
    "scopes": "Scopes that IMAP needs",
    "extra_scopes": "Scopes asked for besides",
    "app_scopes": "Scopes where the application signs in by itself",
    "grants": "Grants",
    "client_auth_methods": "Client authentication, the default first",
    "authorize_url": "Authorization endpoint",
    "token_url": "Token endpoint",
    "device_url": "Device authorization endpoint",
    "device_grant_type": "Its `grant_type` at the token endpoint",
    "device_code_parameter": "Its parameter for the device code",
    "revoke_url": "Revocation endpoint",
    "jwks_url": "Keys of the server",
    "issuer": "Issuer",
    "regions": "Regions, the default first",
    "default_tenant_id": "Tenant where none is set",
    "sasl_mechanism": "SASL mechanism",
    "client_secret_required": "Client secret required",
    "authorize_params": "Parameters of the authorization request",
    "loopback_redirect_host": "Host of the redirect URI of `airflow imap-oauth login`",
    "rotates_refresh_token": "A renewal may bring a new refresh token",
    "dead_refresh_token_hint": "Why refresh tokens end",
    "no_device_hint": "Without a device authorization endpoint",
    "no_revocation_hint": "Without a revocation endpoint",
}
_HEAD = """\
# Mail providers

What this package knows of each mail provider, and where from. Written by `make docs` from the
profiles in `airflow_imap_oauth/oauth/mail_providers/`; every value can be overridden where the
connection has a field for it, and other packages can add mail providers by the entry point group
`airflow_imap_oauth.mail_providers`.

**(unconfirmed)** marks what was not found on the mail provider's own pages but, for example, in the
settings of other mail clients. Please tell us when you know better.
"""


def page() -> str:
    """Return the whole page."""
    profiles = [profile for profile in BUILT_IN.values() if profile.sources]
    return "\n".join([_HEAD, *("\n".join(_section(profile)) for profile in profiles)])


def _section(profile: MailProviderProfile) -> Iterator[str]:
    yield f"## {profile.label}\n\n`mail_provider`: `{profile.name}`\n"
    yield "| what | value | source |\n|---|---|---|"
    for name, label in _LABELS.items():
        value = getattr(profile, name)
        if value in (None, (), {}, ""):
            continue
        source = next((one for one in profile.sources if name in one.values), None)
        yield f"| {label} | {_shown(value)} | {_cited(source)} |"
    yield ""


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(f"`{one}`" for one in value)
    if isinstance(value, dict):
        return " ".join(f"`{name}={one}`" for name, one in value.items())
    text = str(value)
    return text if text.endswith(".") else f"`{text}`"


def _cited(source: Source | None) -> str:
    if source is None:
        return "the default"
    mark = "" if source.confirmed else " **(unconfirmed)**"
    return f"[read {source.read_on:%Y-%m-%d}]({source.url}){mark}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
