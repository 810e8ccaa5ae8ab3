# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
r"""
Keys and certificates out of a connection, mended where forms and shells have mangled them.

A text field, a shell or a JSON file may lose the line breaks of PEM, make blanks of them, or escape
them as ``\n``; what is between the BEGIN and END lines is base64 all the same.
"""

from __future__ import annotations

import json
import re
from typing import Any

from airflow_imap_oauth.hooks.fields import Fields
from airflow_imap_oauth.hooks.masking import mask
from airflow_imap_oauth.oauth.profiles import Grant, MailProviderProfile
from airflow_imap_oauth.oauth.settings import ClientKey
from airflow_imap_oauth.tokens.sealing import is_sealed

_BLOCK = re.compile(
    r"-----BEGIN (?P<label>[A-Z0-9 ]+)-----(?P<body>[A-Za-z0-9+/=\s]+)-----END (?P=label)-----"
)
_PRIVATE_KEY = re.compile("-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_CERTIFICATE = re.compile("-----BEGIN [A-Z0-9 ]*CERTIFICATE-----")
_ESCAPED_BREAK = re.compile(r"(?:\\r)?\\n|\\r")
_LINE_CHARACTERS = 64


def mended_pem(text: str) -> str | None:
    """Return PEM with proper line breaks, or None where there is no block of PEM in it."""
    blocks = []
    for found in _BLOCK.finditer(_ESCAPED_BREAK.sub("\n", text)):
        label, body = found["label"], "".join(found["body"].split())
        starts = range(0, len(body), _LINE_CHARACTERS)
        lines = [body[start : start + _LINE_CHARACTERS] for start in starts]
        blocks.append("\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----"]))
    return "\n".join(blocks) + "\n" if blocks else None


def read_client_key(fields: Fields, profile: MailProviderProfile, grant: Grant) -> ClientKey | None:
    """
    Read the key with which the client signs its assertions, if there is one.

    :raises ConfigurationError: Naming the key and what to do. A retry cannot help.
    """
    private_key = fields.lines("certificate_private_key")
    mask(private_key)
    if private_key is None:
        fields.refuse_mask("certificate_private_key")
    chain, key_id = fields.lines("certificate_chain"), fields.text("key_id")
    if chain is None:
        fields.refuse_mask("certificate_chain")
    if private_key is None:
        if chain is not None or key_id is not None:
            name = "key_id" if chain is None else "certificate_chain"
            raise fields.error(
                f"Key '{name}' of extra is set, but key 'certificate_private_key' is not.",
                "Enter the private key, too, or leave both empty.",
            )
        return None
    if "private_key_jwt" not in profile.client_auth_methods or grant == "service_account":
        raise fields.error(
            f"Key 'certificate_private_key' of extra is not used for {profile.label}.",
            "Leave it empty.",
        )
    _check_certificate(fields, profile, chain, key_id)
    return ClientKey(
        private_key=_private_key(fields, private_key),
        certificate_chain=None if chain is None else _certificates(fields, chain),
        key_id=key_id,
    )


def read_service_account_key(fields: Fields, grant: Grant) -> str | None:
    """
    Read the JSON of a service account's key, if that is the grant.

    :raises ConfigurationError: Naming the key and what to do. A retry cannot help.
    """
    text = fields.lines("service_account_key")
    mask(text)
    if text is None:
        fields.refuse_mask("service_account_key")
    if grant != "service_account":
        if text is not None:
            raise fields.error(
                f"Key 'service_account_key' of extra is not used with grant '{grant}'.",
                "Leave it empty, or set grant to service_account.",
            )
        return None
    if text is None:
        raise fields.error(
            "Key 'service_account_key' of extra is not set.",
            "Enter the whole JSON file that the Google Cloud console made for the key.",
        )
    if is_sealed(text):
        return text
    mended = _mended_service_account(text)
    if mended is None:
        raise fields.error(
            "Key 'service_account_key' of extra is not the key of a service account.",
            "Enter the whole JSON file that the Google Cloud console made for the key.",
        )
    mask(mended["private_key"])
    return json.dumps(mended)


def _mended_service_account(text: str) -> dict[str, Any] | None:
    key = None
    for attempt in (text, _ESCAPED_BREAK.sub("\n", text)):
        try:
            key = json.loads(attempt, strict=False)  # line breaks may stand inside of strings
            break
        except (ValueError, RecursionError):
            continue
    if not isinstance(key, dict) or key.get("type") != "service_account":
        return None
    if not all(isinstance(key.get(name), str) for name in ("client_email", "private_key")):
        return None
    pem = mended_pem(key["private_key"])
    return None if pem is None else {**key, "private_key": pem}


def _check_certificate(
    fields: Fields, profile: MailProviderProfile, chain: str | None, key_id: str | None
) -> None:
    by_certificate = profile.engine == "msal"
    if by_certificate and chain is None:
        raise fields.error(
            "Key 'certificate_chain' of extra is not set.",
            "Enter the certificate that was uploaded to the application's registration, too.",
        )
    if by_certificate and key_id is not None:
        raise fields.error(
            f"Key 'key_id' of extra has no meaning for {profile.label}: the certificate tells.",
            "Leave it empty.",
        )
    if not by_certificate and chain is not None:
        raise fields.error(
            f"Key 'certificate_chain' of extra is not used for {profile.label}.",
            "Leave it empty; name the registered key by key_id.",
        )


def _private_key(fields: Fields, text: str) -> str:
    if is_sealed(text):
        return text
    pem = _pem(fields, "certificate_private_key", text)
    mask(pem)
    if not _PRIVATE_KEY.search(pem):
        what = "a certificate" if _CERTIFICATE.search(pem) else "no private key"
        raise fields.error(
            f"Key 'certificate_private_key' of extra holds {what}.",
            "The private key goes here: its text begins with BEGIN PRIVATE KEY or BEGIN RSA "
            "PRIVATE KEY. A certificate has a field of its own.",
        )
    return pem


def _certificates(fields: Fields, text: str) -> str:
    pem = _pem(fields, "certificate_chain", text)
    holds_key = _PRIVATE_KEY.search(pem)
    if holds_key or not _CERTIFICATE.search(pem):
        # Nobody hides or seals what stands here, so a key besides the certificate is refused, too.
        what = "a private key" if holds_key else "no certificate"
        raise fields.error(
            f"Key 'certificate_chain' of extra holds {what}.",
            "The certificate alone goes here: its text begins with BEGIN CERTIFICATE. The private "
            "key goes to certificate_private_key.",
        )
    return pem


def _pem(fields: Fields, name: str, text: str) -> str:
    pem = mended_pem(text)
    if pem is None:
        raise fields.error(
            f"Key '{name}' of extra is not in PEM form.",
            "Enter the whole text, from its BEGIN to its END line; a key without a password.",
        )
    return pem
