# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Which refresh token rules: the seed in the connection, or what the record has made of it.

A seed that the record does not know wins over it; one that the record began with, or that a later
one has superseded, never does. So applying an old configuration again cannot kill a mailbox.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from airflow_imap_oauth.exceptions import ReauthorizationRequiredError, SealingError
from airflow_imap_oauth.oauth.profiles import Grant
from airflow_imap_oauth.oauth.responses import TokenResponse
from airflow_imap_oauth.oauth.settings import OAuthSettings
from airflow_imap_oauth.tokens.record import TokenRecord
from airflow_imap_oauth.tokens.sealing import Sealer, is_sealed
from airflow_imap_oauth.tokens.transitions import begun, without_access_token

#: What the refresh token in a connection is sealed for.
SEED_PURPOSE = "refresh token of a connection"

_RECORD_REFRESH_PURPOSE = "refresh token of a token record"
_RECORD_ACCESS_PURPOSE = "access token of a token record"


def fingerprint(secret: str) -> str:
    """Tell tokens apart without keeping them: 32 hexadecimal digits."""
    return hashlib.sha256(b"airflow-imap-oauth token v1\0" + secret.encode()).hexdigest()[:32]


def same_token(one: str, other: str) -> bool:
    """Compare two secrets in a time that does not depend on where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


def granted_refresh_token(response: TokenResponse) -> str:
    """
    Return the refresh token that an authorization brought.

    :raises ReauthorizationRequiredError: If it brought none. A retry cannot help.
    """
    if not response.refresh_token:
        raise ReauthorizationRequiredError(
            "The authorization server granted no refresh token.",
            hint="Check that the client may have one (scope offline_access, or access_type=offline "
            "with prompt=consent), then authorize again: airflow imap-oauth login CONN_ID.",
            step="authorization",
        )
    return response.refresh_token


def seal_refresh_token(
    response: TokenResponse, *, settings: OAuthSettings, binding: Mapping[str, str], sealer: Sealer
) -> str:
    """
    Return the refresh token of an authorization as it goes into the connection: sealed.

    :param settings: Of the connection, for messages.
    :param binding: What it is bound to (:func:`~.binding.binding`).
    :raises ReauthorizationRequiredError: If there is none. A retry cannot help.
    :raises SealingError: If there is no key. A retry cannot help.
    """
    try:
        refresh_token = granted_refresh_token(response)
        return sealer.seal(refresh_token, purpose=SEED_PURPOSE, binding=binding)
    except (ReauthorizationRequiredError, SealingError) as error:
        raise error.located(conn_id=settings.conn_id) from None


class TokenSealer:
    """
    Seals and opens the tokens of one connection.

    What stands in a record is bound to the connection's id besides: the record of one mailbox
    cannot pass for that of another. A seed is not, so that a connection can be copied, and tested
    under the id that Airflow makes up for a test.
    """

    def __init__(self, sealer: Sealer, binding: Mapping[str, str], *, conn_id: str) -> None:
        self._sealer = sealer
        self._seed_binding = dict(binding)
        self._record_binding = {**binding, "conn_id": conn_id}

    def seal_access_token(self, plain: str) -> str:
        """Seal an access token for the record."""
        return self._sealer.seal(
            plain, purpose=_RECORD_ACCESS_PURPOSE, binding=self._record_binding
        )

    def seal_refresh_token(self, plain: str) -> str:
        """Seal a refresh token for the record."""
        return self._sealer.seal(
            plain, purpose=_RECORD_REFRESH_PURPOSE, binding=self._record_binding
        )

    def open_access_token(self, record: TokenRecord) -> str | None:
        """
        Open the record's access token; None where it has none, or none whose key is here.

        Without its key it is worth one renewal, with the refresh token that opens; the connection's
        own, which the record has outlived, must not be spent instead.
        """
        if record.access_token is None or not self._sealer.holds_key_of(record.access_token):
            return None
        return self._sealer.open(
            record.access_token, purpose=_RECORD_ACCESS_PURPOSE, binding=self._record_binding
        )

    def open_refresh_token(self, record: TokenRecord) -> str:
        """Open the record's refresh token."""
        return self._sealer.open(
            record.refresh_token, purpose=_RECORD_REFRESH_PURPOSE, binding=self._record_binding
        )

    def with_previous(self, tokens: Tokens) -> Tokens | None:
        """Return the same with the refresh token before the last rotation, or None."""
        record = tokens.record
        if record.previous_refresh_token is None:
            return None
        swapped = replace(
            record,
            refresh_token=record.previous_refresh_token,
            previous_refresh_token=record.refresh_token,
        )
        try:
            return replace(tokens, record=swapped, refresh_token=self.open_refresh_token(swapped))
        except SealingError:
            return None

    def resealed(self, record: TokenRecord) -> TokenRecord | None:
        """
        Return the next generation of a record, with the same tokens sealed by the first key.

        An access token that does not open is dropped, which costs one request. The refresh token
        before the last rotation stays as it is then: its key may come back.

        :return: None where the first key has sealed them all.
        :raises SealingError: If the refresh token does not open. A retry cannot help.
        """
        previous, access_token = record.previous_refresh_token, None
        refresh_token = self._resealed(record.refresh_token, _RECORD_REFRESH_PURPOSE)
        with suppress(SealingError):
            previous = previous and self._resealed(previous, _RECORD_REFRESH_PURPOSE)
        with suppress(SealingError):
            access_token = record.access_token and self._resealed(
                record.access_token, _RECORD_ACCESS_PURPOSE
            )
        resealed = replace(
            record if access_token else without_access_token(record),
            access_token=access_token,
            refresh_token=refresh_token,
            previous_refresh_token=previous,
        )
        return None if resealed == record else replace(resealed, generation=record.generation + 1)

    def _resealed(self, text: str, purpose: str) -> str:
        return self._sealer.resealed(text, purpose=purpose, binding=self._record_binding)

    def opens(self, record: TokenRecord) -> bool:
        """Tell whether the record's refresh token opens here."""
        try:
            self.open_refresh_token(record)
        except SealingError:
            return False
        return True

    def open_seed(self, text: str) -> str:
        """Open a seed as it stands in the connection: sealed, or plain."""
        if not is_sealed(text):
            return text
        return self._sealer.open(text, purpose=SEED_PURPOSE, binding=self._seed_binding)

    def holds_key_of(self, record: TokenRecord) -> bool:
        """Tell whether the key of the record's refresh token is here."""
        return self._sealer.holds_key_of(record.refresh_token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """
    What a connection's tokens begin with: its refresh token, or its client's own credential.

    :param refresh_token: Opened; None where there is none, or where it does not open. With another
        grant than a person's consent, a mark that tells one credential from the next: tokens of a
        credential that was replaced are not used on.
    :param error: Why it does not open.
    """

    refresh_token: str | None = field(default=None, repr=False)
    grant: Grant = "user_consent"
    error: SealingError | None = None

    @classmethod
    def of(cls, settings: OAuthSettings, text: str | None, sealer: TokenSealer) -> Seed:
        """Begin with what the grant of the connection demands."""
        if settings.grant == "user_consent":
            return cls.read(text, sealer)
        key = settings.client_key
        own = (
            settings.client_secret,
            None if key is None else key.private_key,
            settings.service_account_key,
        )
        secret = next((one for one in own if one), "")
        mark = fingerprint(f"{settings.grant}\0{settings.login}\0{secret}")
        return cls(refresh_token=f"credential-{mark}", grant=settings.grant)

    @classmethod
    def read(cls, text: str | None, sealer: TokenSealer) -> Seed:
        """Open a seed. What does not open is no seed, but the reason is kept."""
        try:
            return cls(refresh_token=sealer.open_seed(text.strip()) or None if text else None)
        except SealingError as error:
            return cls(error=error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """
    A record with its tokens opened.

    :param replaces_unreadable: The record in the store does not open here, and this one would
        take its place: only a success may overwrite what may open elsewhere.
    """

    record: TokenRecord
    access_token: str | None = field(repr=False)
    refresh_token: str = field(repr=False)
    replaces_unreadable: bool = False


def reconcile(
    stored: TokenRecord | None,
    seed: Seed,
    sealer: TokenSealer,
    *,
    seed_survives_rotation: bool,
    at: datetime,
) -> Tokens:
    """
    Decide what rules, and open it.

    A stored record that does not open here (another key, or a changed binding) gives way to its
    own seed. The exception: its key is not here, and using the seed would spend a refresh token
    that is dead since the first rotation, for which a strict server revokes the living one, too.
    Another host may hold that key, so the missing key is reported instead.

    :param stored: The record in the store, or None.
    :param seed_survives_rotation: The mail provider never replaces a refresh token.
    :raises ReauthorizationRequiredError: If there is neither a record nor a seed. A retry cannot
        help.
    :raises SealingError: If neither opens. A retry cannot help.
    """
    if stored is None or stored.grant != seed.grant:
        return _from_seed(seed, sealer, before=stored, at=at)
    mark = fingerprint(seed.refresh_token) if seed.refresh_token else None
    if mark is not None and not _is_of(stored, mark):
        return _from_seed(seed, sealer, before=stored, at=at)
    try:
        return Tokens(
            record=stored,
            access_token=sealer.open_access_token(stored),
            refresh_token=sealer.open_refresh_token(stored),
        )
    except SealingError:
        seed_may_live = seed_survives_rotation or sealer.holds_key_of(stored)
        if mark != stored.seed_fingerprint or not seed_may_live:
            raise
    return _from_seed(seed, sealer, before=stored, at=at, replaces_unreadable=True)


def _is_of(stored: TokenRecord, mark: str) -> bool:
    """Tell whether a record goes on with what a connection begins with."""
    if stored.grant == "user_consent":
        return stored.known_seed(mark)
    # No use kills a credential, so it may come back; what another one got is not its own.
    return mark == stored.seed_fingerprint


def sealing_warnings(tokens: Tokens, seed: Seed) -> tuple[str, ...]:
    """Say what does not open here although a renewal can go on without it."""
    warnings = []
    if tokens.replaces_unreadable:
        warnings.append(
            "The token record does not open; beginning anew with the connection's refresh token."
        )
    if seed.error is not None:
        warnings.append(
            "The connection's refresh token does not open; going on with the token record. "
            f"({seed.error.message})"
        )
    return tuple(warnings)


def _from_seed(
    seed: Seed,
    sealer: TokenSealer,
    *,
    before: TokenRecord | None,
    at: datetime,
    replaces_unreadable: bool = False,
) -> Tokens:
    if seed.error is not None:
        raise seed.error
    if seed.refresh_token is None:
        raise ReauthorizationRequiredError(
            "The connection has no refresh token.",
            hint="Authorize it: airflow imap-oauth login CONN_ID.",
            step="token renewal",
        )
    record = begun(
        fingerprint(seed.refresh_token),
        sealer.seal_refresh_token(seed.refresh_token),
        before=before,
        at=at,
        grant=seed.grant,
        # Pasting a token is no leave to change the account; only signing in can give that.
        account=before.account if before and seed.grant == "user_consent" else None,
    )
    return Tokens(
        record=record,
        access_token=None,
        refresh_token=seed.refresh_token,
        replaces_unreadable=replaces_unreadable,
    )
