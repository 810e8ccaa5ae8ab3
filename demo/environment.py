# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""A file by which a shell becomes one of the demo's Airflow."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_HEAD = """\
# Makes `airflow` in this shell that of the running demo; read it with:  . {file}
# It holds the keys of the demo, which are made anew each time.
for name in $(env | sed -n 's/^\\(AIRFLOW[A-Za-z0-9_]*\\)=.*/\\1/p'); do unset "$name"; done
"""


@contextmanager
def environment_file(
    file: Path, environment: Mapping[str, str], *, commands_folder: Path
) -> Iterator[Path]:
    """
    Write the file, for sh and bash, and remove it in the end: then nothing answers any more.

    :param environment: Of Airflow's processes; what does not concern Airflow is left out.
    :param commands_folder: Where the command ``airflow`` is.
    """
    lines = [
        f"export {name}={shlex.quote(value)}"
        for name, value in sorted(environment.items())
        if name.startswith("AIRFLOW")
    ]
    lines.append(f'export PATH={shlex.quote(str(commands_folder))}:"$PATH"')
    text = _HEAD.format(file=shlex.quote(str(file))) + "\n".join(lines) + "\n"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)
