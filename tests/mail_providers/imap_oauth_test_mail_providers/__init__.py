# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Mail-provider profiles on loopback, for tests only.

``test_microsoft`` is refreshed by MSAL, ``test_google`` by google-auth, ``test_yahoo``,
``test_zoho`` and ``test_yandex`` by our own client, against a server that plays them all
(:mod:`tests.servers.authorization_server`). The environment variable ``IMAP_OAUTH_TEST_BASE_URL``
says where it is, for example ``https://localhost:4443``.

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
        device_url=f"{base_url}/{{tenant_id}}/oauth2/v2.0/devicecode",
        jwks_url=f"{base_url}/{{tenant_id}}/discovery/v2.0/keys",
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
        revoke_url=f"{base_url}/google/revoke",
        jwks_url=f"{base_url}/google/jwks",
        sources=(),
    )


def yahoo() -> MailProviderProfile:
    """
    Return the profile ``test_yahoo``: Yahoo's own, but for the addresses.

    :raises KeyError: the environment variable is not set.
    """
    base_url = _base_url()
    return replace(
        get_profile("yahoo"),
        name="test_yahoo",
        label="Yahoo on loopback (tests)",
        imap_host=_HOST,
        authorize_url=f"{base_url}/yahoo/oauth2/request_auth",
        token_url=f"{base_url}/yahoo/oauth2/get_token",
        revoke_url=f"{base_url}/yahoo/oauth2/revoke",
        sources=(),
    )


def zoho() -> MailProviderProfile:
    """
    Return the profile ``test_zoho``: Zoho's own, but for the addresses, the same in each region.

    :raises KeyError: the environment variable is not set.
    """
    base_url = _base_url()
    return replace(
        get_profile("zoho"),
        name="test_zoho",
        label="Zoho on loopback (tests)",
        imap_host=_HOST,
        authorize_url=f"{base_url}/zoho/oauth/v2/auth",
        token_url=f"{base_url}/zoho/oauth/v2/token",
        revoke_url=f"{base_url}/zoho/oauth/v2/token/revoke",
        sources=(),
    )


def yandex() -> MailProviderProfile:
    """
    Return the profile ``test_yandex``: Yandex's own, but for the addresses.

    :raises KeyError: the environment variable is not set.
    """
    base_url = _base_url()
    return replace(
        get_profile("yandex"),
        name="test_yandex",
        label="Yandex on loopback (tests)",
        imap_host=_HOST,
        authorize_url=f"{base_url}/yandex/authorize",
        token_url=f"{base_url}/yandex/token",
        device_url=f"{base_url}/yandex/device/code",
        sources=(),
    )


def _base_url() -> str:
    return os.environ[BASE_URL_VARIABLE].rstrip("/")
