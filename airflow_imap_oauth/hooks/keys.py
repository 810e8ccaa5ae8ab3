# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The keys that seal secrets, and the client secret that a connection may hold sealed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from airflow_imap_oauth.exceptions import SealingError
from airflow_imap_oauth.hooks.config import PackageOptions
from airflow_imap_oauth.hooks.masking import mask
from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.tokens.sealing import Sealer, SealingKey, is_sealed

#: What the client secret in a connection is sealed for.
CLIENT_SECRET_PURPOSE = "client secret of a connection"  # noqa: S105  # a purpose, no secret


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

    They are those of ``[imap_oauth] token_keys``, else keys derived from Airflow's Fernet keys,
    as far as these are keys at all. With none, sealing fails and says what to configure.

    :raises ConfigurationError: If an entry of ``token_keys`` is malformed. A retry cannot help.
    """
    if options.token_keys:
        return MaskingSealer([SealingKey.from_token_key(text) for text in options.token_keys])
    derived = [SealingKey.from_fernet_key(text) for text in options.fernet_keys]
    return MaskingSealer([key for key in derived if key is not None])


def with_open_client_secret(
    settings: OAuthSettings, binding: Mapping[str, str], sealer: Sealer
) -> OAuthSettings:
    """
    Return the settings with the client secret opened, if it was sealed.

    :raises SealingError: If it does not open here. A retry cannot help.
    """
    sealed = settings.client_secret
    if sealed is None or not is_sealed(sealed):
        return settings
    try:
        secret = sealer.open(sealed, purpose=CLIENT_SECRET_PURPOSE, binding=binding)
    except SealingError as error:
        raise SealingError(
            f"The client secret: {error.message}",
            hint="Undo what was changed, or enter the client secret again.",
            conn_id=settings.conn_id,
            step=error.step,
        ) from None
    return replace(settings, client_secret=secret)
