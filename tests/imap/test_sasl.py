# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What is said in SASL, byte for byte, and what is understood of an error challenge."""

from __future__ import annotations

import base64
import json

import pytest

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.imap.sasl import OAuthSaslClient, initial_response, parse_challenge
from airflow_imap_oauth.oauth.profiles import SaslMechanism

MECHANISMS: tuple[SaslMechanism, ...] = ("xoauth2", "oauthbearer")
VALUES = {"user": "ann@example.test", "access_token": "ya29.secret-token", "host": "imap.test"}


@pytest.mark.parametrize(
    ("mechanism", "user", "expected"),
    [
        ("xoauth2", "ann@example.test", b"user=ann@example.test\1auth=Bearer t0k/en+=\1\1"),
        ("xoauth2", "a,b=c", b"user=a,b=c\1auth=Bearer t0k/en+=\1\1"),
        ("xoauth2", "j\u00f6rg@example.test", b"user=j\xc3\xb6rg@example.test\1auth=Bearer "),
        (
            "oauthbearer",
            "ann@example.test",
            b"n,a=ann@example.test,\1host=imap.test\1port=993\1auth=Bearer t0k/en+=\1\1",
        ),
        ("oauthbearer", "a,b=c", b"n,a=a=2Cb=3Dc,\1host=imap.test\1port=993\1auth=Bearer "),
    ],
)
def test_rfc7628_3_1_initial_response(mechanism: SaslMechanism, user: str, expected: bytes) -> None:
    """User, host, port and token stand where the mechanism wants them, and are escaped."""
    raw = initial_response(
        mechanism, user=user, access_token="t0k/en+=", host="imap.test", port=993
    )
    assert raw.startswith(expected)
    assert raw.endswith(b"auth=Bearer t0k/en+=\1\1")


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("field", VALUES)
@pytest.mark.parametrize("character", ["\r", "\n", "\0", "\x01", ""])
def test_rfc7628_3_1_values_that_would_break_out_are_refused(
    mechanism: SaslMechanism, field: str, character: str
) -> None:
    """CR, LF, NUL, the separator and emptiness are refused without repeating the value."""
    text = VALUES[field][:8] + character + VALUES[field][8:] if character else ""
    with pytest.raises(ConfigurationError) as caught:
        initial_response(mechanism, **{**VALUES, field: text}, port=993)
    assert caught.value.step == "IMAP sign-in"
    assert field.replace("_", " ") in str(caught.value)
    assert VALUES["access_token"][:8] not in str(caught.value)


@pytest.mark.parametrize("field", ["user", "host"])
def test_half_of_a_surrogate_pair_is_refused(field: str) -> None:
    """What cannot be sent as UTF-8 is a wrong setting, not a codec's traceback."""
    with pytest.raises(ConfigurationError, match="surrogate"):
        initial_response("oauthbearer", **{**VALUES, field: "a\udce9"}, port=993)


def test_token_must_be_ascii() -> None:
    """A token is ASCII by RFC 6750."""
    with pytest.raises(ConfigurationError, match="ASCII"):
        initial_response("xoauth2", **{**VALUES, "access_token": "caf\u00e9"}, port=993)


@pytest.mark.parametrize(("mechanism", "closing"), [("xoauth2", b""), ("oauthbearer", b"AQ==")])
@pytest.mark.parametrize("sent", [False, True])
def test_rfc7628_3_2_3_token_is_said_once_and_every_challenge_is_closed(
    mechanism: SaslMechanism, closing: bytes, sent: bool
) -> None:
    """The token goes out at most once; what follows gets the mechanism's empty answer."""
    client = OAuthSaslClient(mechanism, b"initial", sent=sent)
    answers = [client.answer(line) for line in (b"", b"eyJzdGF0dXMiOiI0MDEifQ==", b"")]
    said = [] if sent else [base64.b64encode(b"initial")]
    assert answers == (said + [closing] * 3)[:3]
    assert client.challenge == {"status": "401"}


STATUS = {"status": "400", "schemes": "Bearer", "scope": "https://mail.google.com/"}


@pytest.mark.parametrize("length", range(6))
@pytest.mark.parametrize("form", ["padded", "unpadded", "plain"])
def test_challenge_in_any_form(length: int, form: str) -> None:
    """The JSON is understood in base64 with and without its padding, and as it is."""
    members = {**STATUS, "status": "4" * (length + 1)}
    text = json.dumps(members, separators=(",", ":")).encode()
    encoded = base64.b64encode(text)
    line = {"padded": encoded, "unpadded": encoded.rstrip(b"="), "plain": text}[form]
    assert parse_challenge(line) == members


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"status":"invalid_token","debug":"the token"}', {"status": "invalid_token"}),
        ('{"status":401,"scope":null,"schemes":["bearer"]}', {"status": "401"}),
        ('{"status":"a\\r\\n\\u001b[31m* OK"}', {"status": "a [31m* OK"}),
        (
            '{"openid-configuration":"https://id.test/"}',
            {"openid-configuration": "https://id.test/"},
        ),
        ("{}", {}),
        ("[1]", None),
        ('"status"', None),
        ("not json", None),
        ("[" * 100_000, None),
        ("", None),
    ],
)
def test_rfc7628_3_2_2_members_of_a_challenge(text: str, expected: dict[str, str] | None) -> None:
    """Only defined members are kept, as text that can be shown; what is no object is None."""
    assert parse_challenge(base64.b64encode(text.encode())) == expected


@pytest.mark.parametrize("line", [b"*", b"====", b"\xff\xfe", b"{", b"{\xff}"])
def test_challenge_of_nonsense(line: bytes) -> None:
    """A line that is neither base64 nor JSON is no challenge."""
    assert parse_challenge(line) is None


def test_long_member_is_shortened() -> None:
    """A server cannot fill the log."""
    challenge = parse_challenge(b'{"status":"' + b"x" * 5000 + b'"}')
    assert challenge is not None
    assert len(challenge["status"]) == 200
