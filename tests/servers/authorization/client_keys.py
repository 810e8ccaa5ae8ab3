# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Keys of clients that authenticate by assertion, and the assertions."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import (  # noqa: TC002  # as our own
    CertificateIssuerPrivateKeyTypes,
)
from cryptography.x509.oid import NameOID

KeyKind = Literal["RSA", "P-256", "P-384", "P-521", "Ed25519"]
_ALGORITHMS = {
    "RSA": "RS256",
    "P-256": "ES256",
    "P-384": "ES384",
    "P-521": "ES512",
    "Ed25519": "EdDSA",
}
_CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKey:
    """
    A key of a client, each part in PEM.

    :param algorithm: What it signs with.
    """

    private_key: str = field(repr=False)
    public_key: str
    certificate: str
    algorithm: str

    @classmethod
    def create(cls, kind: KeyKind = "RSA") -> ClientKey:
        """Make a new key, and a certificate that it issues to itself."""
        key = _new(kind)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return cls(
            private_key=private.decode(),
            public_key=public.decode(),
            certificate=_certificate(key),
            algorithm=_ALGORITHMS[kind],
        )

    def assertion(
        self,
        client_id: str,
        audience: str | list[str],
        *,
        algorithm: str | None = None,
        headers: Mapping[str, Any] | None = None,
        **changes: object,
    ) -> str:
        """
        Sign an assertion (RFC 7523 section 2.2).

        :param changes: Claims that are different; None leaves one out.
        """
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "iat": now,
            "exp": now + 300,
            "jti": str(uuid.uuid4()),
            **changes,
        }
        kept = {name: value for name, value in claims.items() if value is not None}
        used = algorithm or self.algorithm
        return jwt.encode(kept, self.private_key, algorithm=used, headers=dict(headers or {}))


def _new(kind: KeyKind) -> CertificateIssuerPrivateKeyTypes:
    if kind == "RSA":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(_CURVES[kind])


def _certificate(key: CertificateIssuerPrivateKeyTypes) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test client")])
    start = datetime.now(timezone.utc) - timedelta(days=1)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=90))
        .sign(key, algorithm)  # type: ignore[arg-type]
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
