# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The token record as text."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.tokens.record import LastError, TokenRecord

AT = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=timezone.utc)

FULL = TokenRecord(
    generation=7,
    access_token="sealed:v1:0:access",
    access_token_expires_at=AT + timedelta(hours=1),
    refresh_token="sealed:v1:0:refresh",
    previous_refresh_token="sealed:v1:0:previous",
    scopes=("imap", "openid"),
    account={"sub": "4711"},
    seed_fingerprint="aa",
    superseded_seed_fingerprints=("bb", "cc"),
    status="needs_authorization",
    status_reason="invalid_grant",
    status_since_at=AT,
    last_refresh_at=AT,
    last_error=LastError(kind="OAuthError", text="no", hint="do", at=AT, retry_at=AT),
    in_flight_fingerprint="dd",
)


@pytest.mark.parametrize(
    "record", [FULL, TokenRecord(generation=1, refresh_token="x", seed_fingerprint="aa")]
)
def test_a_record_comes_back(record: TokenRecord) -> None:
    """A record read from its own text is the same record."""
    assert TokenRecord.from_json(record.to_json()) == record


def test_the_text_is_stable() -> None:
    """The same record has one text: JSON with sorted keys and its schema."""
    data = json.loads(FULL.to_json())
    assert list(data) == sorted(data)
    assert data["schema"] == 1
    assert data["status_since_at"] == "2026-03-01T12:00:00.250000+00:00"


def test_instants_of_other_zones_become_utc() -> None:
    """An instant written with another offset is the same instant."""
    data = json.loads(FULL.to_json())
    data["status_since_at"] = "2026-03-01T14:00:00.250000+02:00"
    instant = TokenRecord.from_json(json.dumps(data)).status_since_at
    assert instant == AT
    assert instant.utcoffset() == timedelta(0)


def test_keys_of_a_later_minor_version_survive() -> None:
    """What this version does not know is written back as it was read."""
    data = json.loads(FULL.to_json())
    data["later"] = {"nested": [1, None]}
    record = TokenRecord.from_json(json.dumps(data))
    assert json.loads(record.to_json()) == data


@pytest.mark.parametrize("schema", [0, 2, "1", None])
def test_an_unknown_schema_is_refused(schema: object) -> None:
    """A record of another schema is not touched; the message says to upgrade."""
    data = json.loads(FULL.to_json())
    data["schema"] = schema
    with pytest.raises(ConfigurationError, match=r"schema.*Upgrade airflow-imap-oauth"):
        TokenRecord.from_json(json.dumps(data))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "1",
        "{}",
        '"x"',
        '{"schema": 1}',
        FULL.to_json()[:-5],
        "[" * 100_000,
        '{"schema": 1, "x": ' + "9" * 5_000 + "}",
    ],
)
def test_what_is_no_record_is_refused(text: str) -> None:
    """A broken record is a clear error that says what to do."""
    with pytest.raises(ConfigurationError, match=r"cannot be understood.*Authorize again"):
        TokenRecord.from_json(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("generation", "7"),
        ("generation", True),
        ("generation", None),
        ("refresh_token", None),
        ("refresh_token", 5),
        ("access_token", ["canary"]),
        ("access_token_expires_at", "tomorrow"),
        ("access_token_expires_at", "0001-01-01T00:00:00+23:59"),
        ("last_error", "text"),
        ("last_error", ["text"]),
        ("access_token_expires_at", "2026-03-01T12:00:00"),
        ("scopes", "imap"),
        ("scopes", [1]),
        ("account", ["sub"]),
        ("account", {"sub": 1}),
        ("status", "canary"),
        ("status", None),
        ("last_error", "canary"),
        ("last_error", {"kind": "x"}),
        ("superseded_seed_fingerprints", {"a": 1}),
    ],
)
def test_values_of_the_wrong_kind_are_refused(name: str, value: Any) -> None:
    """A value of the wrong kind is refused, and not quoted."""
    data = json.loads(FULL.to_json())
    data[name] = value
    with pytest.raises(ConfigurationError, match="cannot be understood") as caught:
        TokenRecord.from_json(json.dumps(data))
    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("name", ["access_token", "scopes", "account", "last_error"])
def test_missing_optional_values_are_none(name: str) -> None:
    """A record without an optional value is one where it is unknown."""
    data = json.loads(FULL.to_json())
    del data[name]
    assert not getattr(TokenRecord.from_json(json.dumps(data)), name)
