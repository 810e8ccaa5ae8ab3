# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Tell Airflow's secret maskers of every secret as soon as it is read."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice

from airflow.sdk.log import mask_secret

from airflow_imap_oauth.imap.sasl import SASL_NAMES, initial_response

_TELLING_CHARACTERS = 24
#: The maskers compile all that they know anew for each text: with hundreds it takes minutes. The
#: largest keys in use have 52 lines.
_MAX_LINES = 64
#: Longer texts are no secrets; reading a connection refuses them.
_MAX_CHARACTERS = 64 * 1024

_is_on: ContextVar[bool] = ContextVar("imap_oauth_masking", default=True)


@contextmanager
def masking_off() -> Iterator[None]:
    """
    Leave secrets unmasked that are looked at and dropped at once.

    For lists of many connections: the maskers compile all that they know anew for every new secret,
    so telling them of a thousand takes minutes and slows every line of the log from then on.
    """
    before = _is_on.set(False)
    try:
        yield
    finally:
        _is_on.reset(before)


def mask(secret: str | None) -> None:
    """
    Mask a secret in the logs of this process and of its supervisor.

    Tasks and triggers mask with the Task SDK's masker, API server and commands with the core's;
    they do not share what they know.
    """
    if not secret or len(secret) > _MAX_CHARACTERS or not _is_on.get():
        return
    core = sys.modules.get("airflow._shared.secrets_masker")
    # The long whole comes last: every text before it is compiled without it.
    for part in dict.fromkeys((*_lines(secret), secret)):
        mask_secret(part)
        if core is not None:
            core.mask_secret(part)


def _lines(secret: str) -> list[str]:
    """Return the telling lines of a key: escaped or cut in a log, it is no longer one text."""
    lines = secret.replace("\\n", "\n").splitlines()
    if len(lines) < 2:  # noqa: PLR2004  # a secret of one line is masked as a whole
        return []
    telling = (line for line in lines if len(line) >= _TELLING_CHARACTERS and "-----" not in line)
    return [*islice(dict.fromkeys(telling), _MAX_LINES)]


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
