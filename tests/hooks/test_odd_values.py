# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Values of a connection that are masked, huge, or written in a way that could mean anything."""

from __future__ import annotations

import secrets
import time
from typing import Any

import pytest
from airflow.sdk._shared.secrets_masker import redact

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.hooks.masking import mask
from tests.hooks.mailboxes import forget_masks
from tests.hooks.test_connection import parsed


def test_masked_secrets_mean_unset() -> None:
    """Airflow's mask in place of a secret is not used as one."""
    assert parsed(password="***", extra={"refresh_token": "x***"}).seed is None


@pytest.mark.parametrize(
    "key",
    [
        "client_secret",
        "certificate_private_key",
        "certificate_chain",
        "service_account_key",
        "proxy_url",
    ],
)
def test_masked_secret_makes_no_public_client(key: str) -> None:
    """What was lost to Airflow's mask is reported: nothing silently goes on without it."""
    with pytest.raises(ConfigurationError, match=rf"'{key}'.*mask.*enter it again"):
        parsed(extra={key: "***"})


@pytest.mark.parametrize("params", [{"access": "***"}, '{"access": "***"}', "***"])
def test_mask_inside_of_authorize_params_is_refused(params: object) -> None:
    """A parameter that Airflow has masked is not sent as it stands."""
    with pytest.raises(ConfigurationError, match=r"authorize_params'.*'\*\*\*'"):
        parsed(extra={"authorize_params": params})


@pytest.mark.parametrize("name", ["STATE", "Client_Id", "redirect_uri"])
def test_own_parameters_cannot_be_configured(name: str) -> None:
    """What each sign-in sets anew is refused, however it is spelled."""
    with pytest.raises(ConfigurationError, match="may not set"):
        parsed(extra={"authorize_params": {name: "x"}})


@pytest.mark.parametrize(
    "text",
    ["1_000", "1 0", "nan", "inf", "1e2", "+5", "٣", "0x10", "5s", "-1", "0", ".5", "1" * 400],
)
def test_seconds_are_plain_numbers(text: str) -> None:
    """A duration is written in digits, and nothing that a language happens to read is guessed."""
    with pytest.raises(ConfigurationError, match="not a number of seconds"):
        parsed(extra={"read_timeout_seconds": text})


@pytest.mark.parametrize(
    "text", ["20270131", "2027-W05-1", "2027-1-31", "31.01.2027", "2027-02-30"]
)
def test_day_has_one_form(text: str) -> None:
    """A date reads like 2027-01-31 on every version of Python."""
    with pytest.raises(ConfigurationError, match="not a date"):
        parsed(extra={"credential_expires_on": text})


LINES = [secrets.token_hex(32) for _ in range(16_000)]


@pytest.mark.parametrize(
    "fields",
    [
        {"extra": {"certificate_private_key": "\n".join(LINES)}},
        {"extra": {"service_account_key": "\n".join(LINES)}},
        {"extra": {"certificate_chain": "\n".join(LINES)}},
        {"extra": {"certificate_private_key": "A\n" * 600}},
        {"extra": {"client_secret": "".join(LINES)}},
        {"extra": {"proxy_url": "http://" + "".join(LINES)}},
        {"password": "\n".join(LINES)},
        {"password": "sealed:v1:" + "".join(LINES)},
    ],
    ids=lambda fields: str(fields)[:40],
)
def test_huge_secret_is_refused_at_once(fields: dict[str, Any]) -> None:
    """A text that is no secret for its size alone is neither read nor masked line by line."""
    begun = time.thread_time()
    with pytest.raises(ConfigurationError, match="too long"):
        parsed(**fields)
    assert time.thread_time() - begun < 0.5


def test_many_lines_are_masked_in_time() -> None:
    """The longest text that is read takes little more time than a key; its lines are masked."""
    forget_masks()
    begun = time.thread_time()
    mask("\n".join(LINES[:490]))
    assert time.thread_time() - begun < 5
    assert redact(f"line {LINES[0]} of a key") == "line *** of a key"
    forget_masks()
