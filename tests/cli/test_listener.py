# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The listener of the loopback redirect: on this machine alone, and no longer than needed."""

from __future__ import annotations

import httpx
import pytest

from airflow_imap_oauth.cli.listener import RedirectListener
from airflow_imap_oauth.exceptions import AuthorizationFlowError


def port_of(listener: RedirectListener) -> int:
    """Return the port of the redirect URI."""
    port = httpx.URL(listener.redirect_uri).port
    assert port is not None
    return port


def test_rfc8252_8_3_listens_on_the_loopback_address_alone() -> None:
    """Another address of this machine is not listened on, not even another loopback one."""
    with RedirectListener(host="127.0.0.1", port=0) as listener:
        assert httpx.get(listener.redirect_uri, trust_env=False).status_code == 404
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.2:{port_of(listener)}", trust_env=False)


def test_rfc8252_7_3_port_is_open_during_the_sign_in_only() -> None:
    """Each sign-in gets a free port, which is closed with it."""
    with RedirectListener(host="127.0.0.1", port=0) as listener:
        port = port_of(listener)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}", trust_env=False)


def test_rfc8252_8_10_one_answer_is_taken() -> None:
    """After the answer that was waited for, the same address is foreign."""
    with RedirectListener(host="127.0.0.1", port=0) as listener:
        listener._state = "s"
        url = f"{listener.redirect_uri}/?code=c&state=s"
        assert httpx.get(url, trust_env=False).status_code == 200
        assert httpx.get(url, trust_env=False).status_code == 404


def test_nobody_signs_in_in_time() -> None:
    """Who waited in vain learns which redirect URI the mail provider must know, and other ways."""
    with RedirectListener(host="localhost", port=0) as listener:
        with pytest.raises(AuthorizationFlowError, match="Nobody signed in") as caught:
            listener.wait(state="any", timeout_seconds=0.01)
        assert listener.redirect_uri in caught.value.hint
    assert "--redirect-port" in caught.value.hint
    assert "--no-browser" in caught.value.hint
