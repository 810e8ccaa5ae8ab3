# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
A certificate authority of one's own for the servers of the tests.

Use::

    ca = CertificateAuthority.create(folder)
    cert_file, key_file = ca.issue("localhost", "127.0.0.1")
    clients trust ca.ca_file
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_VALID = timedelta(days=90)
_CA_FILE = "ca.pem"
_CA_KEY_FILE = "ca.key"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateAuthority:
    """
    An authority that nobody trusts but those who are given its file.

    :param folder: Where its files, and those it issues, are kept.
    :param ca_file: Its own certificate, PEM.
    """

    folder: Path
    ca_file: Path
    _certificate: x509.Certificate = field(repr=False)
    _key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def create(cls, folder: Path) -> CertificateAuthority:
        """
        Return the authority of a folder: the one that was made there, else a new one.

        :param folder: Made if missing; it also holds the authority's private key.
        """
        folder.mkdir(parents=True, exist_ok=True)
        ca_file, key_file = folder / _CA_FILE, folder / _CA_KEY_FILE
        if not (ca_file.exists() and key_file.exists()):
            key = ec.generate_private_key(ec.SECP256R1())
            _write_key(key_file, key)
            ca_file.write_bytes(_authority(key).public_bytes(serialization.Encoding.PEM))
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{key_file} does not hold a key on an elliptic curve")
        certificate = x509.load_pem_x509_certificate(ca_file.read_bytes())
        return cls(folder=folder, ca_file=ca_file, _certificate=certificate, _key=key)

    def issue(self, *names: str, expired: bool = False) -> tuple[Path, Path]:
        """
        Issue a server certificate with a new key.

        :param names: Host names and IP addresses that the certificate is for.
        :param expired: Whether its time is over already.
        :return: The files of certificate and private key, PEM.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            _builder(names[0], key, expired=expired)
            .issuer_name(self._certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
            .add_extension(issuer_key, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        stem = f"server-{certificate.serial_number:x}"
        cert_file, key_file = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        _write_key(key_file, key)
        return cert_file, key_file

    def server_context(self, *names: str) -> ssl.SSLContext:
        """Return a TLS context for a server, with a certificate issued for ``names``."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(*names))
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return a TLS context for a client that trusts this authority and no other."""
        return ssl.create_default_context(cafile=str(self.ca_file))


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    builder = _builder("airflow-imap-oauth test authority", key)
    return (
        builder.issuer_name(_name("airflow-imap-oauth test authority"))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _builder(
    name: str, key: ec.EllipticCurvePrivateKey, *, expired: bool = False
) -> x509.CertificateBuilder:
    # It begins in the past, so that a clock that is a little behind still accepts it.
    start = datetime.now(timezone.utc) - (2 * _VALID if expired else timedelta(days=1))
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _VALID)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_names(names: Iterable[str]) -> list[x509.GeneralName]:
    return [_general_name(name) for name in names]


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    file.touch(mode=0o600)
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
