# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Mail-provider profiles on loopback, for tests only.

``test_microsoft`` is refreshed by MSAL and ``test_google`` by google-auth, against a server that
plays both (:mod:`tests.servers.authorization_server`). The environment variable
``IMAP_OAUTH_TEST_BASE_URL`` says where it is, for example ``https://localhost:4443``.

The value of each entry point is a factory that takes no argument: the variable is read when the
profile is asked for, not when this module is imported.
"""

from __future__ import annotations

import os
from dataclasses import replace

from airflow_imap_oauth.oauth.profiles import MailProviderProfile, get_profile

BASE_URL_VARIABLE = "IMAP_OAUTH_TEST_BASE_URL"
_HOST = "localhost"


def microsoft() -> MailProviderProfile:
    """
    Return the profile ``test_microsoft``: Microsoft's own, but for the addresses.

    :raises KeyError: the environment variable is not set.
    """
    base_url = _base_url()
    return replace(
        get_profile("microsoft"),
        name="test_microsoft",
        label="Microsoft on loopback (tests)",
        imap_host=_HOST,
        issuer=f"{base_url}/{{tenant_id}}/v2.0",
        authorize_url=f"{base_url}/{{tenant_id}}/oauth2/v2.0/authorize",
        token_url=f"{base_url}/{{tenant_id}}/oauth2/v2.0/token",
        sources=(),
    )


def google() -> MailProviderProfile:
    """
    Return the profile ``test_google``: Google's own, but for the addresses.

    :raises KeyError: the environment variable is not set.
    """
    base_url = _base_url()
    return replace(
        get_profile("google"),
        name="test_google",
        label="Google on loopback (tests)",
        imap_host=_HOST,
        issuer=f"{base_url}/google",
        authorize_url=f"{base_url}/google/authorize",
        token_url=f"{base_url}/google/token",
        revoke_url=None,
        sources=(),
    )


def _base_url() -> str:
    return os.environ[BASE_URL_VARIABLE].rstrip("/")
