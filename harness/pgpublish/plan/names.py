"""The names that a query sees, and small facts of its nodes."""

from __future__ import annotations

from collections.abc import Iterable

from pglast import ast, enums

from pgpublish.plan.catalog import Catalog
from pgpublish.plan.expressions import name_of, walk
from pgpublish.plan.flat import Flat, Value

Columns = dict[str, Value | None]  # "*": there are others, of unknown names
Names = dict[str, Columns]  # by alias; "": columns that a join merged


def find(ref: ast.ColumnRef, levels: Iterable[Names]) -> Value | None:
    """What a column's name means, from the innermost query outwards. PostgreSQL leaves the table
    out only where the query has one."""
    parts = [f.sval for f in ref.fields if isinstance(f, ast.String)]
    if len(parts) != len(ref.fields):
        return None  # a whole row
    for names in levels:
        if len(parts) > 1:
            if parts[-2] in names:
                return names[parts[-2]].get(parts[-1])
            continue
        if parts[0] in names.get("", {}):
            return names[""][parts[0]]
        found = [columns[parts[0]] for columns in names.values() if parts[0] in columns]
        if found:
            return found[0] if len(found) == 1 else None
        if parts[0] in names or any("*" in columns for columns in names.values()):
            return None
    return None


def whole_rows(node: object, levels: Iterable[Names], flat: Flat) -> None:
    """Notes tables of which a whole row is used: all their columns matter."""
    for ref in walk(node):
        if not isinstance(ref, ast.ColumnRef):
            continue
        star = isinstance(ref.fields[-1], ast.A_Star)
        parts = [f.sval for f in ref.fields if isinstance(f, ast.String)]
        if not parts or not (star or len(parts) == 1):
            continue
        for names in levels:
            for value in names.get(parts[-1], {}).values():
                if value and value.occurrence > 0:
                    flat.whole_rows.add(flat.occurrence(value.occurrence).relation.name)


def side(names: Names, before: set[str]) -> Names:
    """What one side of a join added; what it merged is taken out."""
    added = {alias: columns for alias, columns in names.items() if alias not in before}
    names.pop("", None)
    return added


def column_of(names: Names, name: str) -> Value | None:
    if name in names.get("", {}):
        return names[""][name]
    found = [columns[name] for alias, columns in names.items() if alias and name in columns]
    return found[0] if len(found) == 1 else None


def is_in(link: ast.SubLink) -> bool:
    names = [part.sval for part in link.operName or ()]
    return link.subLinkType == enums.SubLinkType.ANY_SUBLINK and names in ([], ["="])


def check_table(flat: Flat, name: str, relkind: str) -> None:
    """Refuses what no trigger sees change."""
    if name.startswith(("pg_catalog.", "information_schema.")):
        flat.refuse(f"{name} is PostgreSQL's own and has no triggers. Leave it out.")
    elif name.startswith(("publish.", "publish_gate.")):
        flat.refuse(f"{name} is pgpublish's own: publishing it would never end. Leave it out.")
    elif relkind == "m":
        flat.refuse(
            f"{name} is a materialized view: no trigger sees its refresh. Read the tables that it"
            " is made of, or run `pgpublish verify --repair` after each refresh."
        )
    elif relkind not in "rp":
        flat.refuse(f"{name} is not a table of this database: no trigger sees its changes.")


def note_sets(node: object, catalog: Catalog, flat: Flat) -> bool:
    """Whether functions in it return several rows, whose names are kept for the reason."""
    names = [
        f"{name_of(part)}()"
        for part in walk(node, into_queries=False)
        if isinstance(part, ast.FuncCall) and catalog.function(name_of(part)).many
    ]
    flat.several += names
    return bool(names)


def rename(columns: Columns, names: list[str]) -> Columns:
    given = [*names, *list(columns)[len(names) :]]
    return dict(zip(given, columns.values(), strict=True))


def mentions(query: object, name: str) -> bool:
    return any(isinstance(n, ast.RangeVar) and n.relname == name for n in walk(query))
