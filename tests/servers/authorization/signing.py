# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The keys that the server signs with, and the ID tokens that are wrong on purpose."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey


def _new_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"use": "sig"}, auto_kid=True)


@dataclass
class SigningKeys:
    """
    The keys of one server.

    :param current: Signs from now on.
    :param published: What the JWKS holds.
    """

    current: RSAKey = field(default_factory=_new_key, repr=False)
    published: list[RSAKey] = field(default_factory=list, repr=False)
    _changes: list[Mapping[str, object]] = field(default_factory=list, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        """Publish the first key."""
        self.published = [self.current]

    def rotate(self, *, keep_old: bool) -> None:
        """Sign with a new key from now on; the old one may stay in the JWKS."""
        key = _new_key()
        with self._lock:
            self.current = key
            self.published = [*self.published, key] if keep_old else [key]

    def jwks(self, **members: object) -> dict[str, object]:
        """Return the JWKS, with these members in every key."""
        with self._lock:
            found = [key.as_dict(private=False, alg="RS256") for key in self.published]
        return {"keys": [{**key, **members} for key in found]}

    def sign(self, claims: Mapping[str, object]) -> str:
        """Return a JWT that a key of the JWKS verifies."""
        return _encode("RS256", self.current.kid, claims, self.current)

    # --- ID tokens --------------------------------------------------------------------------------

    def change_next(self, changes: Mapping[str, object]) -> None:
        """Keep what to change in one of the next ID tokens; each takes one set of changes."""
        with self._lock:
            self._changes.append(dict(changes))

    def clear_changes(self) -> None:
        """Change no ID token any more."""
        with self._lock:
            self._changes.clear()

    def id_token(self, claims: Mapping[str, object], client_secret: str | None) -> str:
        """Return an ID token, with the changes that are due."""
        with self._lock:
            changes = self._changes.pop(0) if self._changes else {}
        algorithm = str(changes.get("alg", "RS256"))
        key = _new_key() if changes.get("key") == "other" else self.current
        kid = changes.get("kid", self.current.kid)
        changed = {**claims, **{name: changes[name] for name in changes.keys() - _OF_HEADER}}
        kept = {name: value for name, value in changed.items() if value is not None}
        if algorithm == "none":
            return _unsigned(kept)
        if algorithm == "HS256":
            return _encode("HS256", None, kept, OctKey.import_key(client_secret or "none"))
        return _encode(algorithm, kid, kept, key)


_OF_HEADER = frozenset({"alg", "key", "kid"})


def _encode(algorithm: str, kid: object, claims: Mapping[str, object], key: OctKey | RSAKey) -> str:
    header = {"alg": algorithm, "typ": "JWT"}
    if kid is not None:
        header["kid"] = str(kid)
    return jwt.encode(header, dict(claims), key, algorithms=[algorithm])


def _unsigned(claims: Mapping[str, object]) -> str:
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in parts]
    return ".".join([*(one.decode().rstrip("=") for one in encoded), ""])
