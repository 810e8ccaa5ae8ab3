# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Sign-ins that are under way in a browser, where every process of the API server finds them.

Each is a row among Airflow's Variables under the hash of a secret that the browser brings back.
What is in it is sealed for one user and one browser. It is used once: whoever deletes the row has
it, and deleting counts once however many try.
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
from sqlalchemy import delete, select

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
class SignIn:
    """
    One sign-in.

    :param binding: What the connection's secrets were bound to when it began.
    :param other_account: Another account than before is meant.
    :param code: Of a sign-in by redirect.
    :param device: Of a sign-in by device code.
    :param ends_at: It is good for no longer.
    :param next_poll_at: Of a sign-in by device code: the server is not to be asked before.
    """

    conn_id: str
    binding: Mapping[str, str]
    other_account: bool
    ends_at: datetime
    code: PendingAuthorization | None = None
    device: DeviceAuthorization | None = None
    next_poll_at: datetime | None = None


def keep(sign_in: SignIn, secret: str, *, person: Person, sealer: Sealer) -> None:
    """
    Keep a sign-in until :func:`take` asks for it.

    :param secret: What the browser will bring back.
    :raises SealingError: If there is no key. A retry cannot help.
    """
    text = sealer.seal(_to_json(sign_in), purpose=_PURPOSE, binding=asdict(person))
    ends_at = int(sign_in.ends_at.timestamp())
    row = Variable(  # type: ignore[no-untyped-call]
        key=f"{_key(secret)}{ends_at}",
        val=text,
        description="A sign-in to a mailbox that is under way; gone within the hour.",
    )
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
        found = session.scalars(
            select(Variable).where(Variable.key.startswith(_key(secret), autoescape=True))
        ).first()
        if found is None:
            raise _unknown()
        try:
            sealed = found.get_val() or ""  # type: ignore[no-untyped-call]
            text = sealer.open(sealed, purpose=_PURPOSE, binding=asdict(person))
        except SealingError:
            raise _unknown() from None
        gone: Any = session.execute(delete(Variable).where(Variable.key == found.key))
        session.expunge(found)
        if gone.rowcount != 1:
            raise _unknown()
    sign_in = _from_json(text)
    if utc_now() > sign_in.ends_at:
        raise AuthorizationFlowError("The sign-in took too long.", step=_STEP)
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
    old = [key for key in keys if not key.rpartition("__")[2].isdigit() or _end(key) < now]
    if old:
        session.execute(delete(Variable).where(Variable.key.in_(old)))


def _end(key: str) -> int:
    return int(key.rpartition("__")[2])


def _to_json(sign_in: SignIn) -> str:
    code, device = sign_in.code, sign_in.device
    return json.dumps(
        {
            "conn_id": sign_in.conn_id,
            "binding": dict(sign_in.binding),
            "other_account": sign_in.other_account,
            "ends_at": sign_in.ends_at.isoformat(),
            "next_poll_at": sign_in.next_poll_at and sign_in.next_poll_at.isoformat(),
            "device": device and asdict(device),
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
    code, device, next_poll_at = data["code"], data["device"], data["next_poll_at"]
    if code is not None:
        endpoints, started_at = Endpoints(**code["endpoints"]), _instant(code["started_at"])
        code = PendingAuthorization(**{**code, "endpoints": endpoints, "started_at": started_at})
    return SignIn(
        conn_id=data["conn_id"],
        binding=data["binding"],
        other_account=data["other_account"],
        ends_at=_instant(data["ends_at"]),
        next_poll_at=next_poll_at and _instant(next_poll_at),
        code=code,
        device=device and DeviceAuthorization(**device),
    )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def lifetime(seconds: float) -> datetime:
    """Return the instant in so many seconds."""
    return utc_now() + timedelta(seconds=seconds)
