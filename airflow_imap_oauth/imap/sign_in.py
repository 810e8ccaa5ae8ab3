# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""AUTHENTICATE with an access token, and the proof that it opened the mailbox."""

from __future__ import annotations

import base64

from airflow_imap_oauth.exceptions import (
    ImapCapabilityError,
    ImapCommandError,
    ImapProtocolError,
)
from airflow_imap_oauth.imap._wire import Wire
from airflow_imap_oauth.imap.model import ImapSettings
from airflow_imap_oauth.imap.refusals import Refusal
from airflow_imap_oauth.imap.sasl import SASL_NAMES, OAuthSaslClient, initial_response
from airflow_imap_oauth.imap.shown import shown
from airflow_imap_oauth.imap.withholding import repeats
from airflow_imap_oauth.oauth.profiles import SaslMechanism

# RFC 4959 section 3: a response that would not fit the server's command line is sent on demand.
# RFC 2683 section 3.2.1.5 promises 8,000 octets.
LONGEST_COMMAND_BYTES = 8000


def sign_in(wire: Wire, settings: ImapSettings, access_token: str) -> None:
    """
    Sign in, and run one command: Exchange says OK to AUTHENTICATE and takes it back at the next.

    :raises ImapCapabilityError: If the server offers no mechanism for tokens.
    :raises ImapAuthenticationError: If it refuses the token; a fresh one may help.
    :raises ImapUnavailableError: If it cannot say for now; the token is not at fault.
    """
    if wire.is_preauthenticated:
        raise ImapProtocolError("The server claims a sign-in that did not happen.")
    offered = wire.offered_before_sign_in()
    mechanism = choose_mechanism(settings.sasl_mechanism, offered)
    name = SASL_NAMES[mechanism]
    raw = initial_response(
        mechanism,
        user=settings.user,
        access_token=access_token,
        host=settings.host,
        port=settings.port,
    )
    encoded = base64.b64encode(raw)
    at_once = "SASL-IR" in offered and len(encoded) < LONGEST_COMMAND_BYTES
    sasl = OAuthSaslClient(mechanism, raw, sent=at_once)
    secrets = (access_token, encoded.decode())
    wire.withhold(secrets)
    refusal = wire.authenticate(name, sasl, encoded if at_once else None)
    refusal = refusal or prove_sign_in(wire)
    if refusal is not None:
        _raise(refusal, name, _challenge_without(sasl.challenge, secrets))


def prove_sign_in(wire: Wire) -> Refusal | None:
    """Run the first command of a session; not CAPABILITY: Exchange answers that in any case."""
    refusal = wire.command(b'LIST "" ""')
    wire.take("LIST")
    return refusal


def offered_mechanisms(offered: frozenset[str]) -> str:
    """Return the SASL mechanisms among capabilities, fit to be shown."""
    names = sorted(word[5:] for word in offered if word.startswith("AUTH="))
    return shown(", ".join(names)) or "none"


def choose_mechanism(wanted: SaslMechanism | None, offered: frozenset[str]) -> SaslMechanism:
    """
    Return the mechanism to sign in with.

    :param offered: Capabilities before the sign-in.
    :raises ImapCapabilityError: If the server does not offer it, or none for tokens.
    """
    usable: list[SaslMechanism] = [
        mechanism for mechanism, name in SASL_NAMES.items() if f"AUTH={name}" in offered
    ]
    if wanted is None and usable:
        return usable[0]
    if wanted in usable:
        return wanted
    missing = SASL_NAMES[wanted] if wanted else "OAUTHBEARER or XOAUTH2"
    raise ImapCapabilityError(
        f"The server does not offer {missing} (it offers: {offered_mechanisms(offered)}).",
        hint="Check host and port, and whether the server takes OAuth 2.0 tokens at all.",
    )


def _raise(refusal: Refusal, mechanism: str, challenge: dict[str, str] | None) -> None:
    is_sign_in = challenge is not None or refusal.is_not_connected or refusal.status == "NO"
    if is_sign_in or refusal.is_unavailable:
        raise refusal.authentication(mechanism, challenge)
    raise ImapCommandError(f"The server refused the sign-in ({mechanism}): {refusal.shown}")


def _challenge_without(
    challenge: dict[str, str] | None, secrets: tuple[str, ...]
) -> dict[str, str] | None:
    if challenge is None:
        return None
    return {name: text for name, text in challenge.items() if not repeats(text, secrets)}
