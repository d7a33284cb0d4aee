"""A scratch copy of the database, dropped at the end in any case."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgpublish import embedded
from pgpublish.database import Connection, call, connect, failure, tuples
from pgpublish.errors import BadArgument, MissingPart, PublishError
from pgpublish.terminal import say

LOOK_S = 0.1
IN_USE = "55006"


@contextmanager
def copied(conn: Connection, url: str | None, kind: str, stop: Event) -> Iterator[Connection]:
    """A session on a copy of conn's database; conn is closed, as a template has no sessions.

    With rows of the tables that a check of the kind reads. Raises NotDefined, MissingPart,
    DatabaseError; BadArgument once stop is set.
    """
    given = url or os.environ.get("DATABASE_URL", "")
    source, major = conn.info.dbname, conn.info.server_version // 10000
    unneeded = [name for (name,) in tuples(conn, "select publish.unneeded_tables(%s)", kind)]
    size = call(conn, "select pg_size_pretty(pg_database_size(current_database()))")[0]
    alone: bool = call(conn, "select publish.is_alone()")[0]
    conn.close()
    name = f"pgpublish_check_{secrets.token_hex(4)}"
    target = make_conninfo(given, dbname=name)
    with connect(make_conninfo(given, dbname="postgres")) as elsewhere:
        say(f"copying {source} ({size}) to {name}", err=True)
        try:
            if not (alone and by_template(elsewhere, source, name)):
                run(elsewhere, sql.SQL("create database {} template template0"), name)
                by_dump(make_conninfo(given, dbname=source), target, unneeded, major, stop)
            if stop.is_set():
                raise BadArgument("stopped", hint="Run it again.")
            with connect(target) as copy:
                yield copy
        finally:
            run(elsewhere, sql.SQL("drop database if exists {} with (force)"), name)


def run(conn: Connection, statement: sql.SQL, *names: str) -> None:
    try:
        conn.execute(statement.format(*(sql.Identifier(name) for name in names)))
    except psycopg.Error as error:
        raise failure(conn, error) from error


def by_template(conn: Connection, source: str, name: str) -> bool:
    """False: others are connected to the database."""
    try:
        run(conn, sql.SQL("create database {} template {}"), name, source)
    except PublishError as error:
        if error.sqlstate != IN_USE:
            raise
        return False
    return True


def by_dump(source: str, target: str, unneeded: list[str], major: int, stop: Event) -> None:
    dump, restore = programs(major)
    without = [f"--exclude-table-data={name}" for name in unneeded]
    with (
        subprocess.Popen(
            [dump, "--format=custom", "--compress=0", *without, *login(source)],
            env=environment(source),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as dumping,
        subprocess.Popen(
            # A foreign key to rows that were left out cannot be made: nothing here needs it.
            [restore, *login(target)],
            env=environment(target),
            stdin=dumping.stdout,
            stderr=subprocess.DEVNULL,
        ) as restoring,
    ):
        assert dumping.stdout is not None
        dumping.stdout.close()  # a restore that ends is noticed by the dump
        while restoring.poll() is None:
            if stop.wait(LOOK_S):
                dumping.terminate()
                restoring.terminate()
        _, said = dumping.communicate()
    if dumping.returncode and not stop.is_set():
        raise BadArgument(
            "the database could not be dumped",
            detail=said.strip()[-300:],
            hint="Run it as a user who may read all of it, or while nobody is connected.",
        )


def programs(major: int) -> tuple[str, str]:
    """pg_dump and pg_restore, not older than the server. Raises MissingPart."""
    folders = [Path(found).parent for found in [shutil.which("pg_dump")] if found]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    with suppress(PublishError):
        folders.append(embedded.binaries())
    for folder in folders:
        with suppress(OSError, subprocess.SubprocessError, ValueError, IndexError):
            said = subprocess.run(
                [folder / "pg_dump", "--version"], capture_output=True, text=True, timeout=10
            ).stdout
            if int(said.split()[2].split(".")[0]) >= major:
                return str(folder / "pg_dump"), str(folder / "pg_restore")
    raise MissingPart(
        f"this needs pg_dump of version {major} or newer",
        detail="Others are connected to the database, so it cannot be copied as a template.",
        hint=f"Install postgresql-client-{major}, or run it while nobody else is connected.",
    )


def login(url: str) -> list[str]:
    """Without the password, which others could see in the list of processes."""
    return ["--dbname", make_conninfo("", **{**conninfo_to_dict(url), "password": None})]


def environment(url: str) -> dict[str, str]:
    password = conninfo_to_dict(url).get("password")
    return {**os.environ, **({"PGPASSWORD": str(password)} if password else {})}
