# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Sign-in with a bearer token: XOAUTH2 and OAUTHBEARER (RFC 7628), as the server reads them."""

from __future__ import annotations

import base64
import binascii
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

MECHANISMS = ("XOAUTH2", "OAUTHBEARER")

#: Returns the account of a token, or None where it is not valid.
TokenCheck = Callable[[str], "str | None"]


class TokenCheckUnavailableError(Exception):
    """The token cannot be checked for now: answered with NO [UNAVAILABLE]."""


class MalformedResponseError(Exception):
    """The client's SASL response cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BearerResponse:
    """What a client claims: the mailbox it wants, and its token."""

    user: str
    token: str = field(repr=False)


def parse_response(mechanism: str, encoded: bytes) -> BearerResponse:
    """
    Read the client's first response, base64 as it came.

    :raises MalformedResponseError: It is not of this mechanism.
    """
    try:
        text = base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise MalformedResponseError("not base64 of UTF-8") from None
    head, *pairs = text.split("\x01")
    if mechanism == "XOAUTH2":
        pairs = [head, *pairs]
        user = next((pair[5:] for pair in pairs if pair.startswith("user=")), "")
    else:
        flag, _, authzid = head.partition(",")
        if flag not in ("n", "y") or not authzid.endswith(","):
            raise MalformedResponseError("no GS2 header")
        user = authzid.removeprefix("a=").removesuffix(",").replace("=2C", ",").replace("=3D", "=")
    if pairs[-2:] != ["", ""]:
        raise MalformedResponseError("it does not end with two separators")
    scheme, _, token = next((pair[5:] for pair in pairs if pair.startswith("auth=")), "").partition(
        " "
    )
    if scheme.lower() != "bearer" or not token:
        raise MalformedResponseError("no bearer token")
    return BearerResponse(user=user, token=token)


def error_challenge(mechanism: str) -> bytes:
    """Return the challenge that says why a token was refused, as Dovecot words it, in base64."""
    if mechanism == "XOAUTH2":
        values = {"status": "401", "schemes": "bearer", "scope": "mail"}
    else:
        values = {"status": "invalid_token"}
    return base64.b64encode(json.dumps(values, separators=(",", ":")).encode())


def introspection(
    url: str, *, client_id: str, client_secret: str, ca_file: str | None = None
) -> TokenCheck:
    """
    Make a check that looks tokens up at an authorization server (RFC 7662).

    The account is ``username``, else ``email``, else ``sub`` of the answer.
    """
    login = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
    context = ssl.create_default_context(cafile=ca_file)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )

    def check(token: str) -> str | None:
        request = urllib.request.Request(  # noqa: S310 - a test server's own URL
            url, urlencode({"token": token}).encode(), {"Authorization": f"Basic {login}"}
        )
        try:
            with opener.open(request, timeout=5) as response:
                answer = json.loads(response.read())
        except (OSError, ValueError) as exc:
            raise TokenCheckUnavailableError from exc
        if not answer.get("active"):
            return None
        return next((answer[name] for name in ("username", "email", "sub") if name in answer), None)

    return check
