# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Sign-ins that are under way in a browser, where every process of the API server finds them.

Each is a row among Airflow's Variables under the hash of a secret that the browser brings back.
What is in it is sealed for one user and one browser. It is used once: whoever deletes the row has
it, and deleting counts once however many try. So does claiming the next question about a code: the
row is changed only if it still holds what was read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from airflow.models.variable import Variable
from airflow.utils.session import create_session
from sqlalchemy import delete, select, update

from airflow_imap_oauth.admin.database import faults_in_words
from airflow_imap_oauth.exceptions import AuthorizationFlowError, SealingError
from airflow_imap_oauth.oauth.authorization_code import PendingAuthorization
from airflow_imap_oauth.oauth.clock import utc_now
from airflow_imap_oauth.oauth.device_authorization import DeviceAuthorization
from airflow_imap_oauth.oauth.settings import Endpoints
from airflow_imap_oauth.tokens.sealing import Sealer

# Airflow masks values whose keys hold that word.
_KEY_PREFIX = "imap_oauth_authorization__"
_PURPOSE = "sign-in that is under way"
_STEP = "sign-in"
#: Further ahead lies the end of none, whatever two servers' clocks say.
_LONGEST_SECONDS = 2 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """
    Who signs in.

    :param user: The id of the user of Airflow.
    :param browser: What tells the browser from others.
    """

    user: str
    browser: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingDevice:
    """
    A sign-in by device code.

    :param endpoints: The server it was begun with; the device code goes to no other.
    :param next_poll_at: The server is not to be asked before.
    """

    authorization: DeviceAuthorization
    endpoints: Endpoints
    next_poll_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """
    One sign-in.

    :param binding: What the connection's secrets were bound to when it began.
    :param login: Who was to sign in.
    :param other_account: Another account than before is meant.
    :param ends_at: It is good for no longer.
    :param code: Of a sign-in by redirect.
    :param device: Of a sign-in by device code.
    """

    conn_id: str
    binding: Mapping[str, str]
    login: str
    other_account: bool
    ends_at: datetime
    code: PendingAuthorization | None = None
    device: WaitingDevice | None = None


def keep(sign_in: SignIn, secret: str, *, person: Person, sealer: Sealer) -> None:
    """
    Keep a sign-in until :func:`take` asks for it.

    :param secret: What the browser will bring back.
    :raises SealingError: If there is no key. A retry cannot help.
    """
    row: Any = _row(f"{_key(secret)}{int(sign_in.ends_at.timestamp())}", sign_in, person, sealer)
    row.description = "A sign-in to a mailbox that is under way; gone within the hour."
    with faults_in_words(), create_session() as session:
        _sweep(session)
        session.add(row)


def take(secret: str, *, person: Person, sealer: Sealer) -> SignIn:
    """
    Take a sign-in out: this succeeds once.

    Whoever brings the secret in another browser, or as another user, gets nothing and spoils
    nothing.

    :raises AuthorizationFlowError: If there is none of that secret for this person. Start again.
    """
    with faults_in_words(), create_session() as session:
        found = _found(session, secret, person, sealer)
        gone: Any = session.execute(delete(Variable).where(Variable.key == found.key))
        if gone.rowcount != 1:
            raise _unknown()
    return _in_time(found.sign_in)


def look(secret: str, *, person: Person, sealer: Sealer) -> SignIn:
    """
    Look at a sign-in, and leave it where it is.

    :raises AuthorizationFlowError: As for :func:`take`.
    """
    with faults_in_words(), create_session() as session:
        found = _found(session, secret, person, sealer)
    return _in_time(found.sign_in)


def drop(secret: str) -> None:
    """Delete a sign-in that came to nothing, if it is there."""
    with faults_in_words(), create_session() as session:
        here = Variable.key.startswith(_key(secret), autoescape=True)
        session.execute(delete(Variable).where(here))


def replace_if_same(
    before: SignIn, after: SignIn, secret: str, *, person: Person, sealer: Sealer
) -> bool:
    """
    Put another state of a sign-in into its place, if nobody else has done so since.

    :param before: As it was looked at.
    :return: Whether it was. False also where somebody has taken it out.
    """
    with faults_in_words(), create_session() as session:
        try:
            found = _found(session, secret, person, sealer)
        except AuthorizationFlowError:
            return False
        if found.sign_in != before:
            return False
        row = _row(found.key, after, person, sealer)
        changed: Any = session.execute(
            update(Variable)
            .where(Variable.key == found.key, Variable._val == found.cipher)  # noqa: SLF001  # the ciphertext
            .values(_val=row._val, is_encrypted=row.is_encrypted)  # noqa: SLF001  # as above
            .execution_options(synchronize_session=False)
        )
    return bool(changed.rowcount == 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    key: str
    cipher: str
    sign_in: SignIn


def _found(session: Any, secret: str, person: Person, sealer: Sealer) -> _Found:
    # Columns and not objects: Airflow masks the value of each object that it loads.
    query = select(Variable.key, Variable._val, Variable.is_encrypted)  # noqa: SLF001  # the ciphertext
    here = Variable.key.startswith(_key(secret), autoescape=True)
    columns = session.execute(query.where(here)).first()
    if columns is None:
        raise _unknown()
    row: Any = Variable()  # type: ignore[no-untyped-call]
    row.key, row._val, row.is_encrypted = columns  # noqa: SLF001  # as above
    try:
        text = sealer.open(row.get_val() or "", purpose=_PURPOSE, binding=asdict(person))
    except SealingError:
        raise _unknown() from None
    return _Found(key=row.key, cipher=row._val, sign_in=_from_json(text))  # noqa: SLF001  # as above


def _row(key: str, sign_in: SignIn, person: Person, sealer: Sealer) -> Any:
    text = sealer.seal(_to_json(sign_in), purpose=_PURPOSE, binding=asdict(person))
    return Variable(key=key, val=text)  # type: ignore[no-untyped-call]


def _in_time(sign_in: SignIn) -> SignIn:
    if utc_now() > sign_in.ends_at:
        raise AuthorizationFlowError(
            "The sign-in took too long.", conn_id=sign_in.conn_id, step=_STEP
        )
    return sign_in


def _unknown() -> AuthorizationFlowError:
    return AuthorizationFlowError(
        "There is no such sign-in under way for you in this browser: it was completed before, took "
        "too long, or was begun elsewhere.",
        step=_STEP,
    )


def _key(secret: str) -> str:
    return f"{_KEY_PREFIX}{hashlib.sha256(secret.encode(errors='surrogatepass')).hexdigest()}__"


def _sweep(session: Any) -> None:
    """Delete what nobody came back for."""
    now = int(utc_now().timestamp())
    keys = session.scalars(
        select(Variable.key).where(Variable.key.startswith(_KEY_PREFIX, autoescape=True))
    ).all()
    old = [key for key in keys if not _is_under_way(key, now)]
    if old:
        session.execute(delete(Variable).where(Variable.key.in_(old)))


def _is_under_way(key: str, now: int) -> bool:
    # Somebody may have made a Variable by such a name by hand.
    end = key.rpartition("__")[2]
    return end.isascii() and end.isdecimal() and now <= int(end) <= now + _LONGEST_SECONDS


def _to_json(sign_in: SignIn) -> str:
    code, device = sign_in.code, sign_in.device
    return json.dumps(
        {
            "conn_id": sign_in.conn_id,
            "binding": dict(sign_in.binding),
            "login": sign_in.login,
            "other_account": sign_in.other_account,
            "ends_at": sign_in.ends_at.isoformat(),
            "device": device
            and {
                "authorization": asdict(device.authorization),
                "endpoints": asdict(device.endpoints),
                "next_poll_at": device.next_poll_at.isoformat(),
            },
            "code": code
            and {
                "url": code.url,
                "state": code.state,
                "code_verifier": code.code_verifier,
                "nonce": code.nonce,
                "redirect_uri": code.redirect_uri,
                "client_id": code.client_id,
                "endpoints": asdict(code.endpoints),
                "started_at": code.started_at.isoformat(),
            },
        }
    )


def _from_json(text: str) -> SignIn:
    data = json.loads(text)
    code, device = data["code"], data["device"]
    if code is not None:
        endpoints, started_at = Endpoints(**code["endpoints"]), _instant(code["started_at"])
        code = PendingAuthorization(**{**code, "endpoints": endpoints, "started_at": started_at})
    if device is not None:
        device = WaitingDevice(
            authorization=DeviceAuthorization(**device["authorization"]),
            endpoints=Endpoints(**device["endpoints"]),
            next_poll_at=_instant(device["next_poll_at"]),
        )
    return SignIn(
        conn_id=data["conn_id"],
        binding=data["binding"],
        login=data["login"],
        other_account=data["other_account"],
        ends_at=_instant(data["ends_at"]),
        code=code,
        device=device,
    )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def lifetime(seconds: float) -> datetime:
    """Return the instant in so many seconds."""
    return utc_now() + timedelta(seconds=seconds)
