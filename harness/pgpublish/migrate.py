"""Brings a database to this version: yoyo's migrations, then every function file that differs.

What it says of our sinks comes from their classes, as one more such file.
publish.file records what is installed, by path and checksum, and which version did it; `pgpublish
sql` writes the same rows, so that a database set up with psql alone can be migrated later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath

from psycopg import sql
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import parse_uri
from yoyo.migrations import Migration, MigrationList

from pgpublish import __version__, fit, resources
from pgpublish.database import Connection
from pgpublish.errors import SchemaMismatch
from pgpublish.resources import SqlFile
from pgpublish.sinks.registry import registration

VERSION = "version"  # the path of publish.file that says which version was installed last
RIGHTS = SqlFile("rights", "select publish.restore_rights()")  # what pending() says of them
LOCK = (1886741100, 1)  # advisory lock: class "publ", object 1


class _Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]
    """yoyo on our connection, its tables in schema publish.

    Our advisory lock stands for yoyo's lock row, which a crash would leave behind.
    """

    _is_locked = True

    def __init__(self, conn: Connection) -> None:
        self._ours = conn
        super().__init__(parse_uri("postgresql+psycopg://"), "_yoyo_migration")

    def connect(self, dburi: object) -> Connection:
        self.schema = "publish"
        return self._ours

    def apply_one(self, migration: Migration, force: bool = False, mark: bool = True) -> None:
        """Applies and records in one transaction; yoyo's own leaves a gap between them."""
        with self.transaction():
            migration.process_steps(self, "apply", force=force)
            self.execute("reset role")
            self.mark_one(migration)
            self._ours.execute(
                _record([f for f in resources.migrations() if _id(f) == migration.id])
            )


def pending(conn: Connection) -> list[SqlFile]:
    """Files that `migrate` would apply, in order. Raises SchemaMismatch if the schema is newer,
    or if a migration was edited after it was applied."""
    installed = _installed(conn)
    ours = _ours()
    if newer := _newer(installed, ours):
        raise SchemaMismatch(
            "the database schema is newer than this pgpublish",
            detail=newer,
            hint="Upgrade the package: pip install --upgrade pgpublish",
        )
    there = _functions(conn)
    changed = [
        file
        for file in ours.values()
        if installed.get(file.path) != file.checksum
        or (file.path.startswith("sql/") and _id(file) not in there)
    ]
    edited = [f.path for f in changed if f.path in installed and f.path.startswith("migrations/")]
    if edited:
        raise SchemaMismatch(
            "a migration was edited after it was applied",
            detail=f"{', '.join(edited)}.",
            hint="Restore the file as it was released, and write the change as a new migration.",
        )
    wrong = "audit_rights" in there and conn.execute(
        "select exists (select from publish.audit_rights())"
    ).fetchone() == (True,)
    return [*([RIGHTS] if wrong else []), *changed]


def migrate(conn: Connection) -> list[SqlFile]:
    """Applies what is pending and returns it. Two at once wait for each other; a second run
    finds nothing. conn must be in autocommit mode. Raises SchemaMismatch, psycopg.Error."""
    fit.require_direct(conn)
    with _locked(conn):
        todo = pending(conn)
        restored = todo[:1] == [RIGHTS]
        if restored:
            with conn.transaction():
                conn.execute(_roles().encode())
                conn.execute(RIGHTS.text.encode())
            todo = [file for file in pending(conn) if file != RIGHTS]
        current = _installed(conn).get(VERSION) == __version__
        if not todo and current and _exists(conn, "publish._yoyo_migration"):
            return [RIGHTS] if restored else []
        recorded = not _exists(conn, "publish.outbox") or bool(_installed(conn))
        fit.require(conn, "".join(file.text for file in todo), recorded=recorded)
        if not _exists(conn, "publish"):
            conn.execute("create schema if not exists publish")
        _apply_migrations(conn)
        todo_functions = [f for f in todo if not f.path.startswith("migrations/")]
        with conn.transaction():
            conn.execute("set local role publish_owner")
            conn.execute("set local check_function_bodies = off")
            for file in todo_functions:
                conn.execute(file.text.encode(conn.info.encoding))
            conn.execute(_record([*todo_functions, THIS]))
            if "renew_captures" in _functions(conn):
                conn.execute("select publish.renew_captures()")
            if "record_rights" in _functions(conn):
                conn.execute("select publish.record_rights()")
                conn.execute("select publish.warn_names()")
        return [RIGHTS, *todo] if restored else todo


def require_usable(conn: Connection) -> None:
    """For a worker, which only calls functions that no later version takes away: raises
    SchemaMismatch unless the database is at this version or a newer one."""
    if not _newer(_installed(conn), _ours()):
        require_current(conn)


def require_current(conn: Connection) -> None:
    """Raises SchemaMismatch unless the database is exactly at this version."""
    todo = pending(conn)
    if not todo:
        return
    if len(todo) == len(_ours()):
        message = "pgpublish is not installed in this database"
    else:
        message = "the database is at another version, or half migrated"
    raise SchemaMismatch(
        message,
        detail=f"{len(todo)} files differ, first {todo[0].path}.",
        hint="Run: pgpublish migrate",
    )


def ddl() -> str:
    """Everything as one script for psql, in migrate's own transactions: where it was interrupted,
    migrate goes on. It changes nothing where pgpublish is installed."""
    parts = ["\\set ON_ERROR_STOP on\n"]
    again = replaced()
    for file in resources.migrations():
        record = _record([file]).as_string()
        parts.append(f"-- {file.path}\nbegin;\n{file.text.strip()}\n{record};\ncommit;\n")
    parts.append("begin;\nset local role publish_owner;\nset local check_function_bodies = off;\n")
    parts += [f"-- {file.path}\n{file.text.strip()}\n" for file in again]
    parts.append(_record([*again, THIS]).as_string() + ";")
    if any(_id(file) == "record_rights" for file in again):
        parts.append("select publish.record_rights();")
    parts.append("commit;\n")
    return "\n".join(parts)


def replaced() -> list[SqlFile]:
    """What is run again where it differs, in order."""
    found = resources.functions()
    learns = any(_id(file) == "publish_register_sink" for file in found)
    return [*found, SqlFile("sinks", registration())] if learns else found


@dataclass(frozen=True)
class _Version(SqlFile):
    @property
    def checksum(self) -> str:
        return self.text


THIS = _Version(VERSION, __version__)


def _ours() -> dict[str, SqlFile]:
    """All files of this version by path, in order; reads them."""
    return {file.path: file for file in [*resources.migrations(), *replaced()]}


def _newer(installed: dict[str, str], ours: dict[str, SqlFile]) -> str | None:
    """Why what is installed is newer than this package; None: it is not."""
    there = installed.get(VERSION, "0")
    if _order(there) > _order(__version__):
        return f"It is of version {there}, this is {__version__}."
    unknown = sorted(installed.keys() - ours.keys() - {VERSION})
    return f"Not known here: {', '.join(unknown)}." if unknown else None


def _order(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def _apply_migrations(conn: Connection) -> None:
    backend = _Backend(conn)
    try:
        backend.init_connection(conn)
        backend.ensure_internal_schema_updated()
        every = read_migrations(str(resources.folder("migrations")))
        by_psql = {PurePosixPath(path).stem for path in _installed(conn)}
        todo = backend.to_apply(every)
        backend.mark_migrations(MigrationList([m for m in todo if m.id in by_psql]))
        backend.apply_migrations(MigrationList([m for m in todo if m.id not in by_psql]))
        for (table,) in conn.execute(
            "select c.relname from pg_catalog.pg_class c"
            " where c.relnamespace = 'publish'::regnamespace and c.relname like '\\_yoyo\\_%'"
            " and c.relkind = 'r' and c.relowner <> 'publish_owner'::regrole"
        ).fetchall():
            conn.execute(
                sql.SQL("alter table publish.{} owner to publish_owner").format(
                    sql.Identifier(table)
                )
            )
    finally:
        if not conn.closed:
            conn.execute("reset search_path")


def _roles() -> str:
    """The part of the first migration that may be run again: it makes the roles."""
    return resources.migrations()[0].text.split("\n-- migrate runs what is above again")[0]


def _id(migration: SqlFile) -> str:
    return PurePosixPath(migration.path).stem


def _record(files: list[SqlFile]) -> sql.Composed:
    rows = sql.SQL(",\n  ").join(
        sql.SQL("({}, {})").format(sql.Literal(f.path), sql.Literal(f.checksum)) for f in files
    )
    return sql.SQL(
        "insert into publish.file (path, checksum) values\n  {}\n"
        "on conflict (path) do update set checksum = excluded.checksum, applied_at = now()"
    ).format(rows)


def _installed(conn: Connection) -> dict[str, str]:
    if not _exists(conn, "publish.file"):
        return {}
    return dict(conn.execute("select f.path, f.checksum from publish.file f").fetchall())


def _functions(conn: Connection) -> set[str]:
    """Names of the functions and views that are there: a dump of schema publish alone leaves out
    what is in public and in publish_gate."""
    rows = conn.execute(
        "select p.proname from pg_catalog.pg_proc p"
        " join pg_catalog.pg_namespace n on n.oid = p.pronamespace"
        " where n.nspname = 'publish_gate'"
        " or n.nspname = case when starts_with(p.proname, 'publish_')"
        " then 'public' else 'publish' end"
        " union all"
        " select v.viewname from pg_catalog.pg_views v where v.schemaname = 'publish'"
    )
    return {name for (name,) in rows}


def _exists(conn: Connection, name: str) -> bool:
    resolver = "to_regclass" if "." in name else "to_regnamespace"
    row = conn.execute(f"select {resolver}(%s) is not null", [name]).fetchone()
    return bool(row and row[0])


@contextmanager
def _locked(conn: Connection) -> Iterator[None]:
    conn.execute("select pg_advisory_lock(%s, %s)", LOCK)
    try:
        yield
    finally:
        if not conn.closed:
            conn.execute("select pg_advisory_unlock(%s, %s)", LOCK)
