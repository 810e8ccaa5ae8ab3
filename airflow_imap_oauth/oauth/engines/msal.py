# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Microsoft through MSAL, over our transport."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import msal
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.x509 import load_pem_x509_certificate

from airflow_imap_oauth.exceptions import ConfigurationError, OAuthError
from airflow_imap_oauth.oauth.client_authentication import load_private_key
from airflow_imap_oauth.oauth.engines.recorder import TokenRequestRecorder, form_of
from airflow_imap_oauth.oauth.http import HttpAnswer, Transport
from airflow_imap_oauth.oauth.metadata import METADATA
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.oauth.taxonomy import GrantKind

_METADATA_PATH = "/v2.0/.well-known/openid-configuration"
# MSAL adds these itself and refuses them from its caller.
_RESERVED_SCOPES = frozenset({"openid", "profile", "offline_access"})


def refresh(settings: OAuthSettings, refresh_token: str, transport: Transport) -> TokenResponse:
    """
    Refresh with a fresh application object.

    MSAL keeps errors, and tokens, in the application object; an object per attempt keeps neither.

    :raises: As :func:`airflow_imap_oauth.oauth.engines.refresh`.
    """
    scopes = [scope for scope in settings.scopes if scope not in _RESERVED_SCOPES]
    return _with_application(
        settings,
        transport,
        "refresh_token",
        lambda application: application.acquire_token_by_refresh_token(refresh_token, scopes),
    )


def obtain(settings: OAuthSettings, transport: Transport) -> TokenResponse:
    """
    Ask for an access token as the application itself, with its secret or its certificate.

    :raises: As :func:`airflow_imap_oauth.oauth.engines.obtain`.
    """
    return _with_application(
        settings,
        transport,
        "client_credentials",
        lambda application: application.acquire_token_for_client(list(settings.scopes)),
    )


def _with_application(
    settings: OAuthSettings,
    transport: Transport,
    grant: GrantKind,
    ask: Callable[[msal.ClientApplication], object],
) -> TokenResponse:
    authority = _authority(settings)
    recorder = TokenRequestRecorder(settings, transport, authority, grant)
    client = _HttpClient(recorder, transport, authority)
    credential = _credential(settings)

    def call() -> object:
        options = {
            "authority": authority,
            "http_client": client,
            # Else MSAL asks login.microsoftonline.com about every host that it does not know.
            "instance_discovery": False,
            # Else the environment variable MSAL_FORCE_REGION could move the token endpoint.
            "azure_region": False,
        }
        if credential is None:
            return ask(msal.PublicClientApplication(settings.client_id, **options))
        return ask(
            msal.ConfidentialClientApplication(
                settings.client_id, client_credential=credential, **options
            )
        )

    return recorder.run("MSAL", call)


def _credential(settings: OAuthSettings) -> str | dict[str, str] | None:
    key = settings.client_key
    if key is None:
        return settings.client_secret
    private_key = load_private_key(key.private_key)
    if not isinstance(private_key, RSAPrivateKey):
        raise ConfigurationError(
            "The client's private key is not RSA, and Microsoft takes signatures of no other.",
            hint="Make an RSA key with its certificate, and register that.",
        )
    certificate = None
    with suppress(Exception):  # whatever it says: there is none
        certificate = load_pem_x509_certificate((key.certificate_chain or "").encode())
    if certificate is None:
        raise ConfigurationError(
            "The client's certificate (certificate_chain) is missing or cannot be read.",
            hint="Enter the whole PEM text of the certificate that was registered.",
        )
    if certificate.public_key() != private_key.public_key():
        raise ConfigurationError(
            "The client's certificate (certificate_chain) is of another private key.",
            hint="Enter the certificate and the private key that were made together; in a chain the"
            " client's own certificate comes first.",
        )
    # MSAL takes the thumbprint from the certificate, and signs with PS256 then.
    return {"private_key": key.private_key, "public_certificate": key.certificate_chain or ""}


def _authority(settings: OAuthSettings) -> str:
    # MSAL derives every URL from the authority, which is the issuer without its version.
    issuer = settings.endpoints.issuer or ""
    authority = issuer.removesuffix("/v2.0")
    if authority == issuer or not authority.startswith("https://"):
        raise ConfigurationError(
            f"The issuer of {settings.profile.label} is not an https URL that ends in /v2.0.",
            hint="Check the profile of the mail provider and tenant_id of the connection.",
        )
    return authority


@dataclass(frozen=True, slots=True, kw_only=True)
class _Response:
    """An answer as MSAL reads it."""

    status_code: int
    headers: Mapping[str, str] = field(repr=False)
    text: str = field(repr=False)

    def raise_for_status(self) -> None:
        """Do nothing: statuses that are errors were raised before."""


class _HttpClient:
    """The transport as ``msal.oauth2cli.http.HttpClient`` describes it."""

    def __init__(
        self, recorder: TokenRequestRecorder, transport: Transport, authority: str
    ) -> None:
        self.recorder = recorder
        self._transport = transport
        self._metadata_url = authority + _METADATA_PATH

    def post(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str | bytes] | str | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> _Response:
        """Send the token request. Parameters in the URL are refused: secrets could be in them."""
        if params:
            raise OAuthError("MSAL put parameters into the URL of a token request.")
        if data is None or isinstance(data, str):
            form = form_of(data or "")
        else:
            # A client assertion comes as bytes.
            form = {
                name: value.decode("ascii") if isinstance(value, bytes) else str(value)
                for name, value in data.items()
            }
        return _response(self.recorder.post(url, form, headers))

    def get(self, url: str, **_: object) -> _Response:
        """Answer the question for the tenant's metadata, which MSAL asks every time, from cache."""
        with self.recorder.watched():
            return _response(self._metadata(url))

    def _metadata(self, url: str) -> HttpAnswer:
        if url != self._metadata_url:
            raise OAuthError("MSAL asked for more than a token and its tenant's metadata.")
        answer = METADATA.get(url, self._transport)
        if answer.status_code >= 400:  # noqa: PLR2004  # the class of client errors
            raise OAuthError(
                f"The tenant has no metadata (HTTP {answer.status_code}).",
                hint="Check tenant_id of the connection.",
                status_code=answer.status_code,
            )
        return answer

    def close(self) -> None:
        """Leave the transport open: it belongs to the caller."""


def _response(answer: HttpAnswer) -> _Response:
    return _Response(status_code=answer.status_code, headers=answer.headers, text=answer.text)
