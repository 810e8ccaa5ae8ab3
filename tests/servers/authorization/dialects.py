# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The mail providers that the server plays: paths, scopes, rotation, and what else they do their way.

Sources, read 2026-11-25 and 2026-11-26: Microsoft identity platform, "OAuth 2.0 authorization code
flow", "OAuth 2.0 device authorization grant" and "Certificate credentials" (learn.microsoft.com);
Google Identity, "Using OAuth 2.0 for web server applications" (developers.google.com); Yahoo,
"Authorization code flow" (developer.yahoo.com); Zoho Accounts, "OAuth"
(zoho.com/accounts/protocol/oauth); Yandex ID, "OAuth" (yandex.com/dev/id/doc).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tests.servers.authorization import error_shapes
from tests.servers.authorization.error_shapes import ErrorShape, entra_error
from tests.servers.authorization.model import OPENID_SCOPES

__all__ = ["DIALECTS", "Dialect", "entra_error"]

IMAP_SCOPE = "https://mail.example.test/imap"
MICROSOFT_IMAP_SCOPE = "https://outlook.office.com/IMAP.AccessAsUser.All"
#: The same under the other name of Exchange Online.
MICROSOFT_OTHER_IMAP_SCOPE = "https://outlook.office365.com/IMAP.AccessAsUser.All"
MICROSOFT_APP_SCOPE = "https://outlook.office365.com/.default"
GOOGLE_IMAP_SCOPE = "https://mail.google.com/"
YAHOO_IMAP_SCOPE = "mail-r"
ZOHO_IMAP_SCOPE = "ZOHOMAIL.PROTOCOL.IMAP"
YANDEX_IMAP_SCOPE = "mail:imap_ro"
#: The IMAP scopes of all mail providers.
IMAP_SCOPES = (
    IMAP_SCOPE,
    MICROSOFT_IMAP_SCOPE,
    GOOGLE_IMAP_SCOPE,
    YAHOO_IMAP_SCOPE,
    ZOHO_IMAP_SCOPE,
    YANDEX_IMAP_SCOPE,
)

#: What happens to a refresh token that was used: ``switched`` by ``rotate_refresh_tokens``,
#: ``kept``: a new one is issued and the old one lives on, ``replaced``: a new one is issued and the
#: old one ends, ``same``: none is issued, ``returned``: the old one is told again.
Rotation = Literal["switched", "kept", "replaced", "same", "returned"]
#: Who may revoke: a client that authenticates, or whoever has the token.
Revocation = Literal["client", "token_only"]
_ASSERTION = frozenset({"client_assertion", "client_assertion_type"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """
    One mail provider.

    :param paths: Path by endpoint; ``{tenant}`` stands for one segment.
    :param issuer_path: Appended to the base URL; paths of discovery follow from it.
    :param discovery: Whether there is metadata.
    :param auth_methods: How clients authenticate.
    :param authorize_extra: Further optional parameters of the authorization endpoint.
    :param token_extra: Further optional parameters of the token endpoint.
    :param device_extra: Further optional parameters of the device authorization endpoint.
    :param device_token_extra: Further optional parameters of a token request for a device code.
    :param device_identifies: A client need but name itself to get a device code.
    :param hidden_scopes: Scopes that the token response does not name.
    :param offline_by: What makes a refresh token come: always, the scope ``offline_access``, or
        ``access_type=offline`` with a first consent or ``prompt=consent``.
    :param refresh_limit: How many access tokens a refresh token brings in ten minutes.
    :param errors: The JSON of an error.
    """

    name: str
    paths: Mapping[str, str]
    issuer_path: str
    scopes: frozenset[str]
    rotation: Rotation
    errors: ErrorShape
    discovery: bool = True
    auth_methods: tuple[str, ...] = ("client_secret_basic", "client_secret_post", "none")
    authorize_extra: frozenset[str] = frozenset()
    token_extra: frozenset[str] = frozenset()
    device_extra: frozenset[str] = frozenset()
    device_token_extra: frozenset[str] = frozenset()
    device_identifies: bool = False
    hidden_scopes: frozenset[str] = frozenset()
    offline_by: Literal["always", "scope", "access_type"] = "always"
    refresh_limit: int | None = None
    revocation: Revocation = "client"
    iss_parameter: bool = False

    @property
    def assertion(self) -> frozenset[str]:
        """The parameters of client authentication by assertion, if there is that."""
        return _ASSERTION if "private_key_jwt" in self.auth_methods else frozenset()

    def granted(self, scope: str) -> str:
        """Return which of the scopes belong to this mail provider, in their order."""
        return " ".join(one for one in scope.split() if one in self.scopes)

    def plays(self, scope: str) -> bool:
        """Tell whether a token with these scopes is one of this mail provider's."""
        own = set(scope.split()) - OPENID_SCOPES
        return not own or not own.isdisjoint(self.scopes)

    def shown(self, scope: str) -> str:
        """Return the scopes that a token response names."""
        return " ".join(one for one in scope.split() if one not in self.hidden_scopes)


GENERIC = Dialect(
    name="generic",
    paths={
        "authorize": "/authorize",
        "consent": "/consent",
        "token": "/token",
        "device": "/device",
        "verification": "/activate",
        "introspection": "/introspect",
        "revocation": "/revoke",
        "jwks": "/jwks",
    },
    issuer_path="",
    scopes=OPENID_SCOPES | {IMAP_SCOPE},
    rotation="switched",
    errors=error_shapes.plain,
    auth_methods=("private_key_jwt", "client_secret_basic", "client_secret_post", "none"),
    iss_parameter=True,
)
MICROSOFT = Dialect(
    name="microsoft",
    paths={
        "authorize": "/{tenant}/oauth2/v2.0/authorize",
        "consent": "/{tenant}/oauth2/v2.0/consent",
        "token": "/{tenant}/oauth2/v2.0/token",
        "device": "/{tenant}/oauth2/v2.0/devicecode",
        "verification": "/{tenant}/oauth2/deviceauth",
        "jwks": "/{tenant}/discovery/v2.0/keys",
    },
    issuer_path="/{tenant}/v2.0",
    scopes=OPENID_SCOPES | {MICROSOFT_IMAP_SCOPE, MICROSOFT_OTHER_IMAP_SCOPE, MICROSOFT_APP_SCOPE},
    rotation="kept",
    errors=error_shapes.microsoft,
    auth_methods=("private_key_jwt", "client_secret_basic", "client_secret_post", "none"),
    authorize_extra=frozenset({"response_mode", "domain_hint", "client_info"}),
    token_extra=frozenset({"client_info", "scope", "claims"}),
    # MSAL sends the device code under the name of its draft besides.
    device_token_extra=frozenset({"code"}),
    device_identifies=True,
    hidden_scopes=frozenset({"offline_access"}),
    offline_by="scope",
)
GOOGLE = Dialect(
    name="google",
    paths={
        "authorize": "/google/authorize",
        "consent": "/google/consent",
        "token": "/google/token",
        "revocation": "/google/revoke",
        "jwks": "/google/jwks",
    },
    issuer_path="/google",
    scopes=OPENID_SCOPES | {GOOGLE_IMAP_SCOPE},
    rotation="same",
    errors=error_shapes.google,
    authorize_extra=frozenset({"access_type", "include_granted_scopes"}),
    offline_by="access_type",
    revocation="token_only",
)
YAHOO = Dialect(
    name="yahoo",
    paths={
        "authorize": "/yahoo/oauth2/request_auth",
        "consent": "/yahoo/oauth2/consent",
        "token": "/yahoo/oauth2/get_token",
        "revocation": "/yahoo/oauth2/revoke",
        "jwks": "/yahoo/openid/v1/certs",
    },
    issuer_path="/yahoo",
    scopes=OPENID_SCOPES | {YAHOO_IMAP_SCOPE, "mail-w"},
    rotation="returned",
    errors=error_shapes.yahoo,
    authorize_extra=frozenset({"language"}),
    # Its guide names it for refreshes too.
    token_extra=frozenset({"redirect_uri"}),
)
ZOHO = Dialect(
    name="zoho",
    paths={
        "authorize": "/zoho/oauth/v2/auth",
        "consent": "/zoho/oauth/v2/consent",
        "token": "/zoho/oauth/v2/token",
        "revocation": "/zoho/oauth/v2/token/revoke",
    },
    issuer_path="/zoho",
    discovery=False,
    scopes=frozenset({ZOHO_IMAP_SCOPE}),
    rotation="same",
    errors=error_shapes.zoho,
    auth_methods=("client_secret_post",),
    authorize_extra=frozenset({"access_type"}),
    offline_by="access_type",
    refresh_limit=10,
    revocation="token_only",
)
YANDEX = Dialect(
    name="yandex",
    paths={
        "authorize": "/yandex/authorize",
        "consent": "/yandex/consent",
        "token": "/yandex/token",
        "device": "/yandex/device/code",
        "verification": "/yandex/device",
    },
    issuer_path="/yandex",
    discovery=False,
    scopes=frozenset({YANDEX_IMAP_SCOPE, "mail:imap_full"}),
    rotation="replaced",
    errors=error_shapes.yandex,
    authorize_extra=frozenset({"device_id", "device_name", "force_confirm", "optional_scope"}),
    token_extra=frozenset({"device_id", "device_name"}),
    device_extra=frozenset({"device_id", "device_name", "optional_scope"}),
    device_identifies=True,
)
#: Paths are tried in this order: a tenant may have any name but those of the others.
DIALECTS = (GENERIC, GOOGLE, YAHOO, ZOHO, YANDEX, MICROSOFT)
