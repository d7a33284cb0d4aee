"""docs/reference.md: every public function, from the catalog of a migrated database."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg
import servers

from pgpublish.migrate import migrate

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/reference.md"
ROOMS = {
    "kind": "Kinds",
    "capture": "Capture",
    "walk": "Walks",
    "drain": "Drains",
    "feed": "Reading the feed",
    "deliver": "Delivery",
    "jobs": "Jobs",
    "verify": "Verify and audit",
    "operate": "Operation",
}
SHORT = {  # as people write it
    r" DEFAULT ('(?:[^']|'')*'|[^,:]+)(?:::[a-z ]+(?:\[\])?)?": r" default \1",
    r"default NULL": "default null",
    r"\btimestamp with time zone\b": "timestamptz",
    r"\binteger\b": "int",
    r"\bdouble precision\b": "float8",
}
BEGINNING = """# Reference

Every public function with its arguments, its result and who may call it, as the catalog has them;
`make docs` renews this page. What the errors mean: [errors.md](errors.md). The commands:
[commands.md](commands.md). The words: [glossary.md](glossary.md).
"""
FUNCTIONS = """
select p.proname, pg_get_function_arguments(p.oid) as arguments,
       pg_get_function_result(p.oid) as result, p.prokind,
       obj_description(p.oid, 'pg_proc') as comment,
       array(select r.rolname::text from pg_roles r
              where r.rolname in ('publish_writer', 'publish_reader', 'publish_worker',
                                  'publish_admin')
                and has_function_privilege(r.oid, p.oid, 'execute')
              order by 1) as roles
  from pg_proc p
 where p.pronamespace = 'public'::regnamespace and p.proname like 'publish\\_%'
 order by p.proname, p.oid
"""


def room_of(function: str) -> str:
    """The folder of the file that holds it."""
    (file,) = (ROOT / "sql").glob(f"*/{function}.sql")
    return file.parent.name


def page(conn: psycopg.Connection[Any]) -> str:
    """The whole page."""
    text = BEGINNING
    rows = conn.execute(FUNCTIONS).fetchall()
    for room, title in {**ROOMS, **{r: r for r in others(row[0] for row in rows)}}.items():
        mine = [row for row in rows if room_of(row[0]) == room]
        if mine:
            text += f"\n## {title}\n" + "".join(entry(*row) for row in mine)
    return text


def others(functions: Iterable[str]) -> list[str]:
    """Rooms that have no title yet."""
    return sorted({room_of(function) for function in functions} - ROOMS.keys())


def entry(
    name: str, arguments: str, result: str | None, kind: str, comment: str, roles: list[str]
) -> str:
    given = [a for a in split(arguments) if not a.startswith("OUT ")]
    columns = [a.removeprefix("OUT ") for a in split(arguments) if a.startswith("OUT ")]
    many = (result or "").startswith(("SETOF", "TABLE("))
    if result and result.startswith("TABLE("):
        columns = split(result.removeprefix("TABLE(").removesuffix(")"))
    gives = ""
    if columns:
        gives = f"Returns {'rows of ' if many else ''}{', '.join(f'`{c}`' for c in columns)}.\n\n"
    elif result and result not in ("void", "trigger"):
        gives = f"Returns `{split(result)[0]}`.\n\n"
    call = f"{'call ' if kind == 'p' else ''}{name}("
    inside = ", ".join(given)
    if len(call + inside) > 95:
        inside = "\n  " + ",\n  ".join(given) + "\n"
    who = ", ".join(f"`{role}`" for role in roles) or "the owner of the table"
    return f"\n### {name}\n\n```\n{call}{inside})\n```\n\n{comment}\n\n{gives}For {who}.\n"


def split(arguments: str) -> list[str]:
    """At commas outside of parentheses and quotes."""
    for long, short in SHORT.items():
        arguments = re.sub(long, short, arguments)
    parts = re.findall(r"(?:[^,('\[]|\([^)]*\)|'(?:[^']|'')*'|\[[^\]]*\])+", arguments)
    return [part.strip() for part in parts]


def main() -> None:
    with (
        servers.running("embedded") as cluster,
        psycopg.connect(cluster.url(), autocommit=True) as conn,
    ):
        migrate(conn)
        PAGE.write_text(page(conn), encoding="utf-8")


if __name__ == "__main__":
    main()
