# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The token record: a connection's tokens as one JSON text whose secrets are sealed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from typing import Any, Literal, get_args

from airflow_imap_oauth.exceptions import ConfigurationError

SCHEMA = 1

RecordStatus = Literal["active", "needs_authorization"]

_INSTANTS = ("access_token_expires_at", "status_since_at", "last_refresh_at", "in_flight_at")
# What reading a text may raise that somebody else has written.
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
_TEXTS = (
    "access_token",
    "previous_refresh_token",
    "status_reason",
    "in_flight_fingerprint",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastError:
    """
    Why the last renewal failed.

    :param kind: Name of the error's class.
    :param text: What failed, without secrets, shortened.
    :param hint: What to do next, or empty.
    :param at: When it failed.
    :param retry_at: Before this instant the server does not want to be asked again; None when it
        did not say.
    """

    kind: str
    text: str
    hint: str = ""
    at: datetime
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """
    One connection's tokens. Every secret in it is sealed; fingerprints tell secrets apart.

    :param generation: Grows by one with each new token or seed; the higher one is newer.
    :param access_token: Sealed, or None when there is none to use.
    :param refresh_token: Sealed; with another grant, a mark of the client's own credential.
    :param previous_refresh_token: The one before a rotation, sealed, or None.
    :param grant: How its tokens are had; ``user_consent``: by its refresh token.
    :param scopes: As granted; empty while unknown.
    :param account: The account that consented, by claim; None while it is not bound.
    :param seed_fingerprint: Of the refresh token in the connection that this record began with.
    :param superseded_seed_fingerprints: Of seeds that a later one replaced: they never win again.
    :param status_reason: Why somebody must authorize again; None while active.
    :param status_since_at: Since when the status is what it is.
    :param last_refresh_at: When the access token was asked for; None before the first time.
    :param in_flight_fingerprint: Of the refresh token that a renewal went out to spend and whose
        answer is not saved; else None.
    :param in_flight_at: When that renewal began.
    :param unknown: What a later minor version has added; written back as it was read.
    """

    generation: int
    grant: str = "user_consent"
    access_token: str | None = None
    access_token_expires_at: datetime | None = None
    refresh_token: str
    previous_refresh_token: str | None = None
    scopes: tuple[str, ...] = ()
    account: Mapping[str, str] | None = None
    seed_fingerprint: str
    superseded_seed_fingerprints: tuple[str, ...] = ()
    status: RecordStatus = "active"
    status_reason: str | None = None
    status_since_at: datetime | None = None
    last_refresh_at: datetime | None = None
    last_error: LastError | None = None
    in_flight_fingerprint: str | None = None
    in_flight_at: datetime | None = None
    unknown: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the record as JSON text with sorted keys."""
        data = {item.name: getattr(self, item.name) for item in fields(self)}
        data.update({name: _written(data[name]) for name in _INSTANTS})
        if self.last_error is not None:
            data["last_error"] = {
                "kind": self.last_error.kind,
                "text": self.last_error.text,
                "hint": self.last_error.hint,
                "at": _written(self.last_error.at),
                "retry_at": _written(self.last_error.retry_at),
            }
        unknown = data.pop("unknown")
        return json.dumps({**unknown, **data, "schema": SCHEMA}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> TokenRecord:
        """
        Read a record.

        :raises ConfigurationError: If it is of another schema, or no record. A retry cannot help.
        """
        try:
            data = json.loads(text)
            schema = data["schema"]
        except _MALFORMED:
            raise _malformed("it is no JSON object with a schema") from None
        if schema != SCHEMA:
            raise ConfigurationError(
                f"The token record has schema {schema!r:.20}; this version knows {SCHEMA}.",
                hint="Upgrade airflow-imap-oauth on this host to the version of the other hosts.",
                step="token record",
            )
        try:
            return _read(data)
        except _MALFORMED as error:
            # The type alone: the text of some of these quotes the value.
            raise _malformed(type(error).__name__) from None

    def known_seed(self, fingerprint: str) -> bool:
        """Tell whether this record began with that seed, or has outlived it."""
        return fingerprint == self.seed_fingerprint or (
            fingerprint in self.superseded_seed_fingerprints
        )


def _read(data: dict[str, Any]) -> TokenRecord:
    known = {item.name for item in fields(TokenRecord)} - {"unknown"}
    status = data["status"]
    if status not in get_args(RecordStatus):
        raise ValueError
    return TokenRecord(
        generation=_checked(data["generation"], int),
        grant=_checked(data.get("grant", "user_consent"), str),
        refresh_token=_checked(data["refresh_token"], str),
        scopes=_strings(data.get("scopes")),
        account=_account(data.get("account")),
        seed_fingerprint=_checked(data["seed_fingerprint"], str),
        superseded_seed_fingerprints=_strings(data.get("superseded_seed_fingerprints")),
        status=status,
        last_error=_last_error(data.get("last_error")),
        unknown={
            name: value for name, value in data.items() if name not in known and name != "schema"
        },
        **{name: _optional_text(data.get(name)) for name in _TEXTS},
        **{name: _optional_instant(data.get(name)) for name in _INSTANTS},
    )


def _last_error(value: Any) -> LastError | None:
    if value is None:
        return None
    return LastError(
        kind=_checked(value["kind"], str),
        text=_checked(value["text"], str),
        hint=_checked(value.get("hint", ""), str),
        at=_instant(value["at"]),
        retry_at=_optional_instant(value.get("retry_at")),
    )


def _account(value: Any) -> dict[str, str] | None:
    if value is None:
        return None
    return {str(name): _checked(claim, str) for name, claim in _checked(value, dict).items()}


def _strings(value: Any) -> tuple[str, ...]:
    return tuple(_checked(item, str) for item in _checked(value or [], list))


def _checked(value: Any, kind: type) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError
    return value


def _optional_text(value: Any) -> Any:
    return None if value is None else _checked(value, str)


def _instant(value: Any) -> datetime:
    instant = datetime.fromisoformat(_checked(value, str))
    if instant.tzinfo is None:
        raise ValueError
    return instant.astimezone(timezone.utc)


def _optional_instant(value: Any) -> Any:
    return None if value is None else _instant(value)


def _written(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(timezone.utc).isoformat()


def _malformed(why: str) -> ConfigurationError:
    return ConfigurationError(
        f"The token record cannot be understood ({why}).",
        hint="Authorize again: airflow imap-oauth login CONN_ID.",
        step="token record",
    )
