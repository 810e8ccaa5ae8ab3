# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Sealing: what opens, what does not, and what is said then."""

from __future__ import annotations

import base64
import re

import pytest
from cryptography.fernet import Fernet

from airflow_imap_oauth.exceptions import ConfigurationError, SealingError
from airflow_imap_oauth.tokens.sealing import Sealer, SealingKey, is_sealed

PLAIN = "1//refresh-token-ä"
BINDING = {
    "client_id": "app",
    "imap_host": "imap.example.com",
    "issuer": "https://login.example.com",
    "token_url": "https://login.example.com/token",
}


def _key(byte: int) -> SealingKey:
    return SealingKey.from_token_key(base64.urlsafe_b64encode(bytes([byte]) * 32).decode())


SEALER = Sealer([_key(1)])


def _seal() -> str:
    return SEALER.seal(PLAIN, purpose="a", binding=BINDING)


def test_what_is_sealed_opens() -> None:
    """A sealed secret opens with the same key, purpose and binding."""
    assert SEALER.open(_seal(), purpose="a", binding=BINDING) == PLAIN


def test_the_order_of_the_binding_does_not_matter() -> None:
    """The binding is a set of names and values."""
    reordered = dict(reversed(BINDING.items()))
    assert SEALER.open(_seal(), purpose="a", binding=reordered) == PLAIN


def test_the_format() -> None:
    """A sealed secret names version and key, and reads like nothing else."""
    text = _seal()
    assert re.fullmatch(r"sealed:v1:[0-9a-f]{12}:[A-Za-z0-9_-]+", text)
    assert text.split(":")[2] == SEALER.key_ids[0]


def test_no_two_sealed_texts_are_alike() -> None:
    """The same secret sealed twice gives two texts, so that texts tell nothing about secrets."""
    assert _seal() != _seal()


def test_what_counts_as_sealed() -> None:
    """A later version of the format is sealed, too, and no plain token."""
    assert is_sealed(_seal())
    assert is_sealed("sealed:v2:whatever")
    assert not is_sealed("1//0gabc")
    assert not is_sealed("")


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": "https://evil.example"},
        {"token_url": "https://evil.example/token"},
        {"revoke_url": "https://evil.example/revoke"},
        {"imap_host": "imap.evil.example"},
        {"client_id": "evil"},
        {"device_url": "https://evil.example/device"},
        {"ca_file": "/tmp/evil.pem"},
        {"grant": "client_credentials"},
        {"login": "chief@example.com"},
        {"mailbox": "chief@example.com"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_changed_binding_does_not_open(changed: dict[str, str]) -> None:
    """Pointed at another server or client, the secret stays closed and the message says why."""
    with pytest.raises(
        SealingError, match=r"endpoint, the host, the client id or the CA file"
    ) as e:
        SEALER.open(_seal(), purpose="a", binding={**BINDING, **changed})
    assert "authorize again" in str(e.value)
    assert not e.value.retry_helps


def test_a_shortened_binding_does_not_open() -> None:
    """To remove an endpoint from the connection does not help either."""
    shortened = {name: value for name, value in BINDING.items() if name != "token_url"}
    with pytest.raises(SealingError):
        SEALER.open(_seal(), purpose="a", binding=shortened)


def test_names_and_values_cannot_be_shifted() -> None:
    """Parts of the binding cannot flow into each other."""
    sealed = SEALER.seal(PLAIN, purpose="a", binding={"x": 'y","z":"'})
    with pytest.raises(SealingError):
        SEALER.open(sealed, purpose="a", binding={"x": "y", "z": ""})


def test_another_purpose_does_not_open() -> None:
    """A secret cannot be passed off as one of another kind."""
    with pytest.raises(SealingError):
        SEALER.open(_seal(), purpose="b", binding=BINDING)


def test_an_unknown_key_is_named() -> None:
    """Without its key, the message names the key and the option."""
    other = Sealer([_key(2)])
    with pytest.raises(SealingError) as caught:
        other.open(_seal(), purpose="a", binding=BINDING)
    assert SEALER.key_ids[0] in str(caught.value)
    assert other.key_ids[0] in str(caught.value)
    assert "[imap_oauth] token_keys" in str(caught.value)


def test_no_key_at_all() -> None:
    """Without any key, sealing and opening say what to configure."""
    none = Sealer([])
    with pytest.raises(SealingError, match=r"token_keys.*fernet_key"):
        none.seal(PLAIN, purpose="a", binding=BINDING)
    with pytest.raises(SealingError, match=r"token_keys.*fernet_key"):
        none.open(_seal(), purpose="a", binding=BINDING)


def test_the_first_key_seals_and_all_open() -> None:
    """A new key is put in front; what older ones sealed still opens."""
    both = Sealer([_key(2), _key(1)])
    assert both.open(_seal(), purpose="a", binding=BINDING) == PLAIN
    resealed = both.seal(PLAIN, purpose="a", binding=BINDING)
    assert Sealer([_key(2)]).open(resealed, purpose="a", binding=BINDING) == PLAIN


def test_what_another_key_sealed_is_sealed_anew() -> None:
    """After that it opens with the first key alone, for the same purpose and binding."""
    resealed = Sealer([_key(2), _key(1)]).resealed(_seal(), purpose="a", binding=BINDING)
    assert Sealer([_key(2)]).open(resealed, purpose="a", binding=BINDING) == PLAIN


def test_what_the_first_key_sealed_stays_as_it_is() -> None:
    """To seal anew what needs it not changes no character."""
    text = _seal()
    assert Sealer([_key(1), _key(2)]).resealed(text, purpose="a", binding=BINDING) == text


@pytest.mark.parametrize("number", [1, 2])
def test_what_does_not_open_is_not_sealed_anew(number: int) -> None:
    """Neither a missing key nor another binding is passed over, whichever key is first."""
    keys = Sealer([_key(number)])
    with pytest.raises(SealingError):
        keys.resealed(_seal(), purpose="a", binding={**BINDING, "client_id": "evil"})


def test_a_key_is_looked_up_by_its_name() -> None:
    """Whether the key is here can be told without opening."""
    assert SEALER.holds_key_of(_seal())
    assert not Sealer([_key(2)]).holds_key_of(_seal())


def test_ciphertexts_cannot_be_swapped_between_keys() -> None:
    """The key's name in front does not make another key's secret open."""
    foreign = Sealer([_key(2)]).seal(PLAIN, purpose="a", binding=BINDING)
    forged = ":".join([*_seal().split(":")[:3], foreign.split(":")[3]])
    with pytest.raises(SealingError):
        SEALER.open(forged, purpose="a", binding=BINDING)


def test_every_altered_character_is_noticed() -> None:
    """No character of a sealed secret can be changed."""
    text = _seal()
    for position in range(len(text)):
        altered = "A" if text[position] != "A" else "B"
        with pytest.raises(SealingError):
            SEALER.open(text[:position] + altered + text[position + 1 :], purpose="a", binding={})


def test_every_truncation_is_noticed() -> None:
    """A sealed secret that was cut off, at either end, is refused."""
    text = _seal()
    for length in range(len(text)):
        for part in (text[:length], text[-length:] if length else ""):
            with pytest.raises(SealingError):
                SEALER.open(part, purpose="a", binding=BINDING)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "sealed:v1",
        "sealed:v2:0:AAAA",
        "sealed:v1:0:",
        "sealed:v1:0:!!",
        "sealed:v1:0:ä",
    ],
)
def test_malformed_texts(text: str) -> None:
    """What is not sealed is refused without being quoted."""
    with pytest.raises(SealingError, match="not a sealed secret") as caught:
        SEALER.open(text, purpose="a", binding=BINDING)
    assert not text or text not in str(caught.value)


def test_padding_of_keys_is_optional() -> None:
    """A key may be written with or without its padding."""
    padded = base64.urlsafe_b64encode(b"\xfb" * 32).decode()
    assert SealingKey.from_token_key(padded) == SealingKey.from_token_key(padded.rstrip("="))


@pytest.mark.parametrize(
    "text",
    ["", "secret-but-no-key", "AAAA", base64.urlsafe_b64encode(b"x" * 31).decode(), "ä" * 43],
)
def test_bad_token_keys(text: str) -> None:
    """A bad entry of token_keys is named by the option, never quoted."""
    with pytest.raises(ConfigurationError, match=r"\[imap_oauth\] token_keys") as caught:
        SealingKey.from_token_key(text)
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{FERNET_KEY}", "not a key", "AAAA"])
def test_no_fernet_key(text: str) -> None:
    """An empty entry, or the placeholder that Airflow hands out, is no key."""
    assert SealingKey.from_fernet_key(text) is None


def test_a_fernet_key_gives_a_key_of_its_own() -> None:
    """The key derived from a Fernet key is always the same, and not the Fernet key itself."""
    text = Fernet.generate_key().decode()
    derived = SealingKey.from_fernet_key(text)
    assert derived is not None
    assert derived == SealingKey.from_fernet_key(text)
    assert derived.material != base64.urlsafe_b64decode(text)
    assert derived.key_id != SealingKey.from_token_key(text).key_id


def test_what_fernet_accepts_is_a_fernet_key() -> None:
    """A key in the other base64 alphabet works for Airflow, so it works here."""
    text = base64.b64encode(b"\xfb" * 32).decode()
    Fernet(text)
    assert SealingKey.from_fernet_key(text) is not None


def test_keys_do_not_show_themselves() -> None:
    """No repr gives a key away."""
    key = _key(1)
    assert "material" not in repr(key)
    assert "\\x01" not in repr(key)
    assert "\\x01" not in repr(SEALER)
