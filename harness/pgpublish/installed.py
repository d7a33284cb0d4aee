"""What is installed in a database: its files, its version, and how its roles are named.

Functions are called as those of pg_catalog: one of the same name in schema public, of anybody's,
may fit the types of the arguments better.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pgpublish import __version__
from pgpublish.database import Connection
from pgpublish.errors import SchemaMismatch
from pgpublish.resources import SqlFile

VERSION = "version"  # the path of publish.file that says which version was installed last
PREFIX = "role_prefix"  # the path that says what the names of our roles begin with


@dataclass(frozen=True)
class _Fact(SqlFile):
    """What publish.file keeps as it is."""

    @property
    def checksum(self) -> str:
        return self.text


def facts(prefix: str) -> list[SqlFile]:
    """What publish.file says of the installation besides its files."""
    return [_Fact(VERSION, __version__), *([_Fact(PREFIX, prefix)] if prefix else [])]


def role_prefix(conn: Connection, wanted: str | None) -> str:
    """What the names of our roles begin with there, or are to begin with: before publish.file
    says it, the owner of the schemas does. Raises SchemaMismatch if they begin otherwise."""
    owner = conn.execute(
        "select pg_catalog.regexp_match(n.nspowner::regrole::text, '^([a-z0-9_]*)publish_owner$')"
        " from pg_catalog.pg_namespace n where n.nspname = 'publish_gate'"
    ).fetchone()
    recorded = files(conn)
    there = recorded.get(PREFIX, "" if VERSION in recorded else None)
    if there is None and owner and owner[0]:
        (there,) = owner[0]
    if there is None:
        return wanted or ""
    if wanted is not None and wanted != there:
        raise SchemaMismatch(
            "the roles of an installed database keep their names",
            detail=f"They begin with {there + 'publish_'}, not with {wanted + 'publish_'}.",
            hint="Run migrate without --role-prefix.",
        )
    return there


def newer(installed: dict[str, str], known: Iterable[str]) -> str | None:
    """Why what is installed is newer than this package; None: it is not."""
    there = installed.get(VERSION, "0")
    if _order(there) > _order(__version__):
        return f"It is of version {there}, this is {__version__}."
    unknown = sorted(installed.keys() - set(known) - {VERSION, PREFIX})
    if _order(there) < _order(__version__):  # what this version removed
        unknown = [path for path in unknown if not path.startswith("sql/")]
    return f"Not known here: {', '.join(unknown)}." if unknown else None


def _order(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def files(conn: Connection) -> dict[str, str]:
    """publish.file: path → checksum."""
    if not exists(conn, "publish.file"):
        return {}
    return dict(conn.execute("select f.path, f.checksum from publish.file f").fetchall())


def functions(conn: Connection) -> set[str]:
    """Names of the functions and views that are there: a dump of schema publish alone leaves out
    what is in public and in publish_gate."""
    rows = conn.execute(
        "select p.proname from pg_catalog.pg_proc p"
        " join pg_catalog.pg_namespace n on n.oid = p.pronamespace"
        " where n.nspname = 'publish_gate'"
        " or n.nspname = case when pg_catalog.starts_with(p.proname::text, 'publish_')"
        " then 'public' else 'publish' end"
        " union all"
        " select v.viewname from pg_catalog.pg_views v where v.schemaname = 'publish'"
    )
    return {name for (name,) in rows}


def exists(conn: Connection, name: str) -> bool:
    resolver = "to_regclass" if "." in name else "to_regnamespace"
    row = conn.execute(f"select pg_catalog.{resolver}(%s::text) is not null", [name]).fetchone()
    return bool(row and row[0])


@contextmanager
def pinned(conn: Connection) -> Iterator[None]:
    """Only functions and operators of pg_catalog are found in it, unless they are qualified.
    For a session of our own: behind a pooler the setting would reach others."""
    (before,) = conn.execute("show search_path").fetchone() or ("",)
    conn.execute("set search_path = pg_catalog, pg_temp")
    try:
        yield
    finally:
        if not conn.closed:
            conn.execute("select set_config('search_path', %s::text, false)", [before])
