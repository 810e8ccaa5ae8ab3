# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Tell Airflow's secret maskers of every secret as soon as it is read."""

from __future__ import annotations

import base64
import sys

from airflow.sdk.log import mask_secret


def mask(secret: str | None) -> None:
    """
    Mask a secret in the logs of this process and of its supervisor.

    Tasks and triggers mask with the Task SDK's masker, API server and commands with the core's;
    they do not share what they know.
    """
    if not secret:
        return
    mask_secret(secret)
    core = sys.modules.get("airflow._shared.secrets_masker")
    if core is not None:
        core.mask_secret(secret)


def mask_access_token(token: str, *, user: str, host: str, port: int) -> None:
    """
    Mask an access token, and the encoded forms in which it goes over the wire.

    The masker knows texts, not encodings, so the base64 of both SASL mechanisms (RFC 7628
    section 3.1; XOAUTH2) is masked besides.
    """
    mask(token)
    for message in (
        f"user={user}\x01auth=Bearer {token}\x01\x01",
        f"n,a={user},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01",
    ):
        mask(base64.b64encode(message.encode()).decode())
