# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The keys that seal secrets, and the secrets that a connection may hold sealed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from airflow_imap_oauth.exceptions import SealingError
from airflow_imap_oauth.hooks.config import PackageOptions
from airflow_imap_oauth.hooks.connection import ConnectionLike
from airflow_imap_oauth.hooks.masking import mask
from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.tokens.sealing import AUTHORIZE_AGAIN, Sealer, SealingKey, is_sealed
from airflow_imap_oauth.tokens.seeds import SEED_PURPOSE

_PASSWORD = "password"  # noqa: S105  # where it stands, not what it is
_SEEDS = (_PASSWORD, "refresh_token")
_SECRETS = ("client_secret", "certificate_private_key", "service_account_key")


class MaskingSealer(Sealer):
    """
    A sealer that has every secret masked which passes through it.

    All tokens do: they are opened from the record, or sealed into it as soon as they arrive.
    """

    def seal(self, plain: str, *, purpose: str, binding: Mapping[str, str]) -> str:
        """Mask, then seal; see the base class."""
        mask(plain)
        return super().seal(plain, purpose=purpose, binding=binding)

    def open(self, text: str, *, purpose: str, binding: Mapping[str, str]) -> str:
        """Open, then mask; see the base class."""
        plain = super().open(text, purpose=purpose, binding=binding)
        mask(plain)
        return plain


def sealer(options: PackageOptions) -> Sealer:
    """
    Return a sealer with the configured keys.

    They are those of ``[imap_oauth] token_keys``, and behind them keys derived from Airflow's
    Fernet keys, as far as these are keys at all: whoever begins to use ``token_keys`` can still
    open what was sealed before. With none, sealing fails and says what to configure.

    :raises ConfigurationError: If an entry of ``token_keys`` is malformed. A retry cannot help.
    """
    own = [SealingKey.from_token_key(text) for text in options.token_keys]
    derived = [SealingKey.from_fernet_key(text) for text in options.fernet_keys]
    return MaskingSealer([*own, *(key for key in derived if key is not None)])


def with_open_secrets(
    settings: OAuthSettings, binding: Mapping[str, str], sealer: Sealer
) -> OAuthSettings:
    """
    Return the settings with what was sealed in the connection opened.

    :raises SealingError: If it does not open here. A retry cannot help.
    """

    def opened(secret: str | None, name: str) -> str | None:
        if secret is None or not is_sealed(secret):
            return secret
        try:
            return sealer.open(secret, purpose=purpose_of(name), binding=binding)
        except SealingError as error:
            raise SealingError(
                f"Key '{name}' of extra: {error.message}",
                hint=error.hint.replace(AUTHORIZE_AGAIN, "enter it again"),
                conn_id=settings.conn_id,
                step=error.step,
            ) from None

    key = settings.client_key
    if key is not None:
        private_key = opened(key.private_key, "certificate_private_key") or ""
        key = replace(key, private_key=private_key)
    return replace(
        settings,
        client_secret=opened(settings.client_secret, "client_secret"),
        client_key=key,
        service_account_key=opened(settings.service_account_key, "service_account_key"),
    )


def sealed_secrets(
    settings: OAuthSettings,
    stored: Mapping[str, object],
    binding: Mapping[str, str],
    sealer: Sealer,
) -> dict[str, str]:
    """
    Seal the secrets that were typed plain into a connection.

    :param settings: With secrets opened.
    :param stored: ``extra`` of the connection as it stands.
    :return: New values by key of ``extra``; empty where none is plain.
    :raises SealingError: If there is no key. A retry cannot help.
    """
    key = settings.client_key
    plain = {
        "client_secret": settings.client_secret,
        "certificate_private_key": None if key is None else key.private_key,
        "service_account_key": settings.service_account_key,
    }
    return {
        name: sealer.seal(secret, purpose=purpose_of(name), binding=binding)
        for name, secret in plain.items()
        if secret is not None and not is_sealed(str(stored.get(name, "")).strip())
    }


def resealed_secrets(
    connection: ConnectionLike, binding: Mapping[str, str], sealer: Sealer
) -> dict[str, str]:
    """
    Seal anew, with the first key, what a connection holds sealed by another one.

    :return: New values by where they stand: ``password``, or the key of ``extra``.
    :raises SealingError: If one of them does not open here. A retry cannot help.
    """
    stored = {**json.loads(connection.extra or "{}"), _PASSWORD: connection.password}
    held = {name: str(stored.get(name) or "").strip() for name in (*_SEEDS, *_SECRETS)}
    values = {}
    for name, text in held.items():
        if not is_sealed(text):
            continue
        purpose = SEED_PURPOSE if name in _SEEDS else purpose_of(name)
        try:
            resealed = sealer.resealed(text, purpose=purpose, binding=binding)
        except SealingError as error:
            where = "The password" if name == _PASSWORD else f"Key '{name}' of extra"
            error.message = f"{where}: {error.message}"
            raise
        if resealed != text:
            values[name] = resealed
    return values


def plain_secrets(extra: str | None) -> tuple[str, ...]:
    """Return the keys of ``extra`` whose secrets stand in the connection as they were typed."""
    try:
        stored = json.loads(extra or "{}")
    except ValueError:
        return ()
    values = ((name, str(stored.get(name) or "").strip()) for name in _SECRETS)
    return tuple(name for name, value in values if value and not is_sealed(value))


def purpose_of(name: str) -> str:
    """Say what a secret of a connection is sealed for, by its key of ``extra``."""
    return f"{name.replace('_', ' ')} of a connection"
