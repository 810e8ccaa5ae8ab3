# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
The values of a connection, one by one: what counts as unset, of which type, what is refused.

The connection form checks nothing, stores null for every empty field, and may store Airflow's
own mask ``***`` in place of a value. So null, the empty text and anything with ``***`` mean
unset; where the value is not a secret, ``***`` is reported, because whoever saved it lost it.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.tokens.sealing import is_sealed

MASK = "***"

#: Every key of ``extra`` that this version understands.
SUPPORTED = (
    "mail_provider",
    "mailbox",
    "tls",
    "grant",
    "client_id",
    "tenant_id",
    "region",
    "client_secret",
    "certificate_private_key",
    "certificate_chain",
    "key_id",
    "service_account_key",
    "credential_expires_on",
    "refresh_token",
    "fallback_conn_id",
    "issuer",
    "authorize_url",
    "exchange_url",
    "device_url",
    "revoke_url",
    "jwks_url",
    "scopes",
    "client_auth_method",
    "authorize_params",
    "sasl_mechanism",
    "ca_file",
    "proxy_url",
    "connect_timeout_seconds",
    "read_timeout_seconds",
)

#: Keys that are reserved: refused while they have a value, so that none is silently ignored.
RESERVED = ("max_connections", "max_bytes_per_day")

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNFIT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_UNFIT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_SCOPES = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: +[\x21\x23-\x5b\x5d-\x7e]+)*")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_MAX_SHOWN = 60
#: Of a key or a chain of certificates; the largest real ones have a third of that.
_MAX_CHARACTERS = 32 * 1024
#: A chain of eight certificates has three hundred.
_MAX_LINES = 500


class Fields:
    """
    Read the values of one connection, and blame the right one when something is wrong.

    :param conn_id: For messages.
    :param extra: The connection's ``extra``, as text or None.
    :raises ConfigurationError: Here and from every method: connection, field, what to do. A
        retry cannot help. No message holds a value that may be a secret.
    """

    def __init__(self, conn_id: str, extra: str | None) -> None:
        self._conn_id = conn_id
        self._extra = self._parsed(extra)
        self._refuse_unknown()

    def error(self, message: str, hint: str) -> ConfigurationError:
        """Return an error that names the connection."""
        return ConfigurationError(message, hint=hint, conn_id=self._conn_id)

    def text(self, key: str) -> str | None:
        """Return a value that is not a secret, stripped, or None where unset."""
        return self.plain(f"key '{key}' of extra", self._extra.get(key))

    def secret(self, key: str) -> str | None:
        """Return a secret, stripped, or None where unset."""
        return self.hidden(f"key '{key}' of extra", self._extra.get(key))

    def is_mask(self, key: str) -> bool:
        """Tell whether Airflow's mask was stored in place of the value."""
        return MASK in str(self._extra.get(key))

    def refuse_mask(self, key: str) -> None:
        """Raise if Airflow's mask was stored in place of a secret: without it all would change."""
        if self.is_mask(key):
            raise self.error(
                f"Key '{key}' of extra holds only Airflow's mask.",
                "The value was lost when the connection was saved: enter it again.",
            )

    def plain(self, where: str, value: object) -> str | None:
        """Return any value that is not a secret, stripped, or None where unset."""
        text = self.hidden(where, value, masked_is_unset=False)
        if text is not None and MASK in text:
            raise self.error(
                f"{where} holds '{MASK}', which is how Airflow masks a value.",
                "The value was lost when the connection was saved: enter it again.",
            )
        return text

    def hidden(self, where: str, value: object, *, masked_is_unset: bool = True) -> str | None:
        """Return any secret, stripped, or None where unset or masked."""
        if value is None:
            return None
        # A connection in URI form hands over numbers where a text consists of digits.
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise self.error(f"{where} is not a text.", "Enter it as a text.")
        text = str(value).strip()
        if not text or (masked_is_unset and MASK in text):
            return None
        self._refuse_long(where, text)
        if _UNFIT.search(text):
            raise self.error(
                f"{where} holds a line break, a control character or half a character.",
                "Enter it again.",
            )
        return text

    def lines(self, key: str) -> str | None:
        """Return a text of several lines (a key, a certificate), stripped, or None where unset."""
        value = self._extra.get(key)
        if isinstance(value, dict):  # JSON that was not wrapped into a text
            value = json.dumps(value)
        if value is not None and not isinstance(value, str):
            raise self.error(f"key '{key}' of extra is not a text.", "Enter it as a text.")
        text = (value or "").strip()
        if not text or MASK in text:
            return None
        self._refuse_long(f"key '{key}' of extra", text)
        if _UNFIT_LINES.search(text):
            raise self.error(
                f"key '{key}' of extra holds a control character or half a character.",
                "Enter it again.",
            )
        return text

    def texts(self, key: str) -> dict[str, str]:
        """Return a JSON object of texts, or an empty one where unset."""
        value = self._extra.get(key)
        if isinstance(value, str):
            self.plain(f"key '{key}' of extra", " ".join(value.split()))
            try:
                value = json.loads(value) if value.strip() else {}
            except (ValueError, RecursionError):
                value = None
        elif value is None:
            return {}
        if not isinstance(value, dict) or not all(
            isinstance(text, str) and not _UNFIT.search(name + text) for name, text in value.items()
        ):
            raise self.error(
                f"key '{key}' of extra is not a JSON object of texts.",
                'It must read like {"name": "value"}.',
            )
        for name, text in value.items():
            self.plain(f"'{_shown(name)}' in key '{key}' of extra", text)
        return value

    def day(self, key: str) -> date | None:
        """Return a date, or None where unset."""
        text = self.text(key)
        if text is None:
            return None
        try:
            # Later Pythons read more forms than that.
            return date.fromisoformat(text if _DAY.fullmatch(text) else "")
        except ValueError:
            raise self.error(
                f"key '{key}' of extra is not a date.", "Enter it like 2027-01-31."
            ) from None

    def choice(self, key: str, choices: Iterable[str]) -> str | None:
        """Return one of ``choices``, or None where unset."""
        value = self.text(key)
        if value is None or value in choices:
            return value
        known = ", ".join(choices)
        raise self.error(
            f"The value '{_shown(value)}' of key '{key}' is not known.", f"Known are: {known}."
        )

    def seconds(self, key: str, default: float) -> float:
        """Return a positive number of seconds."""
        raw = self._extra.get(key)
        if isinstance(raw, float):
            raw = str(raw)
        text = self.plain(f"key '{key}' of extra", raw)
        if text is None:
            return default
        value = float(text) if _SECONDS.fullmatch(text) else 0.0
        if not 0 < value <= _MAX_SECONDS:
            raise self.error(
                f"Key '{key}' of extra is not a number of seconds.",
                f"Enter a number above 0, at most {_MAX_SECONDS}.",
            )
        return value

    def scopes(self, key: str) -> tuple[str, ...]:
        """Return blank-separated scopes (RFC 6749 section 3.3), or () where unset."""
        text = self.text(key)
        if text is None:
            return ()
        if not _SCOPES.fullmatch(text):
            raise self.error(
                f"Key '{key}' of extra is not a list of scopes.",
                "Separate scopes by blanks, without quotes or backslashes.",
            )
        return tuple(text.split())

    def refuse(self, keys: Iterable[str], why: str, hint: str) -> None:
        """Raise if one of ``keys`` has a value."""
        for key in keys:
            if self.text(key) is not None:
                raise self.error(f"Key '{key}' of extra {why}", hint)

    def _refuse_long(self, where: str, text: str) -> None:
        # What is sealed is a third longer than it was.
        most = _MAX_CHARACTERS * (2 if is_sealed(text) else 1)
        if len(text) > most or text.count("\n") >= _MAX_LINES:
            raise self.error(
                f"{where} is too long to be what belongs there.",
                f"Enter no more than {_MAX_CHARACTERS} characters in {_MAX_LINES} lines.",
            )

    def _parsed(self, extra: str | None) -> Mapping[str, Any]:
        if not (extra or "").strip():
            return {}
        try:
            parsed = json.loads(extra or "")
        except (ValueError, RecursionError):
            parsed = None
        if not isinstance(parsed, dict):
            raise self.error("extra is not a JSON object.", 'It must read like {"key": "value"}.')
        return parsed

    def _refuse_unknown(self) -> None:
        for key, value in self._extra.items():
            if key in SUPPORTED:
                continue
            if key not in RESERVED:
                near = difflib.get_close_matches(key, SUPPORTED, n=1)
                suggestion = f"Did you mean '{near[0]}'? " if near else ""
                raise self.error(
                    f"Key '{_shown(key)}' of extra is not known.",
                    f"{suggestion}Known are: {', '.join(SUPPORTED)}.",
                )
            if value not in (None, ""):
                raise self.error(
                    f"Key '{key}' of extra is not supported in this version.", "Remove it."
                )


_MAX_SECONDS = 600


def _shown(text: str) -> str:
    return _CONTROL.sub("?", text)[:_MAX_SHOWN]
