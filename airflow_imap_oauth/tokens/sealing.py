# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Sealing: a secret as text that is worthless without the key, and elsewhere.

A sealed secret reads ``sealed:v1:<key id>:<base64url of nonce and ciphertext>`` (AES-256-GCM,
NIST SP 800-38D). What it is for (*purpose*) and what it may be used with (*binding*: servers, host,
client) are authenticated with it, but not part of the text: whoever changes one of them cannot
open it any more.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from airflow_imap_oauth.exceptions import ConfigurationError, SealingError

_KEY_BYTES = 32
_NONCE_BYTES = 12  # the size that GCM is specified for; random, so keys serve up to 2**32 secrets
_SCHEME = "sealed:"
_VERSION = "v1"
_OPTION = "[imap_oauth] token_keys"

#: How hints about a refresh token end; a secret that a person typed is entered again instead.
AUTHORIZE_AGAIN = "authorize again: airflow imap-oauth login CONN_ID"

_KEYS_HINT = (
    f"Give every host the same {_OPTION} (or the same [core] fernet_key), or {AUTHORIZE_AGAIN}."
)
_AGAIN_HINT = f"Undo that change, or {AUTHORIZE_AGAIN}."


@dataclass(frozen=True, slots=True, kw_only=True)
class SealingKey:
    """
    A key of 32 bytes and its public name.

    :param key_id: A fingerprint of the key: 12 hexadecimal digits that do not give it away.
    """

    key_id: str
    material: bytes = field(repr=False)

    @classmethod
    def from_token_key(cls, text: str) -> SealingKey:
        """
        Make a key of one entry of ``[imap_oauth] token_keys``.

        :param text: URL-safe base64 of 32 bytes, with or without padding.
        :raises ConfigurationError: If it is not. A retry cannot help.
        """
        material = _decode(text.strip())
        if material is None or len(material) != _KEY_BYTES:
            raise ConfigurationError(
                f"An entry of {_OPTION} is not the URL-safe base64 of {_KEY_BYTES} bytes.",
                hint='Make one: python -c "import base64, os; '
                'print(base64.urlsafe_b64encode(os.urandom(32)).decode())".',
                step="sealing keys",
            )
        return cls(key_id=_key_id(material), material=material)

    @classmethod
    def from_fernet_key(cls, text: str) -> SealingKey | None:
        """
        Derive a key from one entry of Airflow's ``[core] fernet_key``.

        HKDF (RFC 5869) parts it from what Airflow itself does with that entry.

        :param text: The entry. Airflow may hand out an empty string or a placeholder where no key
            is configured.
        :return: The key, or None if the entry is no Fernet key.
        """
        fernet = _decode(text.strip())
        if fernet is None or len(fernet) != _KEY_BYTES:
            return None
        derivation = HKDF(
            algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=b"airflow-imap-oauth sealing v1"
        )
        material = derivation.derive(fernet)
        return cls(key_id=_key_id(material), material=material)


class Sealer:
    """
    Seals with the first key, opens with any.

    :param keys: May be empty: then nothing can be sealed or opened, and the error says what to
        configure.
    """

    def __init__(self, keys: Sequence[SealingKey]) -> None:
        self._keys = tuple(keys)

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The public names of the keys, first the one that seals."""
        return tuple(key.key_id for key in self._keys)

    def seal(self, plain: str, *, purpose: str, binding: Mapping[str, str]) -> str:
        """
        Seal a secret.

        :param purpose: What it is for; it opens for nothing else.
        :param binding: What it may be used with; it opens with nothing else.
        :raises SealingError: If there is no key. A retry cannot help.
        """
        key = self._first_key()
        nonce = secrets.token_bytes(_NONCE_BYTES)
        associated = _associated_data(purpose, binding)
        data = nonce + AESGCM(key.material).encrypt(nonce, plain.encode(), associated)
        return f"{_SCHEME}{_VERSION}:{key.key_id}:{_encode(data)}"

    def open(self, text: str, *, purpose: str, binding: Mapping[str, str]) -> str:
        """
        Open a sealed secret.

        :raises SealingError: If its key is not here, if purpose or binding are not those it was
            sealed with, or if the text was altered. A retry cannot help.
        """
        key_id, data = _parse(text)
        self._first_key()
        candidates = [key for key in self._keys if key.key_id == key_id]
        if not candidates:
            raise SealingError(
                f"The secret is sealed with key {key_id}, which {_OPTION} does not hold here "
                f"(keys here: {', '.join(self.key_ids)}).",
                hint=_KEYS_HINT,
                step="unsealing",
            )
        associated = _associated_data(purpose, binding)
        for key in candidates:
            try:
                plain = AESGCM(key.material).decrypt(
                    data[:_NONCE_BYTES], data[_NONCE_BYTES:], associated
                )
            except InvalidTag:
                continue
            return plain.decode()
        raise SealingError(
            "The sealed secret no longer opens, because an endpoint, the host, the client id or "
            "the CA file (without a sign-in also grant, login or mailbox) was changed since, or "
            "because it was altered.",
            hint=_AGAIN_HINT,
            step="unsealing",
        )

    def resealed(self, text: str, *, purpose: str, binding: Mapping[str, str]) -> str:
        """
        Return a sealed secret as the first key seals it: the text itself where that has sealed it.

        :raises SealingError: If it does not open. A retry cannot help.
        """
        plain = self.open(text, purpose=purpose, binding=binding)
        if _parse(text)[0] == self._first_key().key_id:
            return text
        return self.seal(plain, purpose=purpose, binding=binding)

    def holds_key_of(self, text: str) -> bool:
        """
        Tell whether the key of a sealed secret is here, whatever else may be wrong.

        :raises SealingError: If the text is no sealed secret. A retry cannot help.
        """
        return _parse(text)[0] in self.key_ids

    def _first_key(self) -> SealingKey:
        if not self._keys:
            raise SealingError(
                "There is no key to seal or open secrets with.",
                hint=f"Set {_OPTION}, or give Airflow a [core] fernet_key.",
                step="sealing keys",
            )
        return self._keys[0]


def is_sealed(text: str) -> bool:
    """Tell whether a text claims to be sealed, in this or a later version of the format."""
    return text.startswith(_SCHEME)


def _parse(text: str) -> tuple[str, bytes]:
    parts = text.split(":")
    expected_parts = 4
    if len(parts) == expected_parts and parts[:2] == [_SCHEME.rstrip(":"), _VERSION]:
        data = _decode(parts[3])
        # Only the form that sealing writes: one secret has one text.
        if data is not None and len(data) > _NONCE_BYTES and _encode(data) == parts[3]:
            return parts[2], data
    raise SealingError(
        "The text is not a sealed secret of a version known here, or it was cut off.",
        hint=f"Copy it in full, or {AUTHORIZE_AGAIN}.",
        step="unsealing",
    )


def _associated_data(purpose: str, binding: Mapping[str, str]) -> bytes:
    claims = {"binding": dict(binding), "format": f"{_SCHEME}{_VERSION}", "purpose": purpose}
    return json.dumps(claims, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _key_id(material: bytes) -> str:
    return hashlib.sha256(b"airflow-imap-oauth key id v1\0" + material).hexdigest()[:12]


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def _decode(text: str) -> bytes | None:
    # Both alphabets: cryptography's Fernet accepts keys written in either.
    translated = text.rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return base64.b64decode(
            translated + "=" * (-len(translated) % 4), altchars=b"-_", validate=True
        )
    except ValueError:
        return None
