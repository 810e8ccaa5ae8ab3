# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Signed assertions, verified (RFC 7523 section 3)."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from joserfc import jws, jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

_HOUR_SECONDS = 3600
_SKEW_SECONDS = 60


class _Registry(jws.JWSRegistry):
    # A certificate chain (x5c) may stand in the header.
    max_header_length = 16384

    def get_alg(self, name: str) -> jws.JWSAlgModel:
        # Without the warning that EdDSA has a newer name.
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError(name)
        return self.algorithms[name]


class AssertionRefusedError(Exception):
    """
    An assertion that proves nothing.

    :param part: What is wrong: ``form``, ``signature``, ``time`` or ``claims``.
    """

    def __init__(self, part: str, problem: str) -> None:
        super().__init__(problem)
        self.part = part
        self.problem = problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """An assertion, of which nothing is verified yet."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @classmethod
    def read(cls, text: str) -> Assertion:
        """
        Read an assertion.

        :raises AssertionRefusedError: it is no JWT in compact form.
        """
        try:
            whole = jws.extract_compact(text.encode(), registry=_Registry())
            claims = json.loads(whole.payload)
        except (JoseError, ValueError):
            raise AssertionRefusedError("form", "The assertion is not a signed JWT.") from None
        if not isinstance(claims, dict):
            raise AssertionRefusedError("form", "The claims of the assertion are not an object.")
        return cls(text=text, header=whole.headers(), claims=claims)

    def verify(self, pem: str, algorithms: Collection[str]) -> None:
        """
        Verify the signature.

        :param pem: A public key or a certificate.
        :raises AssertionRefusedError: it is not of that key, or by another algorithm.
        """
        try:
            jwt.decode(self.text, _key(pem), registry=_Registry(algorithms=algorithms))
        except (JoseError, ValueError):
            problem = "The signature of the assertion is not valid."
            raise AssertionRefusedError("signature", problem) from None

    def check_times(self, now: float) -> None:
        """
        Check that it is short-lived, and neither expired nor of the future.

        :raises AssertionRefusedError: it is not so.
        """
        instants = {name: self.claims.get(name) for name in ("exp", "iat", "nbf")}
        given = {name: value for name, value in instants.items() if value is not None}
        if any(isinstance(one, bool) or not isinstance(one, int | float) for one in given.values()):
            raise AssertionRefusedError("time", "An instant of the assertion is not a number.")
        if "exp" not in given:
            raise AssertionRefusedError("time", "The assertion has no exp.")
        if not now < given["exp"] <= now + _HOUR_SECONDS + _SKEW_SECONDS:
            raise AssertionRefusedError("time", "The assertion is expired, or ends too late.")
        if any(given.get(name, now) > now + _SKEW_SECONDS for name in ("iat", "nbf")):
            raise AssertionRefusedError("time", "The assertion is of the future.")

    def check_audience(self, *accepted: str) -> None:
        """
        Check whom it is addressed to.

        :raises AssertionRefusedError: to another, or to several.
        """
        audience = self.claims.get("aud")
        if isinstance(audience, list) and len(audience) == 1:
            audience = audience[0]
        if audience not in accepted:
            raise AssertionRefusedError("claims", "The assertion has another audience.")


def thumbprints(pem: str) -> dict[str, str]:
    """
    Return the header parameters that name a certificate (RFC 7515 sections 4.1.7 and 4.1.8).

    :return: None for a key without a certificate.
    """
    if "BEGIN CERTIFICATE" not in pem:
        return {}
    certificate = x509.load_pem_x509_certificate(pem.encode())
    algorithms = {"x5t": hashes.SHA1(), "x5t#S256": hashes.SHA256()}  # noqa: S303  # the RFC's
    return {
        name: base64.urlsafe_b64encode(certificate.fingerprint(algorithm)).decode().rstrip("=")
        for name, algorithm in algorithms.items()
    }


def _key(pem: str) -> Key:
    if "BEGIN CERTIFICATE" in pem:
        public_key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    else:
        public_key = load_pem_public_key(pem.encode())
    kind: type[RSAKey | ECKey | OKPKey] = OKPKey
    if isinstance(public_key, rsa.RSAPublicKey):
        kind = RSAKey
    elif isinstance(public_key, ec.EllipticCurvePublicKey):
        kind = ECKey
    return kind.import_key(public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
