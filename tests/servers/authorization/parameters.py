# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Strict reading of parameters.

RFC 6749 section 3 lets a server ignore parameters that it does not know, and takes empty ones as
omitted. This server refuses both, so that a client that sends either is found out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from urllib.parse import parse_qsl

from authlib.oauth2.rfc6749 import InvalidRequestError

from tests.servers.authorization.messages import Pairs, Request

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
#: Yandex's own name of the grant.
YANDEX_DEVICE_GRANT = "device_code"
#: Of a service account.
JWT_BEARER_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"

_FORM = "application/x-www-form-urlencoded"
_CLIENT = frozenset({"client_id", "client_secret"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The parameters that a request must have, and those that it may have besides."""

    required: frozenset[str]
    optional: frozenset[str] = frozenset()

    def check(self, pairs: Pairs, also: AbstractSet[str] = frozenset()) -> None:
        """
        Refuse unknown, repeated, empty and missing parameters.

        :param also: Further optional ones, of the mail provider that is played.
        :raises InvalidRequestError: names the parameter, never its value.
        """
        names = Counter(name for name, _ in pairs)
        unknown = names.keys() - self.required - self.optional - also
        repeated = {name for name, count in names.items() if count > 1}
        empty = {name for name, value in pairs if not value}
        for what, found in (
            ("Unknown", unknown),
            ("Repeated", repeated),
            ("Empty", empty),
            ("Missing", self.required - names.keys()),
        ):
            if found:
                raise InvalidRequestError(f"{what} parameter: {_printable(min(found))}")


AUTHORIZE = Expected(
    required=frozenset(
        {
            "response_type",
            "client_id",
            "redirect_uri",
            "scope",
            "state",
            "code_challenge",
            "code_challenge_method",
        }
    ),
    optional=frozenset({"login_hint", "prompt", "nonce"}),
)
CONSENT = Expected(
    required=frozenset({"transaction", "decision"}), optional=frozenset({"login", "scope"})
)
TOKEN_BY_GRANT = {
    "authorization_code": Expected(
        required=frozenset({"grant_type", "code", "redirect_uri", "code_verifier"}),
        optional=_CLIENT,
    ),
    "refresh_token": Expected(
        required=frozenset({"grant_type", "refresh_token"}), optional=_CLIENT | {"scope"}
    ),
    "client_credentials": Expected(required=frozenset({"grant_type", "scope"}), optional=_CLIENT),
    JWT_BEARER_GRANT: Expected(required=frozenset({"grant_type", "assertion"})),
    DEVICE_GRANT: Expected(required=frozenset({"grant_type", "device_code"}), optional=_CLIENT),
    YANDEX_DEVICE_GRANT: Expected(required=frozenset({"grant_type", "code"}), optional=_CLIENT),
}
_GRANT = Expected(required=frozenset({"grant_type"}))
DEVICE = Expected(required=frozenset({"scope"}), optional=_CLIENT)
YANDEX_DEVICE = Expected(required=frozenset({"client_id"}), optional=_CLIENT | {"scope"})
LOOK_UP = Expected(required=frozenset({"token"}), optional=_CLIENT | {"token_type_hint"})
REVOKE_BY_TOKEN = Expected(required=frozenset({"token"}))


def query(request: Request) -> Pairs:
    """
    Decode the query of a URL.

    :raises InvalidRequestError: it is not well-formed.
    """
    return _decode(request.query)


def form(request: Request) -> Pairs:
    """
    Decode the body of a POST.

    :raises InvalidRequestError: another method or content type, parameters in the URL, or a body
        that is not well-formed.
    """
    if request.method != "POST":
        raise InvalidRequestError("This endpoint takes POST requests only.", status_code=405)
    if request.query:
        raise InvalidRequestError("Parameters are not accepted in the URL of this endpoint.")
    content_type, _, parameter = request.headers.get("Content-Type", "").partition(";")
    charset = parameter.strip().lower()
    if content_type.strip().lower() != _FORM or charset not in ("", "charset=utf-8"):
        raise InvalidRequestError(f"The content type must be {_FORM}.")
    try:
        return _decode(request.body.decode("ascii"))
    except UnicodeDecodeError:
        raise InvalidRequestError("The body is not form-encoded.") from None


def check_token_request(
    pairs: Pairs, also: AbstractSet[str], for_device: AbstractSet[str] = frozenset()
) -> None:
    """
    Check the parameters of a token request; an unknown grant is left to the server.

    :param also: Further optional ones of the mail provider, but for assertions.
    :param for_device: The same for a device code alone.
    :raises InvalidRequestError: see :meth:`Expected.check`.
    """
    grant = next((value for name, value in pairs if name == "grant_type"), None)
    expected = _GRANT if grant is None else TOKEN_BY_GRANT.get(grant)
    if grant == JWT_BEARER_GRANT:
        also = frozenset()
    elif grant == DEVICE_GRANT:
        also = also | for_device
    if expected is not None:
        expected.check(pairs, also)


def check_client_authentication(request: Request, pairs: Pairs) -> None:
    """
    Refuse a client that authenticates in two ways at once (RFC 6749 section 2.3).

    :raises InvalidRequestError: it does.
    """
    names = {name for name, _ in pairs}
    ways = ["Authorization" in request.headers, "client_secret" in names]
    if sum([*ways, "client_assertion" in names]) > 1:
        raise InvalidRequestError("The client authenticates in two ways at once.")
    if ("client_assertion" in names) != ("client_assertion_type" in names):
        raise InvalidRequestError("An assertion and its type belong together.")


def _decode(text: str) -> Pairs:
    if not text:
        return ()
    try:
        return tuple(parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict"))
    except ValueError:
        raise InvalidRequestError("The parameters are not form-encoded.") from None


def _printable(name: str) -> str:
    # What an error description may hold (RFC 6749 section 5.2).
    return "".join(c for c in name[:60] if (c.isascii() and c.isalnum()) or c in "_-.")
