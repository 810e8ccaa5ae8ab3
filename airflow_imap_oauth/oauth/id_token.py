# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The id_token of a token response, checked (OpenID Connect Core sections 3.1.3.7 and 12.2).

Its signature is checked at an authorization. At a renewal, where the token came from the token
endpoint over TLS a moment ago, the specification lets that stand for the signature.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeGuard

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from airflow_imap_oauth.exceptions import OAuthError, TokenResponseError
from airflow_imap_oauth.oauth.accounts import Account
from airflow_imap_oauth.oauth.http import Transport
from airflow_imap_oauth.oauth.metadata import METADATA, metadata_of
from airflow_imap_oauth.oauth.settings import OAuthSettings

STEP = "id_token"

_SKEW = timedelta(minutes=5)
_SIGNATURES = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
_PUBLIC_KEY_TYPES = ("RSA", "EC", "OKP")
_MIN_RSA_BITS = 2048
_WITH_SECRET = frozenset({"HS256", "HS384", "HS512"})
_SHOWABLE = re.compile(r"[^\x00-\x20\x7f\ud800-\udfff]{1,254}")
_TENANT = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_MAX_CLAIM_CHARACTERS = 255  # OpenID Connect Core section 2 bounds `sub`


def account_of(
    id_token: str, settings: OAuthSettings, *, now: datetime, nonce: str | None = None
) -> Account:
    """
    Check the claims of an id_token and return whose it is. The signature is not looked at.

    :param now: By the clock of the server that issued it, as far as known.
    :param nonce: As sent in the authorization request; None where none was.
    :raises TokenResponseError: If a claim is missing or wrong. A retry cannot help.
    """
    claims = _decoded(id_token)[1]
    problem = (
        _issuer_problem(claims, settings)
        or _audience_problem(claims, settings.client_id)
        or _time_problem(claims, now)
    )
    if not problem and nonce is not None and claims.get("nonce") != nonce:
        problem = "answers another sign-in (its nonce differs)"
    account = _account(claims, settings)
    if not problem and account is None:
        problem = "names no account"
    if problem or account is None:
        raise _refused(problem)
    return account


def check_signature(id_token: str, settings: OAuthSettings, transport: Transport) -> None:
    """
    Verify the signature with the keys that the authorization server publishes.

    Where it publishes none that are known, the TLS connection that brought the token has to do
    (OpenID Connect Core section 3.1.3.7, item 6).

    :raises TokenResponseError: If it is not signed, or not by that server. A retry cannot help.
    :raises TransientOAuthError: If the keys cannot be fetched for now. A retry helps.
    """
    header = _decoded(id_token)[0]
    algorithm = header.get("alg")
    if not isinstance(algorithm, str):
        raise _refused("does not say how it is signed")
    jwks_url = settings.endpoints.jwks_url
    if algorithm in _WITH_SECRET and settings.client_secret:
        # Whoever learns the secret could sign anything: not where the server has better.
        if jwks_url is not None:
            raise _refused("is signed with the client secret, though the server publishes keys")
        _verify(id_token, settings.client_secret, algorithm)
        return
    if algorithm not in _SIGNATURES:
        raise _refused("is not signed in a way that can be trusted")
    if jwks_url is None:
        return
    # A key that is not among those kept from before may have been added since.
    key = _key(jwks_url, header, transport, fresh=False) or _key(
        jwks_url, header, transport, fresh=True
    )
    if key is None:
        raise _refused("is signed with a key that the server does not publish")
    _verify(id_token, key, algorithm)


def unexpected(error: Exception) -> TokenResponseError:
    """Return what to raise for an error that the checks did not foresee; its text is dropped."""
    return _refused(f"cannot be checked ({type(error).__name__})")


def fetch_keys(settings: OAuthSettings, transport: Transport) -> None:
    """
    Make sure that the server's keys are at hand, before a code is spent whose id_token needs them.

    :raises OAuthError: If they cannot be fetched. A retry helps if it is a transient one.
    """
    if settings.endpoints.jwks_url is not None:
        _key_set(settings.endpoints.jwks_url, transport, fresh=False)


def _key_set(jwks_url: str, transport: Transport, *, fresh: bool) -> list[Any]:
    answer = METADATA.get(jwks_url, transport, fresh=fresh)
    keys = metadata_of(answer).get("keys")
    if answer.status_code >= 400 or not isinstance(keys, list):  # noqa: PLR2004  # class of errors
        raise OAuthError(
            f"The authorization server's keys are not at their address "
            f"(HTTP {answer.status_code}).",
            hint="Check jwks_url of the connection, or the issuer's metadata.",
            status_code=answer.status_code,
            step=STEP,
        )
    return keys


def _key(jwks_url: str, header: Mapping[str, Any], transport: Transport, *, fresh: bool) -> Any:
    import jwt  # noqa: PLC0415  # sign-in only

    kid, algorithm = header.get("kid"), header["alg"]
    keys = [key for key in _key_set(jwks_url, transport, fresh=fresh) if isinstance(key, dict)]
    usable = [
        key
        for key in keys
        # What is secret, and published, is secret no longer.
        if key.get("kty") in _PUBLIC_KEY_TYPES
        and "d" not in key
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
    ]
    # A server with a single key need not name it (OpenID Connect Core section 10.1).
    found = [key for key in usable if key.get("kid") == kid] if kid is not None else usable
    if len(found) != 1:
        return None
    try:
        key = jwt.PyJWK.from_dict(found[0], algorithm).key
    except Exception:  # noqa: BLE001  # whatever is wrong with a key: it is none to trust
        return None
    # RFC 7518 section 3.3 demands that size of RSA keys.
    too_small = isinstance(key, RSAPublicKey) and key.key_size < _MIN_RSA_BITS
    return None if too_small else key


def _verify(id_token: str, key: Any, algorithm: str) -> None:
    import jwt  # noqa: PLC0415  # sign-in only

    only_signature = {
        "verify_signature": True,
        **dict.fromkeys(("verify_aud", "verify_iss", "verify_exp", "verify_nbf"), False),
        **dict.fromkeys(("verify_iat", "verify_sub", "verify_jti"), False),
    }
    problem = ""
    try:
        jwt.decode(id_token, key, algorithms=[algorithm], options=only_signature)  # type: ignore[arg-type]
    except Exception as error:  # noqa: BLE001  # it may quote the token
        problem = f"has a wrong signature ({type(error).__name__})"
    if problem:
        raise _refused(problem)


def _decoded(id_token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    import jwt  # noqa: PLC0415  # renewals only

    whole = None
    with suppress(Exception):  # what it says may quote the token
        whole = jwt.decode_complete(id_token, options={"verify_signature": False})
    if whole is None:
        raise _refused("cannot be read")
    return whole["header"], whole["payload"]


def _issuer_problem(claims: Mapping[str, Any], settings: OAuthSettings) -> str:
    issuer, template = claims.get("iss"), settings.profile.issuer or ""
    expected = settings.endpoints.issuer
    if "{tenant_id}" in template:
        # It names a tenant by its id always; a shared one such as 'common' answers in the name of
        # the account's own.
        tenant, wanted = _text(claims, "tid") or "", settings.tenant_id or ""
        expected = template.replace("{tenant_id}", tenant)
        if not tenant or (_TENANT.fullmatch(wanted) and tenant.lower() != wanted.lower()):
            issuer = None
    if not isinstance(issuer, str) or (expected is not None and issuer != expected):
        return "was issued by another server than the connection names"
    return ""


def _audience_problem(claims: Mapping[str, Any], client_id: str) -> str:
    audience = claims.get("aud")
    several = audience if isinstance(audience, list) else [audience]
    if client_id not in several:
        return "was issued for another client"
    if len(several) > 1 and claims.get("azp") != client_id:
        return "was issued for several clients, and not to this one"
    return ""


def _time_problem(claims: Mapping[str, Any], now: datetime) -> str:
    # As numbers, because what a server writes need not be an instant of this calendar.
    expires_at, issued_at = claims.get("exp"), claims.get("iat")
    if not _is_number(expires_at) or not _is_number(issued_at):
        return "does not say when it was issued and when it ends"
    skew = _SKEW.total_seconds()
    if expires_at <= now.timestamp() - skew:
        return "has expired already"
    if issued_at > now.timestamp() + skew:
        return "was issued in the future"
    return ""


def _is_number(value: object) -> TypeGuard[int | float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)


def _account(claims: Mapping[str, Any], settings: OAuthSettings) -> Account | None:
    shown = next(
        (
            claims[name]
            for name in ("email", "preferred_username")
            if isinstance(claims.get(name), str)
            and _SHOWABLE.fullmatch(claims[name])
            and claims[name].isprintable()
        ),
        None,
    )
    tenant, object_id = _text(claims, "tid"), _text(claims, "oid")
    if tenant and object_id:
        return Account(claims={"tid": tenant, "oid": object_id}, shown=shown)
    issuer, subject = _text(claims, "iss"), _text(claims, "sub")
    if not issuer or not subject:
        return None
    return Account(
        claims={"iss": issuer, "client_id": settings.client_id, "sub": subject}, shown=shown
    )


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_CLAIM_CHARACTERS:
        return None
    # It is stored, and no store keeps half of a surrogate pair.
    return value if value.isprintable() else None


def _refused(problem: str) -> TokenResponseError:
    return TokenResponseError(
        f"The id_token of the answer {problem}, so nothing of the answer is used.",
        hint="Check issuer and client_id of the connection; if they are right, the answer is not"
        " to be trusted.",
        step=STEP,
    )
