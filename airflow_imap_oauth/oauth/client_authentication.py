# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""How a client proves to an authorization server who it is (RFC 6749 section 2.3)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.oauth.clock import utc_now
from airflow_imap_oauth.oauth.settings import ClientKey, OAuthSettings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: One request takes a minute at most; a stolen assertion is worth little.
_ASSERTION_LIFETIME = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAuthentication:
    """
    What to add to a request.

    :param form: Parameters of the body.
    :param basic_auth: Client id and secret for HTTP Basic, or None.
    """

    form: dict[str, str] = field(repr=False)
    basic_auth: tuple[str, str] | None = field(default=None, repr=False)


def authenticate(
    settings: OAuthSettings, *, now: Callable[[], datetime] = utc_now
) -> ClientAuthentication:
    """
    Authenticate in the one way that the connection says, in no second one besides.

    :param settings: With secrets opened and endpoints completed.
    :raises ConfigurationError: If what the way needs is missing or malformed. A retry cannot help.
    """
    method = settings.client_auth_method
    if method == "basic":
        secret = _required(settings.client_secret, method, "client secret")
        return ClientAuthentication(form={}, basic_auth=(settings.client_id, secret))
    form = {"client_id": settings.client_id}
    if method == "post" and settings.client_secret:
        form["client_secret"] = settings.client_secret
    elif method == "private_key_jwt":
        key = _required(settings.client_key, method, "private key")
        form["client_assertion_type"] = ASSERTION_TYPE
        form["client_assertion"] = _assertion(settings, key, now())
    return ClientAuthentication(form=form)


def load_private_key(pem: str) -> PrivateKeyTypes:
    """
    Read a private key.

    :param pem: Unencrypted, in PEM.
    :raises ConfigurationError: If it is none; nothing of it is shown. A retry cannot help.
    """
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415  # renewals only
        load_pem_private_key,
    )

    problem = "is not a private key in PEM form"
    try:
        return load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        problem = "is encrypted with a password"
    except Exception:  # noqa: BLE001, S110  # whatever it says may quote the key
        pass
    raise ConfigurationError(
        f"The client's private key (certificate_private_key) {problem}.",
        hint="Enter the whole PEM text, from its BEGIN to its END line, without a password.",
    )


def _required(value: Any, method: str, what: str) -> Any:
    if not value:
        raise ConfigurationError(
            f"Client authentication '{method}' needs a {what}.",
            hint=f"Set the {what} of the connection, or choose another client_auth_method.",
        )
    return value


def _assertion(settings: OAuthSettings, key: ClientKey, now: datetime) -> str:
    """
    Sign an assertion (RFC 7523 section 3, OpenID Connect Core section 9).

    It is addressed to the issuer, or where that is not known to the token endpoint: an assertion
    that names a place of one server alone cannot be used at another.
    """
    import jwt  # noqa: PLC0415  # renewals only

    private_key = load_private_key(key.private_key)
    claims = {
        "iss": settings.client_id,
        "sub": settings.client_id,
        "aud": settings.endpoints.issuer or settings.endpoints.token_url,
        "iat": now,
        "exp": now + _ASSERTION_LIFETIME,
        "jti": secrets.token_urlsafe(16),
    }
    headers = {"kid": key.key_id} if key.key_id else None
    return jwt.encode(claims, private_key, algorithm=_algorithm(private_key), headers=headers)  # type: ignore[arg-type]


def _algorithm(key: PrivateKeyTypes) -> str:
    from cryptography.hazmat.primitives.asymmetric import (  # noqa: PLC0415  # renewals only
        ec,
        ed25519,
        rsa,
    )

    if isinstance(key, rsa.RSAPrivateKey):
        return "RS256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "EdDSA"
    curves = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in curves:
        return curves[key.curve.name]
    raise ConfigurationError(
        "The client's private key is of a kind that signs no assertions.",
        hint="Use RSA, Ed25519, or an elliptic curve of NIST (P-256, P-384, P-521).",
    )
