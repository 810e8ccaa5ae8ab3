# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Device authorization (RFC 8628), as each mail provider has it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import InvalidGrantError, OAuth2Error, UnauthorizedClientError
from authlib.oauth2.rfc6749.grants import BaseGrant, TokenEndpointMixin

from tests.servers.authorization.dialects import YANDEX_IMAP_SCOPE
from tests.servers.authorization.errors import DetailedError
from tests.servers.authorization.grants import Authenticated
from tests.servers.authorization.messages import Answer, OAuthRequest, json_answer
from tests.servers.authorization.model import Client, DeviceCode
from tests.servers.authorization.parameters import DEVICE_GRANT, YANDEX_DEVICE_GRANT
from tests.servers.authorization.state import State, new_family, new_value

if TYPE_CHECKING:
    from tests.servers.authorization.protocol import ProtocolServer

_SLOWER_SECONDS = 5
# No vowels: no words (RFC 8628 section 6.1).
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


# --- Device authorization endpoint ----------------------------------------------------------------


def authorize_device(server: ProtocolServer, request: OAuthRequest) -> Answer:
    """
    Issue a device code and a user code.

    :raises OAuth2Error: the request is refused.
    """
    client = _client(server, request)
    if not client.check_grant_type(DEVICE_GRANT):
        raise UnauthorizedClientError
    scope = request.payload.scope or YANDEX_IMAP_SCOPE
    server.validate_requested_scope(scope)
    device = _issue(server, client, scope)
    verification = server.endpoint_url("verification")
    body: dict[str, object] = {
        "device_code": device.value,
        "user_code": device.user_code,
        "verification_uri": verification,
        "expires_in": server.state.switches.device_lifetime_seconds,
        "interval": server.state.switches.device_interval_seconds,
    }
    if server.dialect.name == "yandex":
        body["verification_url"] = body.pop("verification_uri")
    elif server.dialect.name == "microsoft":
        body["message"] = f"To sign in, open {verification} and enter {device.user_code}."
    else:
        body["verification_uri_complete"] = add_params_to_uri(
            verification, [("user_code", device.user_code)]
        )
    return json_answer(body)


def _client(server: ProtocolServer, request: OAuthRequest) -> Client:
    form = request.form
    proof = "client_secret" in form or "client_assertion" in form
    if server.dialect.device_identifies and not proof and "Authorization" not in request.headers:
        client = server.query_client(form["client_id"]) if "client_id" in form else None
        if client is None:
            raise UnauthorizedClientError
        return client
    found: Client = server.authenticate_client(request, server.dialect.auth_methods, "device")
    return found


def _issue(server: ProtocolServer, client: Client, scope: str) -> DeviceCode:
    switches = server.state.switches
    letters = "".join(secrets.choice(_LETTERS) for _ in range(8))
    device = DeviceCode(
        value=new_value("device"),
        user_code=f"{letters[:4]}-{letters[4:]}",
        client_id=client.client_id,
        scope=scope,
        dialect_name=server.dialect.name,
        tenant=server.tenant,
        family=new_family(),
        expires_at=server.state.monotonic() + switches.device_lifetime_seconds,
        interval_seconds=switches.device_interval_seconds,
    )
    with server.state.lock:
        server.state.devices[device.value] = device
    return device


# --- The user -------------------------------------------------------------------------------------


def decide(state: State, user_code: str, login: str, *, allow: bool) -> None:
    """
    Allow or deny what a user code stands for; letters of any case, with or without the hyphen.

    :raises ValueError: the code is not known, expired or decided.
    """
    wanted = user_code.upper().replace("-", "").strip()
    with state.lock:
        for device in state.devices.values():
            if device.user_code.replace("-", "") == wanted:
                break
        else:
            raise ValueError("there is no such user code")
        decided = device.denied or device.login is not None
        if decided or device.expires_at <= state.monotonic():
            raise ValueError("the user code is expired, or was decided before")
        chosen = state.switches.granted_scopes
        if chosen is not None:
            device.scope = " ".join(one for one in device.scope.split() if one in chosen)
        device.denied = not allow or not device.scope
        device.login = None if device.denied else login


# --- Token endpoint -------------------------------------------------------------------------------


class DeviceGrant(Authenticated, BaseGrant, TokenEndpointMixin):
    """Tokens for a device code, as soon as a user allowed it."""

    GRANT_TYPE = DEVICE_GRANT
    PARAMETER = "device_code"
    server: ProtocolServer

    def validate_token_request(self) -> None:
        """Find the device code, and whether the user allowed it."""
        client = self.authenticate_token_endpoint_client()
        if not client.check_grant_type(DEVICE_GRANT):
            raise UnauthorizedClientError
        self.request.client = client
        device = self.server.state.devices.get(self.request.form[self.PARAMETER])
        here = (client.client_id, self.server.dialect.name, self.server.tenant)
        if (
            device is None
            or device.spent
            or (device.client_id, device.dialect_name, device.tenant) != here
        ):
            raise self._unknown()
        self._check_pace(device)
        if device.expires_at <= self.server.state.monotonic():
            raise self._expired()
        if device.denied:
            device.spent = True
            raise self._denied()
        if device.login is None:
            raise DetailedError("authorization_pending", "The user has not decided yet.")
        device.spent = True
        self.request.credential = device

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Issue the tokens."""
        device = self.request.credential
        offline = self.server.dialect.offline_by == "always" or (
            "offline_access" in device.scope.split()
        )
        token: dict[str, Any] = self.generate_token(
            user=device.login, scope=device.scope, include_refresh_token=offline
        )
        self.save_token(token)
        return 200, token, self.TOKEN_RESPONSE_HEADER

    def _check_pace(self, device: DeviceCode) -> None:
        now = self.server.state.monotonic()
        last, device.polled_at = device.polled_at, now
        if last is not None and now - last < device.interval_seconds:
            device.interval_seconds += _SLOWER_SECONDS
            raise DetailedError("slow_down", "The client polls too fast.")

    # --- What these are called ---

    def _unknown(self) -> OAuth2Error:
        if self.server.dialect.name == "microsoft":
            return DetailedError("bad_verification_code", "The device code is not known.")
        return InvalidGrantError("The device code is not known, or was used before.")

    def _expired(self) -> OAuth2Error:
        if self.server.dialect.name == "yandex":
            return InvalidGrantError("Code has expired")
        return DetailedError("expired_token", "The device code has expired.")

    def _denied(self) -> OAuth2Error:
        if self.server.dialect.name == "microsoft":
            return DetailedError("authorization_declined", "The user declined.")
        return DetailedError("access_denied", "The user denied access.")


class YandexDeviceGrant(DeviceGrant):
    """The same under Yandex's names."""

    GRANT_TYPE = YANDEX_DEVICE_GRANT
    PARAMETER = "code"
