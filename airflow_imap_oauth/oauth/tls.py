# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Which certificate authorities are trusted, independent of how the environment is set."""

from __future__ import annotations

import ssl
from pathlib import Path

from airflow_imap_oauth.exceptions import ConfigurationError

#: The lists of whole systems have a quarter of a megabyte.
_MAX_FILE_BYTES = 8 * 1024 * 1024


def client_context(ca_file: str | None) -> ssl.SSLContext:
    """
    Return a verifying client context that trusts the system's authorities and those of a file.

    ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` can add authorities (OpenSSL reads them) but cannot
    take the system's away: a stale variable in a worker's environment would otherwise make every
    server untrusted. Where the system has no authorities at all, those of certifi are used.

    :param ca_file: PEM file of further authorities, or None.
    :raises ConfigurationError: If the file cannot be read or holds no certificate.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not _load_system_authorities(context):
        _load_certifi(context)
    if ca_file:
        _load_file(context, ca_file)
    return context


def _load_system_authorities(context: ssl.SSLContext) -> bool:
    paths = ssl.get_default_verify_paths()
    file, folder = Path(paths.openssl_cafile), Path(paths.openssl_capath)
    found = False
    if file.is_file():
        context.load_verify_locations(cafile=str(file))
        found = True
    if folder.is_dir() and any(folder.iterdir()):
        context.load_verify_locations(capath=str(folder))
        found = True
    return found or context.cert_store_stats()["x509_ca"] > 0


def _load_certifi(context: ssl.SSLContext) -> None:
    import certifi  # noqa: PLC0415  # only the rare machine without authorities needs it

    context.load_verify_locations(cafile=certifi.where())


def _load_file(context: ssl.SSLContext, ca_file: str) -> None:
    problem = ""
    try:
        # A pipe would be waited for, and a device has no end.
        if not Path(ca_file).is_file():
            problem = "is no plain file" if Path(ca_file).exists() else "does not exist"
        elif Path(ca_file).stat().st_size > _MAX_FILE_BYTES:
            problem = "is too large to be a list of certificates"
        else:
            context.load_verify_locations(cafile=ca_file)
    except ssl.SSLError:
        problem = "holds no certificate in PEM form"
    except OSError as error:
        problem = f"cannot be read ({error.strerror or type(error).__name__})"
    if problem:
        raise ConfigurationError(
            f"The file '{ca_file}' named by ca_file {problem}.",
            hint="Name a PEM file that exists on every host that runs tasks.",
        )
