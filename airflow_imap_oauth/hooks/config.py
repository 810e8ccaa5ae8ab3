# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The options of ``[imap_oauth]``, read once per use and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from airflow.configuration import AIRFLOW_HOME, conf

from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.get_provider_info import get_provider_info
from airflow_imap_oauth.tokens.locks import default_lock_folder

SECTION = "imap_oauth"

_TRUE = frozenset({"true", "t", "1", "yes", "on"})
_FALSE = frozenset({"false", "f", "0", "no", "off"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageOptions:
    """
    The options of ``[imap_oauth]``; what each means stands in the provider metadata.

    :param token_keys: As configured, in order; empty: derive keys from Airflow's Fernet keys.
    :param fernet_keys: The entries of ``[core] fernet_key``, whether or not they are valid keys:
        Airflow may hand out a placeholder where none is configured.
    """

    token_store: str
    token_keys: tuple[str, ...] = field(repr=False)
    fernet_keys: tuple[str, ...] = field(repr=False)
    file_folder: Path
    file_folder_shared: bool
    lock_folder: Path
    renew_before_seconds: int
    lease_delay_seconds: int
    sql_alchemy_conn: str = field(repr=False)
    allow_loopback_http: bool


def read_options() -> PackageOptions:
    """
    Read the configuration.

    :raises ConfigurationError: If a value is not of its type; names the option. A retry cannot
        help.
    """
    return PackageOptions(
        token_store=_text("token_store"),
        token_keys=_split(_text("token_keys")),
        fernet_keys=_split(_clean(conf.get("core", "fernet_key", fallback=""))),
        file_folder=_folder("file_folder", Path(AIRFLOW_HOME) / "imap_oauth" / "tokens"),
        file_folder_shared=_boolean("file_folder_shared"),
        lock_folder=_folder("lock_folder", default_lock_folder()),
        renew_before_seconds=_seconds("renew_before_seconds"),
        lease_delay_seconds=_seconds("lease_delay_seconds"),
        sql_alchemy_conn=_text("sql_alchemy_conn"),
        allow_loopback_http=_boolean("allow_loopback_http"),
    )


def _default(option: str) -> str:
    options = get_provider_info()["config"][SECTION]["options"]
    return str(options[option]["default"])


def _text(option: str) -> str:
    # The default is handed over too: a worker reads the metadata of Airflow providers lazily.
    return _clean(conf.get(SECTION, option, fallback="")) or _default(option)


def _clean(value: str | None) -> str:
    return (value or "").strip()


def _split(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _folder(option: str, default: Path) -> Path:
    text = _text(option)
    if not text:
        return default
    folder = Path(text).expanduser()
    if not folder.is_absolute():
        raise ConfigurationError(
            f"The option [{SECTION}] {option} is a relative path.",
            hint="Components of Airflow run in different folders: give an absolute path.",
        )
    return folder


def _boolean(option: str) -> bool:
    text = _text(option).lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ConfigurationError(
        f"The option [{SECTION}] {option} is neither true nor false.", hint="Set True or False."
    )


def _seconds(option: str) -> int:
    text = _text(option)
    if text.isascii() and text.isdigit():
        return int(text)
    raise ConfigurationError(
        f"The option [{SECTION}] {option} is not a whole number of seconds.",
        hint=f"Set a number such as {_default(option)}.",
    )
