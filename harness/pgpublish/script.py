"""The SQL that installs this version: what is run again, what records it, and all of it as one
script for psql."""

from __future__ import annotations

import re

from psycopg import sql

from pgpublish import __version__, installed, resources
from pgpublish.resources import SqlFile
from pgpublish.sinks.registry import registration

BEGIN = "begin;\nset local search_path = pg_catalog, pg_temp;"

# psql's own \\if: it steps over what is recorded, and ends where a newer version is.
REFUSE = """select to_regclass('publish.file') is not null as there \\gset
\\if :there
select coalesce(bool_or(string_to_array(f.checksum, '.')::int[]
                        > string_to_array({version}, '.')::int[]), false) as newer
  from publish.file f where f.path = 'version' \\gset
\\if :newer
do $$ begin
  raise exception 'the database schema is newer than this script' using
    hint = 'Use the script of that version, or a later one.';
end $$;
\\endif
\\endif
"""
UNLESS = """select to_regclass('publish.file') is not null as done \\gset
\\if :done
select exists (select from publish.file f where f.path = {path}) as done \\gset
\\endif
\\if :done
\\else
"""


def ddl(prefix: str = "") -> str:
    """Everything as one script for psql, in migrate's own transactions: where it was interrupted,
    it or migrate goes on. Where an earlier version is installed it upgrades; a newer one it
    refuses."""
    parts = ["\\set ON_ERROR_STOP on\n"]
    again = replaced()
    version = ".".join(re.findall(r"\d+", __version__)[:3])
    parts.append(REFUSE.format(version=sql.Literal(version).as_string()))
    for file in resources.migrations():
        parts.append(
            f"-- {file.path}\n{UNLESS.format(path=sql.Literal(file.path).as_string())}"
            f"{BEGIN}\n{file.naming(prefix).strip()}\n{record([file]).as_string()};\ncommit;\n\\endif\n"
        )
    parts.append(f"{BEGIN}\nset local role {prefix}publish_owner;")
    parts.append("set local check_function_bodies = off;\n")
    parts += [f"-- {file.path}\n{file.naming(prefix).strip()}\n" for file in again]
    parts.append(record([*again, *installed.facts(prefix)]).as_string() + ";")
    if any(file.stem == "drop_removed" for file in again):
        parts.append(drop_removed().as_string() + ";")
    for name in ("renew_captures", "record_rights"):
        if any(file.stem == name for file in again):
            parts.append(f"select publish.{name}();")
    parts.append("commit;\n")
    return "\n".join(parts)


def replaced() -> list[SqlFile]:
    """What is run again where it differs, in order."""
    found = resources.functions()
    learns = any(file.stem == "publish_register_sink" for file in found)
    return [*found, SqlFile("sinks", registration())] if learns else found


def record(files: list[SqlFile]) -> sql.Composed:
    rows = sql.SQL(",\n  ").join(
        sql.SQL("({}, {})").format(sql.Literal(f.path), sql.Literal(f.checksum)) for f in files
    )
    return sql.SQL(
        "insert into publish.file (path, checksum) values\n  {}\n"
        "on conflict (path) do update set checksum = excluded.checksum, applied_at = now()"
    ).format(rows)


def drop_removed() -> sql.Composed:
    paths = [file.path for file in resources.functions()]
    return sql.SQL("select publish.drop_removed({}::text[])").format(sql.Literal(paths))
