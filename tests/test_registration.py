# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""What Airflow is told about this package: metadata, form, options, commands and plugin."""

from __future__ import annotations

import base64
import importlib
import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.sdk import Connection

import airflow_imap_oauth
from airflow_imap_oauth.exceptions import ConfigurationError
from airflow_imap_oauth.get_provider_info import get_provider_info
from airflow_imap_oauth.hooks.config import PackageOptions, read_options
from airflow_imap_oauth.hooks.connection import ConnectionSettings, parse
from airflow_imap_oauth.hooks.fields import RESERVED, SUPPORTED

INFO = get_provider_info()
(CONNECTION_TYPE,) = INFO["connection-types"]
FORM: dict[str, Any] = CONNECTION_TYPE["conn-fields"]
OPTIONS: dict[str, Any] = INFO["config"]["imap_oauth"]["options"]
CHOICES = [(key, value) for key, field in FORM.items() for value in field["schema"].get("enum", ())]


def parsed(extra: dict[str, Any]) -> ConnectionSettings:
    values = {
        "mail_provider": "custom",
        "client_id": "app",
        "issuer": "https://login.test",
        **extra,
    }
    return parse(
        Connection(
            conn_id="mail",
            conn_type="imap_oauth",
            host="imap.test",
            login="me@example.test",
            extra=json.dumps(values),
        )
    )


def airflow_says(*arguments: str) -> str:
    """Run ``airflow``."""
    return subprocess.run(
        [Path(sys.executable).with_name("airflow"), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout


def test_metadata_are_what_airflow_demands() -> None:
    """They fit Airflow's own schema, so that Airflow does not ignore them."""
    schema = Path(airflow.__file__).with_name("provider_info.schema.json").read_text()
    jsonschema.validate(INFO, json.loads(schema))


def test_airflow_lists_it() -> None:
    """``airflow providers list`` shows it, and its version."""
    listed = json.loads(airflow_says("providers", "list", "--output", "json"))
    (found,) = [each for each in listed if each["package_name"] == "airflow-imap-oauth"]
    assert found["version"] == airflow_imap_oauth.__version__


def test_airflow_knows_type_hook_and_form() -> None:
    """Airflow's own registry has the connection type, with the hook's class and every field."""
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    hook = manager.hooks["imap_oauth"]
    assert hook is not None
    assert hook.hook_class_name == "airflow_imap_oauth.hooks.imap_oauth.ImapOAuthHook"
    assert hook.hook_name == CONNECTION_TYPE["hook-name"]
    fields = {
        name.removeprefix("extra__imap_oauth__")
        for name in manager.connection_form_widgets
        if name.startswith("extra__imap_oauth__")
    }
    assert fields == set(FORM)


def test_everything_that_is_named_exists() -> None:
    """Modules and classes of the metadata can be imported, and agree with them."""
    for kind in ("hooks", "operators", "sensors"):
        for group in INFO[kind]:
            for module in group["python-modules"]:
                importlib.import_module(module)
    module, _, name = CONNECTION_TYPE["hook-class-name"].rpartition(".")
    hook = getattr(importlib.import_module(module), name)
    assert hook.conn_type == CONNECTION_TYPE["connection-type"]
    assert hook.hook_name == CONNECTION_TYPE["hook-name"]


def test_commands_are_registered() -> None:
    """Airflow finds the group, and every command has a function behind it."""
    from airflow.cli.cli_parser import ALL_COMMANDS_DICT

    (path,) = INFO["cli"]
    definition, _, name = path.rpartition(".")
    (group,) = getattr(importlib.import_module(definition), name)()
    assert group.name in ALL_COMMANDS_DICT
    names = [command.name for command in group.subcommands]
    assert names == [
        *("login", "revoke", "rotate-keys"),
        *("status", "check", "refresh", "list-mail-providers"),
    ]
    for name in names:
        function = name.replace("-", "_")
        module = importlib.import_module(f"airflow_imap_oauth.cli.{function}")
        assert callable(getattr(module, function))


def test_entry_points_are_installed() -> None:
    """The distribution announces metadata and plugin."""
    (info,) = entry_points(group="apache_airflow_provider").select(
        value="airflow_imap_oauth.get_provider_info:get_provider_info"
    )
    assert info.load()() == INFO
    (plugin,) = entry_points(group="airflow.plugins").select(name="imap_oauth")
    assert plugin.load().name == "imap_oauth"


def test_airflow_loads_the_plugin() -> None:
    """Airflow's plugin manager mounts the application and shows the entry of the menu."""
    from airflow import plugins_manager

    apps, _ = plugins_manager.get_fastapi_plugins()
    assert "/imap-oauth" in [app["url_prefix"] for app in apps]
    (plugin,) = [each for each in plugins_manager.get_plugin_info() if each["name"] == "imap_oauth"]
    (view,) = plugin["external_views"]
    assert (view["name"], view["href"]) == ("IMAP mailboxes", "/imap-oauth/")


HIDDEN = {"client_secret", "proxy_url"}
PEM = "-----BEGIN PRIVATE KEY----- AAAA -----END PRIVATE KEY-----"
KEY_FILE = json.dumps(
    {"type": "service_account", "client_email": "etl@project.example", "private_key": PEM}
)

# --- Form -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", FORM)
def test_form_field_is_fit_to_be_shown(key: str) -> None:
    """A field has label, short help and section; no default; may be empty; hides secrets."""
    field = FORM[key]
    schema = field["schema"]
    assert field["label"]
    assert 0 < len(field["description"]) <= 160
    assert schema["section"]
    assert "default" not in schema
    assert "null" in schema["type"]
    assert set(schema.get("values_display", ())) == set(schema.get("enum", ()))
    assert (schema.get("format") == "password") is (key in HIDDEN)


def test_secret_names_are_masked_and_others_are_not() -> None:
    """Airflow masks values by the names of their keys: secrets, and nothing else."""
    from airflow.sdk._shared.secrets_masker import should_hide_value_for_key

    hidden = {key for key in (*SUPPORTED, *RESERVED) if should_hide_value_for_key(key)}
    keys = {"certificate_private_key", "service_account_key"}
    assert hidden & set(SUPPORTED) == {*HIDDEN, *keys, "refresh_token"}


@pytest.mark.parametrize(("key", "value"), CHOICES)
def test_every_choice_of_the_form_is_understood(key: str, value: str) -> None:
    """The form offers nothing that is refused later."""
    extra: dict[str, Any] = {key: value}
    if key == "region":
        extra["mail_provider"] = "zoho"
    if value == "service_account":
        extra |= {"mail_provider": "google", "client_id": None, "service_account_key": KEY_FILE}
    if value == "private_key_jwt":
        extra["certificate_private_key"] = PEM
    if extra.get("mail_provider", "custom") != "custom":
        extra["issuer"] = None
    needs_secret = value in ("post", "basic", "client_credentials") or "mail_provider" in extra
    if needs_secret and value != "service_account":
        extra["client_secret"] = "secret"
    assert parsed(extra)


@pytest.mark.parametrize("key", [key for key, field in FORM.items() if "enum" in field["schema"]])
def test_other_choices_are_refused(key: str) -> None:
    """A value that the form does not offer is named, and the known ones are listed."""
    zoho = {"mail_provider": "zoho", "client_secret": "secret"} if key == "region" else {}
    with pytest.raises(ConfigurationError, match=r"something-else|mail provider") as caught:
        parsed({**zoho, key: "something-else"})
    for value in FORM[key]["schema"]["enum"]:
        assert value in str(caught.value)


@pytest.mark.parametrize("key", RESERVED)
def test_keys_of_later_versions_are_refused(key: str) -> None:
    """What this version does not do is never silently ignored."""
    with pytest.raises(ConfigurationError, match=f"'{key}'.*not supported"):
        parsed({key: "x"})
    assert key not in FORM


# --- Options --------------------------------------------------------------------------------------

KEY = base64.urlsafe_b64encode(b"k" * 32).decode()
VALUES: dict[str, tuple[str, object]] = {
    "token_store": ("file", "file"),
    "token_keys": (f"{KEY}, {KEY}", (KEY, KEY)),
    "file_folder": ("/srv/tokens", Path("/srv/tokens")),
    "file_folder_shared": ("true", True),
    "lock_folder": ("/srv/locks", Path("/srv/locks")),
    "renew_before_seconds": ("77", 77),
    "lease_delay_seconds": ("7", 7),
    "sql_alchemy_conn": ("sqlite:////srv/tokens.db", "sqlite:////srv/tokens.db"),
    "allow_loopback_http": ("True", True),
}


def test_every_option_is_in_the_table() -> None:
    """An option that is declared is read by the package, and what is read is declared."""
    assert set(VALUES) == set(OPTIONS) == set(PackageOptions.__slots__) - {"fernet_keys"}


@pytest.mark.parametrize("name", VALUES)
def test_option_is_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configured value takes effect, and an empty one is the declared default."""
    variable = f"AIRFLOW__IMAP_OAUTH__{name.upper()}"
    text, value = VALUES[name]
    monkeypatch.delenv(variable, raising=False)
    default = getattr(read_options(), name)
    monkeypatch.setenv(variable, text)
    assert getattr(read_options(), name) == value != default
    monkeypatch.setenv(variable, "")
    assert getattr(read_options(), name) == default


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("file_folder", "relative/folder"),
        ("lock_folder", "relative"),
        ("file_folder_shared", "perhaps"),
        ("allow_loopback_http", "2"),
        ("renew_before_seconds", "5m"),
        ("renew_before_seconds", "-1"),
    ],
)
def test_wrong_option_is_refused(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of the wrong type is an error that names the option."""
    monkeypatch.setenv(f"AIRFLOW__IMAP_OAUTH__{name.upper()}", text)
    with pytest.raises(ConfigurationError, match=rf"\[imap_oauth\] {name} ") as caught:
        read_options()
    assert caught.value.hint


@pytest.mark.parametrize("name", OPTIONS)
def test_option_is_documented(name: str) -> None:
    """An option has type, description, default and the version it came with; keys are sensitive."""
    option = OPTIONS[name]
    assert option["type"] in ("string", "boolean", "integer")
    assert option["description"].endswith(".")
    assert option["version_added"] == "0.1.0"
    assert isinstance(option["default"], str)
    assert option.get("sensitive", False) is (name in ("token_keys", "sql_alchemy_conn"))


# --- Weight ---------------------------------------------------------------------------------------

HEAVY = ("msal", "google.auth", "imapclient", "jwt", "fastapi", "httpx", "cryptography", "filelock")
IMPORTS = """
import sys
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator, ObjectStoragePath
from airflow.plugins_manager import AirflowPlugin
before = set(sys.modules)
import airflow_imap_oauth.get_provider_info
import airflow_imap_oauth.operators.imap_oauth
import airflow_imap_oauth.sensors.imap_oauth
import airflow_imap_oauth.plugins.imap_oauth
new = set(sys.modules) - before
print(sorted(name for name in new if name.startswith({heavy!r})))
print(sorted(name for name in new if not name.startswith(("airflow_imap_oauth", "airflow.sdk"))))
"""


def test_dag_parse_loads_nothing_heavy() -> None:
    """Operators, sensors and plugin load nothing beyond what Airflow's SDK loads itself."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS.format(heavy=HEAVY)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    heavy, new = done.stdout.strip().splitlines()[-2:]
    assert heavy == "[]"
    assert new == "[]"
