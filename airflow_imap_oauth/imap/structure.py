# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""BODYSTRUCTURE to the leaf parts of a message (RFC 3501 section 7.4.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from airflow_imap_oauth.imap.model import Part
from airflow_imap_oauth.imap.parameters import parameter_value
from airflow_imap_oauth.imap.responses import Value, number

#: Real mail stays far below both; a message beyond is hostile, and its raw form is kept.
MAX_DEPTH = 50
MAX_PARTS = 1000

_NOT_A_TOKEN = re.compile(rb"[^!#$%&'*+\-.0-9A-Z^_`a-z{|}~]")
_LONGEST_TOKEN = 127  # RFC 6838 section 4.2

# Fields of a leaf: type, subtype, parameters, id, description, encoding, size.
_TYPE, _SUBTYPE, _PARAMETERS, _ID, _ENCODING, _SIZE = 0, 1, 2, 3, 5, 6
_FIRST_EXTENSION = 7
# Of an embedded message, behind its envelope.
_EMBEDDED = 8


def parse_structure(value: Value) -> tuple[tuple[Part, ...], str | None]:
    """
    List the leaf parts.

    An embedded message (``message/rfc822``) is listed as a part, and its own parts follow it: what
    was attached to a mail that somebody forwarded is found, too.

    :param value: The value of BODYSTRUCTURE, as :mod:`airflow_imap_oauth.imap.responses` reads it.
    :return: Parts in order, and why they are not to be trusted, or None. Parts that can be read
        are listed also then.
    """
    walk = _Walk()
    walk.visit(value, "", 0)
    return tuple(walk.parts), walk.problem


class _Walk:
    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.problem: str | None = None

    def visit(self, node: Value, section: str, depth: int) -> None:
        """Take one node; ``section`` is that of the node, empty for the message itself."""
        if len(self.parts) >= MAX_PARTS:
            self._note(f"more than {MAX_PARTS} parts")
        elif depth > MAX_DEPTH:
            self._note(f"nested deeper than {MAX_DEPTH}")
        elif not isinstance(node, tuple) or not node:
            self._note("the server sent no structure" if not section else f"part {section} is NIL")
        elif isinstance(node[0], tuple):
            self._visit_children(node, section, depth)
        elif len(node) == 1:
            return  # a multipart without parts: ``("ALTERNATIVE")``
        else:
            self._visit_leaf(node, section or "1", depth)

    def _visit_children(self, node: tuple[Value, ...], section: str, depth: int) -> None:
        prefix = f"{section}." if section else ""
        for index, child in enumerate(node, 1):
            # A NIL among the children keeps its number; the subtype ends them.
            if isinstance(child, bytes) or self.problem:
                return
            self.visit(child, f"{prefix}{index}", depth + 1)

    def _visit_leaf(self, node: tuple[Value, ...], section: str, depth: int) -> None:
        part = _leaf(node, section)
        if part.content_type.startswith("multipart/"):
            self._note(f"part {section} is a multipart whose parts the server did not list")
        self.parts.append(part)
        if part.content_type == "message/rfc822":
            self._visit_embedded(_at(node, _EMBEDDED), section, depth)

    def _visit_embedded(self, node: Value, section: str, depth: int) -> None:
        # Servers that cannot look inside (it is encoded, say) give something else, or nothing.
        if isinstance(node, tuple) and node:
            is_multipart = isinstance(node[0], tuple)
            self.visit(node, section if is_multipart else f"{section}.1", depth + 1)

    def _note(self, problem: str) -> None:
        self.problem = self.problem or problem


def _leaf(node: tuple[Value, ...], section: str) -> Part:
    main, sub = _token(_at(node, _TYPE)), _token(_at(node, _SUBTYPE))
    content_type = f"{main}/{sub}" if main and sub else "application/octet-stream"
    parameters = _pairs(_at(node, _PARAMETERS))
    disposition, disposition_parameters = _disposition(node, content_type)
    filename = parameter_value(disposition_parameters, b"filename") if disposition else None
    if filename is None and parameters:
        filename = parameter_value(parameters, b"name")
    content_id = _at(node, _ID)
    return Part(
        section=section,
        content_type=content_type,
        encoding=_token(_at(node, _ENCODING)) or "7bit",
        size_bytes=number(_at(node, _SIZE)),
        filename=filename,
        disposition=disposition,
        content_id=_text(content_id) if isinstance(content_id, bytes) else None,
        charset=parameter_value(parameters, b"charset") if parameters else None,
    )


def _disposition(
    node: tuple[Value, ...], content_type: str
) -> tuple[str | None, list[tuple[bytes, bytes]]]:
    """Find the disposition: it stands behind the fields that only some types have."""
    expected = _FIRST_EXTENSION + 1
    if content_type.startswith("text/"):
        expected += 1  # lines
    elif content_type == "message/rfc822":
        expected += 3  # envelope, structure, lines
    # Servers leave out or add a field: look around the expected place for what is shaped like it.
    for at in (expected, expected - 1, expected + 1):
        if content_type == "message/rfc822" and at < expected:
            continue  # the structure of the embedded message can be shaped like it
        found = _at(node, at)
        if isinstance(found, tuple) and found and isinstance(found[0], bytes):
            parameters = _at(found, 1)
            if parameters is None or isinstance(parameters, tuple):
                return _token(found[0]) or None, _pairs(parameters)
    return None, []


def _at(values: Sequence[Value], index: int) -> Value:
    return values[index] if index < len(values) else None


def _pairs(value: Value) -> list[tuple[bytes, bytes]]:
    if not isinstance(value, tuple):
        return []
    return [
        (key, text)
        for key, text in zip(value[::2], value[1::2], strict=False)
        if isinstance(key, bytes) and isinstance(text, bytes)
    ]


def _token(value: Value) -> str:
    if not isinstance(value, bytes):
        return ""
    return _NOT_A_TOKEN.sub(b"", value[:_LONGEST_TOKEN]).lower().decode("ascii")


def _text(value: bytes) -> str | None:
    return value.decode("utf-8", "replace").strip() or None
