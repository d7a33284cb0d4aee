"""Whether a database is one that can be migrated, in one clear sentence where it is not."""

from __future__ import annotations

from psycopg import errors

from pgpublish.database import Connection
from pgpublish.errors import SchemaMismatch

OLDEST = 14


def require_version(version: int) -> None:
    """Raises SchemaMismatch for a server_version_num before PostgreSQL 14."""
    if version < OLDEST * 10_000:
        raise SchemaMismatch(
            f"pgpublish needs PostgreSQL {OLDEST} or newer",
            detail=f"This server is version {version // 10_000}.",
            hint="Upgrade the server, or name another with --database-url.",
        )


def require_direct(conn: Connection) -> None:
    """Raises SchemaMismatch behind a pooler that shares its sessions, where a session's lock and
    settings would be another's."""
    pid = conn.execute("select pg_backend_pid()").fetchone()
    if pid and pid[0] != conn.info.backend_pid:
        raise SchemaMismatch(
            "migrate does not work through a connection pooler",
            detail="The session that answers is not the one that was connected to.",
            hint="Connect to the server itself for this one command: --database-url",
        )


def require(conn: Connection, text: str) -> None:
    """Raises SchemaMismatch where the migrations would end half way, in words that say less. text:
    all of theirs."""
    row = conn.execute(
        "select pg_is_in_recovery() as standby, to_regnamespace('public'::text) is not null as p"
    ).fetchone()
    assert row is not None
    standby, public = row
    # Not asked in SQL: psycopg reads no text in SQL_ASCII.
    encoding = conn.info.parameter_status("server_encoding") or ""
    if standby:
        raise SchemaMismatch(
            "this server is a standby and takes no changes",
            detail="Its schema comes from its primary.",
            hint="Run migrate on the primary.",
        )
    if not public:
        raise SchemaMismatch(
            "the database has no schema public",
            detail="The functions publish_… are made there.",
            hint="Run: create schema public; grant usage on schema public to public",
        )
    if not _holds(conn, encoding, text):
        raise SchemaMismatch(
            "the encoding of the database cannot hold what is published",
            detail=f"It is {encoding}.",
            hint="Create the database with encoding 'UTF8' and template template0, and move there.",
        )


def require_whole(conn: Connection, *, recorded: bool) -> None:
    """Raises SchemaMismatch where a dump brought a part of pgpublish. recorded: whether it is known
    how what is there was made."""
    row = conn.execute(
        "select to_regclass('publish.outbox'::text) is not null as o,"
        " to_regnamespace('publish_gate'::text) is not null as g,"
        " exists (select from pg_catalog.pg_proc p"
        " where p.pronamespace = to_regnamespace('publish_gate'::text)"
        " and p.proname = any (array['texts', 'capture_1'])) as f"
    ).fetchone()
    assert row is not None
    ours, gate, functions = row
    if ours and not recorded:
        raise SchemaMismatch(
            "schema publish is there, but no record of how it was made",
            detail="publish.file has no rows: it comes from a dump of the schema without data.",
            hint="Load the data of schema publish too: pg_dump --data-only -n publish. Or start"
            " over: drop schemas publish and publish_gate and the functions publish_… in public,"
            " all with cascade, and run migrate.",
        )
    if ours and not gate:
        raise SchemaMismatch(
            "schema publish is there, but not schema publish_gate",
            detail="It comes from a dump of some schemas; the triggers need functions of both.",
            hint="Load schema publish_gate from where the dump was made: pg_dump -n publish_gate",
        )
    if functions and not ours and not recorded:
        raise SchemaMismatch(
            "schema publish_gate is there, but not schema publish",
            detail="It comes from a dump of some schemas; nothing of what was published is here.",
            hint="Load the dump of the whole database. Or start over: drop schema publish_gate"
            " cascade, drop the functions publish_… in public, and run migrate.",
        )


def _holds(conn: Connection, encoding: str, text: str) -> bool:
    """Whether the text of our own functions can be stored there."""
    if encoding == "SQL_ASCII":
        return False
    special = "".join(sorted(c for c in set(text) if not c.isascii()))
    try:
        conn.execute("select %s::text", [special])
    except (errors.UntranslatableCharacter, UnicodeEncodeError):
        return False
    return True
