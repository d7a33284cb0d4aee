"""The plan: what to define, what to capture, and what to know before saying yes."""

from __future__ import annotations

from dataclasses import dataclass

from pgpublish.database import Connection, rows
from pgpublish.plan import proving, reading
from pgpublish.plan.captures import Capture, capture
from pgpublish.plan.catalog import Catalog
from pgpublish.plan.flat import Flat, Value, only
from pgpublish.plan.paths import Finder, Way, index_for

TOTAL = (
    "The view is one row over all rows, so no column of a table is its key. Let it show a constant,"
    " such as 'all' AS id; then call publish_define, and publish_capture for each table with"
    " key => '''all'''."
)


@dataclass(frozen=True)
class Step:
    """One table. finds: how a write there finds its keys. fan_out: about how many keys a row marks;
    None: unknown. indexes: those that the lookup uses. missing: an index that it lacks, as SQL."""

    capture: Capture
    finds: tuple[str, ...]
    indexes: tuple[str, ...]
    missing: tuple[str, ...]
    fan_out: int | None


@dataclass(frozen=True)
class Plan:
    """reasons: why it cannot be published as it is; empty: it can."""

    kind: str
    view: str
    key: tuple[str, ...]
    rows: int
    steps: tuple[Step, ...]
    reasons: tuple[str, ...]
    notes: tuple[str, ...]


def make(
    conn: Connection, view: str, kind: str, key: list[str] | None = None, *, count: bool = True
) -> Plan:
    """Reads the view's query and changes nothing; count: and all of its keys, whether they are
    unique. Raises NotDefined."""
    catalog = Catalog(conn)
    view = catalog.relation(view).name
    flat = reading.flatten(catalog, view)
    if key is None or count:
        key, total = choose_key(catalog, flat, view, key)
    else:
        total = 0
    steps = find_steps(catalog, flat, view, key) if key else []
    return Plan(kind, view, tuple(key), total, tuple(steps), tuple(flat.reasons), tuple(flat.notes))


def choose_key(
    catalog: Catalog, flat: Flat, view: str, given: list[str] | None
) -> tuple[list[str], int]:
    """The key, empty with a reason if there is none, and how many rows the view has."""
    if flat.top.limited:
        flat.refuse(
            "LIMIT or OFFSET: a write to one row lets other rows in or out. Publish the view"
            " without it, and let readers take what they need."
        )
        return [], 0
    proven = proving.candidates(flat)
    names = list(flat.top.outputs)
    if given is None and not proven:
        if not flat.reasons:
            flat.refuse(no_key(catalog, flat, view))
        return [], 0
    key = list(dict.fromkeys(given)) if given else proven[0]
    unknown = [name for name in key if name not in names]
    if unknown:
        flat.refuse(f"The view has no column {unknown[0]!r}. It has: {', '.join(names)}.")
        return [], 0
    total, distinct, nulls = catalog.count(view, key)
    shown = ", ".join(key)
    if total != distinct:
        better = f" Unique is: {','.join(proven[0])}." if proven and proven[0] != key else ""
        flat.refuse(f"{shown} is not unique: {total:,} rows have {distinct:,} keys.{better}")
    elif given and not any(set(p) <= set(key) for p in proven):
        flat.note(
            f"{shown} is unique in the {total:,} rows that are there, but no unique index says so."
        )
    if nulls:
        flat.refuse(f"{shown} is null in {nulls:,} rows. Leave them out of the view.")
    return key, total


def no_key(catalog: Catalog, flat: Flat, view: str) -> str:
    but_for_nulls = proving.candidates(flat, nulls=True)
    if but_for_nulls:
        shown = ", ".join(but_for_nulls[0])
        return (
            f"{shown} is unique, but may be null. Leave such rows out of the view (WHERE … IS NOT"
            f" NULL), or say that there are none: --key {','.join(but_for_nulls[0])}"
        )
    if flat.several:
        return (
            f"{flat.several[0]} makes several rows of one, and nothing says which is which. Keep"
            " them together in one row (array_agg), or store them in a table with a key."
        )
    if is_total(flat):
        return TOTAL
    inherited = proving.inherited_key(flat)
    if inherited:
        table, shown = inherited
        return (
            f"{shown} is the primary key of {table} alone: other tables inherit from it, and no"
            " index is over all of them. Read FROM ONLY, or say that no two rows share it: --key"
            f" {shown.replace(' ', '')}"
        )
    hidden = proving.hidden_key(flat)
    for names in [] if hidden else proving.likely(flat)[:3]:
        total, distinct, nulls = catalog.count(view, names)
        if total == distinct > 1 and not nulls:
            return (
                f"No columns are known to be unique. In the {total:,} rows that are there"
                f" {', '.join(names)} is. If it always is: --key {','.join(names)}"
            )
    shown = hidden or "a primary key or all that it groups by"
    return (
        f"No columns are known to be unique and never null. Let the view show {shown}, or name the"
        " columns that are: --key COLUMN,…"
    )


def is_total(flat: Flat) -> bool:
    top = flat.top
    return top.by == [] or not (top.sources or top.parts or top.many)


def find_steps(catalog: Catalog, flat: Flat, view: str, key: list[str]) -> list[Step]:
    values = only(flat.top.outputs[name] for name in key)
    if values is None and is_total(flat):
        flat.refuse(TOTAL)
        return []
    if values is None:
        hidden = next(name for name in key if flat.top.outputs[name] is None)
        flat.refuse(
            f"{hidden} is computed from several tables or rows, or hidden by LIMIT or DISTINCT ON:"
            " a write does not say which key it changes. Let the view show its key as a column of a"
            " table."
        )
        return []
    finder = Finder(flat, values)
    shorter = of_one_table(catalog, flat, view, key)
    by_table: dict[str, list[list[Way]]] = {}
    for occurrence in flat.occurrences:
        found = by_table.setdefault(occurrence.relation.name, [])
        found.append(finder.ways(occurrence.number))
    read = catalog.columns_read(view)
    steps = []
    for table, ways in by_table.items():
        found_ways = [way for some in ways for way in some]
        if not all(ways):
            flat.refuse(not_found(flat, table, key, shorter))
            continue
        for secured in barred(flat, found_ways):
            flat.note(
                f"{secured} has row security, which the lookup from {table} cannot pass: each write"
                f" to {table} has the drain look at every key. To avoid it, capture {table} by"
                f" hand, with a lookup in a view that may read {secured}."
            )
        columns = None if table in flat.whole_rows else watched(catalog, table, read.get(table))
        steps.append(step(flat, capture(flat, table, found_ways, columns), found_ways))
    return steps


def barred(flat: Flat, ways: list[Way]) -> list[str]:
    """The tables on these ways that no lookup may read."""
    relations = [flat.occurrence(hop.occurrence).relation for way in ways for hop in way.hops]
    return list(dict.fromkeys(relation.name for relation in relations if relation.secured))


def of_one_table(catalog: Catalog, flat: Flat, view: str, key: list[str]) -> dict[str, list[str]]:
    """Of a key of several tables' columns: for each of these tables, its columns of it, if they
    are unique in the rows that are there."""
    owners: dict[int, list[str]] = {}
    for name in key:
        value = flat.top.outputs[name]
        if value and value.occurrence > 0:
            owners.setdefault(value.occurrence, []).append(name)
    found: dict[str, list[str]] = {}
    for number, names in owners.items() if len(owners) > 1 else ():
        total, distinct, nulls = catalog.count(view, names)
        table = bare(flat.occurrence(number).relation.name)
        found[table + (" once more" if table in found else "")] = (
            names if total == distinct > 1 and not nulls else []
        )
    return found


def not_found(flat: Flat, table: str, key: list[str], shorter: dict[str, list[str]]) -> str:
    if shorter:
        better = proving.hidden_key(flat)
        unique = next((names for names in shorter.values() if names), None)
        return (
            f"The key {', '.join(key)} is made of columns of {' and '.join(shorter)}. When rows of"
            " both change at once, neither leads to the other's old value. "
            + (
                f"In the rows that are there {', '.join(unique)} alone is unique. If it always is:"
                f" --key {','.join(unique)}"
                if unique
                else f"Let the view show {better}: --key"
                if better
                else "Show one row for each row of one of them, with the others' in an array_agg."
            )
        )
    return (
        f"{table}: no '=' that must hold leads from it to {', '.join(key)}, so a write there may"
        " change any row. Join it, or leave it out; or define and capture the view by hand, and"
        " call publish_walk after each change of this table."
    )


def watched(catalog: Catalog, table: str, read: set[str] | None) -> tuple[str, ...] | None:
    """The columns that the view reads; None: all of them."""
    names = [column.name for column in catalog.relation(table).columns]
    if not read or set(names) <= read:
        return None
    return tuple(name for name in names if name in read)


def step(flat: Flat, made: Capture, ways: list[Way]) -> Step:
    finds: list[str] = []
    indexes: list[str] = []
    missing: list[str] = []
    fan_out: int | None = 0
    for way in ways:
        if not way.hops:
            finds.append("its own " + ", ".join(v.of("").replace('"', "") for v in way.keys))
            fan_out = None if fan_out is None else fan_out + 1
            continue
        finds.append(told(flat, way))
        each: int | None = 1
        for hop in way.hops:
            relation = flat.occurrence(hop.occurrence).relation
            name, rows_each = lookup_cost(flat, hop.on)
            if name is None:
                on = hop.on[0][1].of("")
                missing.append(f"create index on {relation.name} ({on})")
            else:
                indexes.append(name)
            each = None if each is None or rows_each is None else max(1, each * rows_each)
        fan_out = None if fan_out is None or each is None else fan_out + each
    unique = [tuple(dict.fromkeys(part)) for part in (finds, indexes, missing)]
    return Step(made, unique[0], unique[1], unique[2], fan_out)


def lookup_cost(flat: Flat, on: tuple[tuple[Value, Value], ...]) -> tuple[str | None, int | None]:
    """The index that finds the rows of a join, and about how many it finds."""
    others = [other for _, other in on]
    relation = flat.occurrence(others[0].occurrence).relation
    names = {other.column for other in others if other.column}
    by_name = sorted(others, key=lambda other: other.column or "")
    index = next((i for other in by_name if (i := index_for(flat, other))), None)
    if any(set(unique) <= names for unique in relation.unique):
        return index.name if index else None, 1
    distinct = max((relation.column(name).distinct for name in names), default=0)
    each = -(-relation.rows // distinct) if distinct and relation.rows else None
    return index.name if index else None, each


def told(flat: Flat, way: Way) -> str:
    """As in "film_id → film_actor → film"."""
    entry = ", ".join(v.of("").replace('"', "") for v in way.entry)
    tables = [bare(flat.occurrence(hop.occurrence).relation.name) for hop in way.hops]
    return " → ".join([entry, *tables])


def bare(name: str) -> str:
    return name.split(".", 1)[-1].replace('"', "")


@dataclass(frozen=True)
class Defined:
    """What is there already: the kind's view and key, None if it is not defined, and captures."""

    view: str | None
    key: tuple[str, ...]
    captures: dict[str, Capture]


def defined(conn: Connection, kind: str) -> Defined:
    kinds = rows(conn, "select * from public.publish_kinds()")
    mine = next((row for row in kinds if row["kind"] == kind), None)
    found = rows(conn, "select * from publish.captures_of(%s)", kind)
    captures = {
        row["source"]: Capture(
            row["source"], row["key"], row["lookup"], row["columns"] and tuple(row["columns"])
        )
        for row in found
    }
    if mine is None:
        return Defined(None, (), captures)
    return Defined(mine["view"], tuple(mine["key"] or ()), captures)
