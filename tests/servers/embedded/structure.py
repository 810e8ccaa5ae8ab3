# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""ENVELOPE, BODY and BODYSTRUCTURE of a parsed message (RFC 3501 section 7.4.2)."""

from __future__ import annotations

import re

from tests.servers.embedded import mime
from tests.servers.embedded.addresses import address_list
from tests.servers.embedded.mime import Node

_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*")
_EMPTY_PART = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0'


def nstring(value: bytes | None) -> bytes:
    """Write a string: quoted where it may be, else a literal; None is NIL."""
    if value is None:
        return b"NIL"
    value = value.replace(b"\0", b"\xef\xbf\xbd")  # no string may hold NUL: U+FFFD, as Dovecot does
    if len(value) <= 1024 and _QUOTABLE.fullmatch(value):
        return b'"' + re.sub(rb"([\\\"])", rb"\\\1", value) + b'"'
    return b"{%d}\r\n%b" % (len(value), value)


def envelope(node: Node) -> bytes:
    """Return ENVELOPE."""
    sender_of = {name: address_list(node.get(name)) for name in ("from", "sender", "reply-to")}
    for name in ("sender", "reply-to"):
        sender_of[name] = sender_of[name] or sender_of["from"]
    lists = [*sender_of.values(), *(address_list(node.get(name)) for name in ("to", "cc", "bcc"))]
    items = [
        nstring(node.get("date")),
        nstring(node.get("subject")),
        *(_addresses(one) for one in lists),
        nstring(node.get("in-reply-to")),
        nstring(node.get("message-id")),
    ]
    return b"(" + b" ".join(items) + b")"


def _addresses(addresses: list[tuple[bytes | None, bytes | None, bytes | None]]) -> bytes:
    if not addresses:
        return b"NIL"
    rows = (
        b"(" + b" ".join((nstring(name), b"NIL", nstring(mailbox), nstring(host))) + b")"
        for name, mailbox, host in addresses
    )
    return b"(" + b"".join(rows) + b")"


def body_structure(node: Node, *, extended: bool = True) -> bytes:
    """Return BODYSTRUCTURE, or BODY where it is not ``extended``."""
    if node.is_multipart:
        return _multipart(node, extended=extended)
    return _single(node, extended=extended)


def _multipart(node: Node, *, extended: bool) -> bytes:
    if node.children:
        parts = b"".join(body_structure(child, extended=extended) for child in node.children)
    else:
        parts = _EMPTY_PART + (b" NIL NIL NIL NIL)" if extended else b")")
    out = parts + b" " + nstring(node.content_type.subtype)
    if extended:
        out += b" " + _parameters(node.content_type.parameters)
        out += b" " + _disposition_and_on(node)
    return b"(" + out + b")"


def _single(node: Node, *, extended: bool) -> bytes:
    body = node.body
    items = [
        nstring(node.content_type.maintype),
        nstring(node.content_type.subtype),
        _parameters(node.content_type.parameters),
        nstring(node.get("content-id")),
        nstring(node.get("content-description")),
        nstring(_encoding(node)),
        b"%d" % len(body),
    ]
    if node.is_message:
        inner = node.children[0]
        items += [envelope(inner), body_structure(inner, extended=extended)]
    if node.is_message or node.content_type.is_a("text"):
        items.append(b"%d" % body.count(b"\n"))
    if extended:
        items += [nstring(node.get("content-md5")), _disposition_and_on(node)]
    return b"(" + b" ".join(items) + b")"


def _encoding(node: Node) -> bytes:
    return node.get("content-transfer-encoding") or b"7bit"


def _parameters(parameters: tuple[tuple[bytes, bytes], ...]) -> bytes:
    if not parameters:
        return b"NIL"
    return b"(" + b" ".join(nstring(text) for pair in parameters for text in pair) + b")"


def _disposition_and_on(node: Node) -> bytes:
    written = node.get("content-disposition")
    disposition = b"NIL"
    if written is not None:
        kind = re.match(rb"[^\s;]*", written)
        name = kind[0] if kind else b""
        disposition = (
            b"(" + nstring(name) + b" " + _parameters(mime.parse_parameters(written)) + b")"
        )
    language = node.get("content-language")
    languages = [one.strip() for one in (language or b"").split(b",") if one.strip()]
    written_languages = b"(" + b" ".join(map(nstring, languages)) + b")" if languages else b"NIL"
    return b" ".join((disposition, written_languages, nstring(node.get("content-location"))))
