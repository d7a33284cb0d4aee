"""Brings a database to this version: yoyo's migrations, then every function file that differs.

What it says of our sinks comes from their classes, as one more such file.
publish.file records what is installed, by path and checksum, and which version did it; `pgpublish
sql` writes the same rows, so that a database set up with psql alone can be migrated later.
"""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePosixPath

from psycopg import sql
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import parse_uri
from yoyo.migrations import Migration, MigrationList

from pgpublish import __version__, fit, installed, resources
from pgpublish.database import Connection
from pgpublish.errors import SchemaMismatch
from pgpublish.locking import GIVE_WAY, alone, patiently
from pgpublish.resources import SqlFile
from pgpublish.script import drop_removed, record, replaced

RIGHTS = SqlFile("rights", "select publish.restore_rights()")  # what pending() says of them


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
        patiently(lambda: self._apply(migration, force))

    def _apply(self, migration: Migration, force: bool) -> None:
        with self.transaction():
            self.execute(GIVE_WAY)
            migration.process_steps(self, "apply", force=force)
            self.execute("reset role")
            self.mark_one(migration)
            self._ours.execute(
                record([f for f in resources.migrations() if f.stem == migration.id])
            )


def pending(conn: Connection) -> list[SqlFile]:
    """Files that `migrate` would apply, in order. Raises SchemaMismatch if the schema is newer or
    only a part of it is there, or if a migration was edited after it was applied."""
    recorded = installed.files(conn)
    ours = _ours()
    if newer := installed.newer(recorded, ours):
        raise SchemaMismatch(
            "the database schema is newer than this pgpublish",
            detail=newer,
            hint="Upgrade the package: pip install --upgrade pgpublish",
        )
    fit.require_whole(conn, recorded=bool(recorded))
    there = installed.functions(conn)
    changed = [
        file
        for file in ours.values()
        if recorded.get(file.path) != file.checksum
        or (file.path.startswith("sql/") and file.stem not in there)
    ]
    edited = [f.path for f in changed if f.path in recorded and f.path.startswith("migrations/")]
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


def check(conn: Connection) -> list[SqlFile]:
    """What pending returns, with warnings of what migrate would leave as it is."""
    todo = pending(conn)
    if not todo:
        conn.execute("select publish.warn_names()")
    return todo


def migrate(conn: Connection, role_prefix: str | None = None) -> list[SqlFile]:
    """Applies what is pending and returns it. Two at once wait for each other; a second run
    finds nothing. conn must be in autocommit mode. role_prefix: what the names of our roles begin
    with, as in app_publish_owner; None: as they do there. Raises SchemaMismatch,
    Locked, psycopg.Error."""
    fit.require_version(conn.info.server_version)
    fit.require_direct(conn)
    with installed.pinned(conn), alone(conn):
        todo = pending(conn)
        prefix = installed.role_prefix(conn, role_prefix)
        restored = todo[:1] == [RIGHTS]
        if restored:
            with conn.transaction():
                conn.execute(_roles(prefix).encode())
                conn.execute(RIGHTS.text.encode())
            todo = [file for file in pending(conn) if file != RIGHTS]
        current = installed.files(conn).get(installed.VERSION) == __version__
        if not todo and current and installed.exists(conn, "publish._yoyo_migration"):
            conn.execute("select publish.warn_names()")
            return [RIGHTS] if restored else []
        fit.require(conn, "".join(file.text for file in todo))
        if not installed.exists(conn, "publish"):
            conn.execute("create schema if not exists publish")
        _apply_migrations(conn, prefix)
        todo_functions = [f for f in todo if not f.path.startswith("migrations/")]
        patiently(lambda: _apply_functions(conn, todo_functions, prefix))
        return [RIGHTS, *todo] if restored else todo


def require_usable(conn: Connection) -> None:
    """For a worker, which only calls functions that no later version takes away: raises
    SchemaMismatch unless the database is at this version or a newer one."""
    if not installed.newer(installed.files(conn), _ours()):
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


def _ours() -> dict[str, SqlFile]:
    """All files of this version by path, in order; reads them."""
    return {file.path: file for file in [*resources.migrations(), *replaced()]}


def _apply_migrations(conn: Connection, prefix: str) -> None:
    backend = _Backend(conn)
    owner = f"{prefix}publish_owner"
    try:
        backend.init_connection(conn)
        backend.ensure_internal_schema_updated()
        every = _migrations(prefix)
        by_psql = {PurePosixPath(path).stem for path in installed.files(conn)}
        todo = backend.to_apply(every)
        backend.mark_migrations(MigrationList([m for m in todo if m.id in by_psql]))
        backend.apply_migrations(MigrationList([m for m in todo if m.id not in by_psql]))
        for (table,) in conn.execute(
            "select c.relname from pg_catalog.pg_class c"
            " where c.relnamespace = 'publish'::regnamespace and starts_with(c.relname, '_yoyo_')"
            " and c.relkind = 'r' and c.relowner <> %s::regrole",
            [owner],
        ).fetchall():
            conn.execute(
                sql.SQL("alter table publish.{} owner to {}").format(
                    sql.Identifier(table), sql.Identifier(owner)
                )
            )
    finally:
        if not conn.closed:
            conn.execute("set search_path = pg_catalog, pg_temp")  # as installed.pinned has it


def _apply_functions(conn: Connection, files: list[SqlFile], prefix: str) -> None:
    with conn.transaction():
        conn.execute(GIVE_WAY)
        owner = sql.Identifier(f"{prefix}publish_owner")
        conn.execute(sql.SQL("set local role {}").format(owner))
        conn.execute("set local check_function_bodies = off")
        for file in files:
            conn.execute(file.naming(prefix).encode(conn.info.encoding))
        conn.execute(record([*files, *installed.facts(prefix)]))
        if "drop_removed" in installed.functions(conn):
            conn.execute(drop_removed())
        if "renew_captures" in installed.functions(conn):
            conn.execute("select publish.renew_captures()")
        if "record_rights" in installed.functions(conn):
            conn.execute("select publish.record_rights()")
            conn.execute("select publish.warn_names()")


def _migrations(prefix: str) -> MigrationList:
    """The migrations as yoyo has them, which reads files."""
    with tempfile.TemporaryDirectory(prefix="pgpublish-") as folder:
        for file in resources.migrations():
            text = file.naming(prefix)
            (Path(folder) / PurePosixPath(file.path).name).write_text(text, encoding="utf-8")
        found = read_migrations(folder)
        for migration in found:
            migration.load()
        return found


def _roles(prefix: str) -> str:
    """The part of the first migration that may be run again: it makes the roles."""
    text = resources.migrations()[0].naming(prefix)
    return text.split("\n-- migrate runs what is above again")[0]
