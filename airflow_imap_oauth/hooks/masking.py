# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Tell Airflow's secret maskers of every secret as soon as it is read."""

from __future__ import annotations

import base64
import sys

from airflow.sdk.log import mask_secret

from airflow_imap_oauth.imap.sasl import SASL_NAMES, initial_response


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

    The masker knows texts, not encodings, so what both SASL mechanisms make of it is masked
    besides.
    """
    mask(token)
    for mechanism in SASL_NAMES:
        message = initial_response(mechanism, user=user, access_token=token, host=host, port=port)
        mask(base64.b64encode(message).decode())
