"""`pgpublish.toml`: what every command takes where neither a flag nor the environment says it.

The file is PGPUBLISH_CONFIG, else ./pgpublish.toml if there is one. No other folder is searched.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Iterable, MutableMapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click
import psycopg
from psycopg.conninfo import conninfo_to_dict

from pgpublish.errors import BadArgument
from pgpublish.sinks import policy
from pgpublish.terminal import say

FILE = "PGPUBLISH_CONFIG"
NAME = "pgpublish.toml"
SHARED = {  # of several commands
    "batch": ("drain", "deliver", "run", "changes"),
    "threads": ("deliver", "run"),
}
POLICY = {
    "sinks": policy.SINKS,
    "networks": policy.NETWORKS,
    "env-prefix": policy.PREFIXES,
    "ambient-credentials": policy.AMBIENT,
}
TEMPLATE = """\
# Settings of pgpublish. Every command reads this file if it is ./pgpublish.toml, or the one that
# PGPUBLISH_CONFIG names. A flag counts over an environment variable, and that over this file.
# A line that begins with # says what holds without it.

# Which database. Leave the password out: use PGPASSWORD or ~/.pgpass. Environment: DATABASE_URL.
# url = "postgresql://localhost/app"

# Rows in one transaction of drain, deliver, run and changes, at most. PGPUBLISH_BATCH.
# batch = 500

# Lanes that deliver and run deliver at the same time. PGPUBLISH_THREADS.
# threads = 4

# What a worker lets leave this machine; no subscription can widen it. See docs/security.md.
# Sinks that may be used; none here means all that are installed. PGPUBLISH_SINKS.
# sinks = []
# Networks that may be called: public, private, unix, or such as "10.1.0.0/16". PGPUBLISH_NETWORKS.
# networks = ["public", "private"]
# What the name of a variable begins with, if an option names it. PGPUBLISH_ENV_PREFIX.
# env-prefix = ["PGPUBLISH_SECRET_"]
# Whether SQS may use the machine's own credentials. PGPUBLISH_AMBIENT_CREDENTIALS.
# ambient-credentials = false

# Options of one command are a table of its name.
# [verify]
# batch = 1000
# [jobs.watch]
# interval = 1.0
"""


def path() -> Path:
    return Path(os.environ.get(FILE) or NAME)


def load(main: click.Group, environ: MutableMapping[str, str] = os.environ) -> dict[str, Any]:
    """The file's settings as click's default_map; those of the worker's policy go into environ,
    where nothing is set. Raises BadArgument."""
    file = path()
    try:
        given = tomllib.loads(file.read_text())
    except FileNotFoundError:
        if FILE not in environ:
            return {}
        hint = f"Run pgpublish init, or unset {FILE}."
        raise _wrong(file, "there is no such file", hint) from None
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(file, f"it cannot be read: {error}", "Correct the file.") from error
    except tomllib.TOMLDecodeError as error:
        raise _wrong(file, f"this is not TOML: {error}", "Correct it; texts are quoted.") from error
    settings: dict[str, Any] = {}
    if (url := given.pop("url", None)) is not None:
        settings["database_url"] = _text(file, "url", url)
    for name, variable in POLICY.items():
        if name in given:
            environ.setdefault(variable, _words(file, name, given.pop(name)))
    _check_names(file, given, [*SHARED, *main.commands], {"url", *POLICY})
    for name, commands in SHARED.items():
        if name in given:
            value = given.pop(name)
            for command in commands:
                settings.setdefault(command, {}).update(
                    _options(file, main.commands[command], {name: value}, "")
                )
    for name, table in given.items():
        settings.setdefault(name, {}).update(_table(file, main.commands[name], table, name))
    return settings


def _table(file: Path, command: click.Command, table: Any, name: str) -> dict[str, Any]:
    """The options of one command and, if it is a group, of those in it."""
    if not isinstance(table, dict):
        raise _wrong(file, f"{name} is a command", f"Write its options below a line [{name}].")
    inner = dict(command.commands) if isinstance(command, click.Group) else {}
    own = {key: value for key, value in table.items() if key not in inner}
    found = _options(file, command, own, f"{name}.", inner)
    for key in table.keys() & inner.keys():
        found[key] = _table(file, inner[key], table[key], f"{name}.{key}")
    return found


def _options(
    file: Path,
    command: click.Command,
    given: dict[str, Any],
    prefix: str,
    inner: Iterable[str] = (),
) -> dict[str, Any]:
    options = {
        flag.removeprefix("--"): param
        for param in command.params
        if isinstance(param, click.Option)
        for flag in param.opts
        if flag.startswith("--")
    }
    _check_names(file, given, [*options, *inner], prefix=prefix)
    return {
        options[key].name or "": _value(file, prefix + key, options[key], value)
        for key, value in given.items()
    }


def _value(file: Path, name: str, option: click.Option, value: Any) -> Any:
    """value, if the command would take it."""
    if isinstance(value, bool) != option.is_flag:
        raise _wrong(file, f"{name} = {value}", "Write true or false for a flag, and only there.")
    if isinstance(value, dict) or isinstance(value, list) != option.multiple:
        raise _wrong(file, f"{name} = {value}", "Write an array where a flag may be given again.")
    try:
        for one in value if isinstance(value, list) else [value]:
            option.type.convert(one, option, None)
    except click.BadParameter as error:
        raise _wrong(file, f"{name}: {error.message}", "Correct the value.") from None
    return value


def _check_names(
    file: Path,
    given: Iterable[str],
    known: Iterable[str],
    more: Iterable[str] = (),
    prefix: str = "",
) -> None:
    names = sorted({*known, *more})
    for key in given:
        if key not in names:
            near = get_close_matches(key, names, 3)
            hint = f"Did you mean {' or '.join(near)}?" if near else f"Use {', '.join(names)}."
            raise _wrong(file, f"{prefix}{key} is not a setting", hint)


def _text(file: Path, name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(file, f"{name} is no text", 'Write it in quotes: "…".')
    return value


def _words(file: Path, name: str, value: Any) -> str:
    """As the environment variable has it."""
    if name == "ambient-credentials":
        if not isinstance(value, bool):
            raise _wrong(file, f"{name} = {value}", "Write true or false.")
        return str(value).lower()
    if not isinstance(value, list):
        raise _wrong(file, f"{name} is no array", 'Write it as ["…", "…"].')
    return ",".join(_text(file, name, word) for word in value)


def warn(settings: dict[str, Any]) -> None:
    """Of what others could do with the file that load read."""
    file, url = path(), settings.get("database_url")
    if not file.exists():
        return
    found = file.stat()
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or found.st_uid not in (0, os.geteuid()):
        say(f"warning: other users can write {file}\n  hint: chown it, and chmod go-w", err=True)
    try:
        secret = url and conninfo_to_dict(url).get("password")
    except psycopg.Error:
        secret = None
    if secret and found.st_mode & (stat.S_IRGRP | stat.S_IROTH):
        say(f"warning: other users can read the password in {file}\n  hint: chmod 600", err=True)


def _wrong(file: Path, detail: str, hint: str) -> BadArgument:
    return BadArgument(f"the settings in {file} are wrong", detail=detail, hint=hint)


@click.command()
def init() -> None:
    """Write a commented pgpublish.toml for your settings.

    Each setting stands in a comment there, so the file changes nothing until you edit it. Every
    command reads ./pgpublish.toml, or the file that PGPUBLISH_CONFIG names. A flag counts over an
    environment variable, and that over the file.
    """
    file = path()
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise BadArgument(
            f"{file} cannot be written",
            detail=error.strerror,
            hint=f"Edit the one that is there, or set {FILE} to write another.",
        ) from None
    with os.fdopen(handle, "w") as out:
        out.write(TEMPLATE)
    say(f"wrote {file}; edit it, then run pgpublish migrate")


COMMANDS = (init,)
