# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Content-Transfer-Encodings, decoded piece by piece as the bytes come.

Nothing a sender writes makes these raise: what is wrong is decoded as well as it can be, and
said in ``damage``. Memory does not grow with the content.
"""

from __future__ import annotations

import binascii
import re
from typing import Protocol

_BASE64_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64_ALPHABET) - {ord("=")})
_WHITESPACE = b" \t\r\n\v\f"
_AS_IS = frozenset({"7bit", "8bit", "binary", ""})

# RFC 2045 allows lines of 76 characters; real ones are longer, but who sends no line break for
# this long does not mean to.
_LONGEST_LINE_BYTES = 64 * 1024


class Decoder(Protocol):
    """Decodes a stream of encoded pieces."""

    @property
    def damage(self) -> str | None:
        """What was wrong with the encoded bytes so far, or None."""
        ...

    def feed(self, piece: bytes) -> bytes:
        """Take encoded bytes, return what they make decodable."""
        ...

    def finish(self) -> bytes:
        """Return what is left at the end of the encoded bytes."""
        ...


def decoder_for(encoding: str) -> Decoder:
    """
    Return a new decoder.

    :param encoding: Content-Transfer-Encoding; one that is not known is passed through as sent,
        which ``damage`` then says.
    """
    name = encoding.strip().lower()
    if name == "base64":
        return Base64Decoder()
    if name == "quoted-printable":
        return QuotedPrintableDecoder()
    return AsIsDecoder(None if name in _AS_IS else f"unknown transfer encoding '{name[:40]}'")


def decode_whole(encoding: str, raw: bytes) -> bytes:
    """Decode what is whole in memory already."""
    decoder = decoder_for(encoding)
    return decoder.feed(raw) + decoder.finish()


class AsIsDecoder:
    """Passes bytes through."""

    def __init__(self, damage: str | None = None) -> None:
        self.damage = damage

    def feed(self, piece: bytes) -> bytes:
        """Return the piece."""
        return piece

    def finish(self) -> bytes:
        """Return nothing."""
        return b""


class Base64Decoder:
    """
    Base64 of RFC 2045 section 6.8.

    Characters outside the alphabet are skipped. After padding, lines that hold base64 and nothing
    else are decoded on (some senders encode line by line, each with its own padding); any other
    line ends the content, as text that a relay appended must not become bytes of the file.
    """

    def __init__(self) -> None:
        self.damage: str | None = None
        self._quantum = b""
        self._line = b""
        self._padded = False
        self._ended = False

    def feed(self, piece: bytes) -> bytes:
        """Decode all whole groups of four characters."""
        if self._ended:
            self._judge_rest(piece)
            return b""
        if self._padded:
            return self._feed_lines(piece)
        return self._feed_alphabet(piece)

    def finish(self) -> bytes:
        """Decode the last group, with or without its padding."""
        decoded = self._feed_line(self._line)
        self._line = b""
        if self._quantum:
            self._note("base64 ends without its padding")
        return decoded + self._flush()

    def _feed_alphabet(self, piece: bytes) -> bytes:
        before, padding, after = piece.partition(b"=")
        kept = before.translate(None, _NOT_BASE64)
        if len(kept) != len(before) and before.translate(None, _WHITESPACE) != kept:
            self._note("characters outside base64 were skipped")
        decoded = self._decode(kept)
        if not padding:
            return decoded
        decoded += self._flush()
        self._padded = True
        return decoded + self._feed_lines(after)

    def _feed_lines(self, piece: bytes) -> bytes:
        lines = (self._line + piece).split(b"\n")
        self._line = lines.pop()
        decoded = b"".join(self._feed_line(line) for line in lines)
        if len(self._line) > _LONGEST_LINE_BYTES:
            line, self._line = self._line, b""
            decoded += self._feed_line(line)
        return decoded

    def _feed_line(self, line: bytes) -> bytes:
        """Decode one line behind padding; what is no base64 ends the content."""
        if self._ended:
            self._judge_rest(line)
            return b""
        bare = line.strip(_WHITESPACE)
        if bare.translate(None, _BASE64_ALPHABET + b"="):
            self._ended = True
            self._judge_rest(bare)
            return b""
        decoded = b""
        *padded, rest = bare.split(b"=")
        for chunk in padded:
            decoded += self._decode(chunk) + self._flush()
        return decoded + self._decode(rest)

    def _decode(self, kept: bytes) -> bytes:
        whole = self._quantum + kept
        end = len(whole) - len(whole) % 4
        self._quantum = whole[end:]
        return binascii.a2b_base64(whole[:end]) if end else b""

    def _flush(self) -> bytes:
        """Decode a group that padding (or the end) cut short."""
        quantum, self._quantum = self._quantum, b""
        if len(quantum) == 1:
            self._note("base64 lost characters")
            return b""
        return binascii.a2b_base64(quantum + b"=" * (-len(quantum) % 4))

    def _judge_rest(self, rest: bytes) -> None:
        if rest.strip(_WHITESPACE):
            self._note("text after the end of base64 was left out")

    def _note(self, damage: str) -> None:
        self.damage = self.damage or damage


class QuotedPrintableDecoder:
    """
    Quoted-printable of RFC 2045 section 6.7.

    An ``=`` that encodes nothing stays as it is, as section 6.7 (rule note 1) advises.
    """

    _STRAY = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n)")
    _PADDED_LINE_ENDS = (b" \n", b"\t\n", b" \r\n", b"\t\r\n")

    def __init__(self) -> None:
        self.damage: str | None = None
        self._line = b""

    def feed(self, piece: bytes) -> bytes:
        """Decode all whole lines."""
        head, line_break, tail = piece.rpartition(b"\n")
        if line_break:
            whole, self._line = self._line + head + line_break, tail
            return self._decode(whole)
        self._line += piece
        if len(self._line) > _LONGEST_LINE_BYTES:
            return self._decode_long_line()
        return b""

    def finish(self) -> bytes:
        """Decode the last line, which may lack its line break."""
        line, self._line = self._line.rstrip(b" \t"), b""
        if line.endswith(b"="):  # a soft line break whose line break got lost
            line = line[:-1]
        return self._decode(line)

    def _decode_long_line(self) -> bytes:
        # Kept back: blanks that may stand before a line break, and what may begin an escape.
        line = self._line
        end = min(len(line.rstrip(b" \t\r")), len(line) - 3)
        escape = line.rfind(b"=", max(end - 2, 0), end)
        end = escape if escape >= 0 else end
        if end <= 0:
            end = len(line) - 3
        self._line = line[end:]
        return self._decode(line[:end])

    def _decode(self, whole: bytes) -> bytes:
        if any(line_end in whole for line_end in self._PADDED_LINE_ENDS):
            whole = b"\n".join(
                line[:-1].rstrip(b" \t") + b"\r" if line.endswith(b"\r") else line.rstrip(b" \t")
                for line in whole.split(b"\n")
            )
        escaped, count = self._STRAY.subn(b"=3D", whole)
        if count:
            self.damage = self.damage or "stray '=' in quoted-printable was kept"
        return binascii.a2b_qp(escaped)
