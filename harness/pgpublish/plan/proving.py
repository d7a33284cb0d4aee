"""The key: columns of the view that no two of its rows share, as unique indexes say."""

from __future__ import annotations

from itertools import combinations

from pgpublish.plan.flat import Block, Flat, Value, only


def candidates(flat: Flat, nulls: bool = False) -> list[list[str]]:
    """Columns of the view that are proven to be a key, the shortest first; nulls: but for nulls in
    them."""
    block = flat.top
    shown: list[list[str]] = [named(flat, block.by)] if block.by else []
    shown += likely(flat)
    shown += [named(flat, s.by) for s in sources(block) if isinstance(s, Block) and s.by]
    shown += [[name] for name, value in block.outputs.items() if value is not None]
    if block.parts:
        names = list(block.outputs)
        shown += [list(some) for size in (1, 2, 3) for some in combinations(names, size)]
    shown = list({tuple(names): names for names in shown if names}.values())
    shown += [[*a, *(n for n in b if n not in a)] for a, b in combinations(shown[:8], 2)]
    found: list[list[str]] = []
    for names in shown:
        if proves(flat, block, names, nulls):
            least = shortened(flat, block, names, nulls)
            if least not in found:
                found.append(least)
    return sorted(found, key=len)


def likely(flat: Flat) -> list[list[str]]:
    """Columns of the view that show all of a table's unique index."""
    needed = flat.around(flat.top.scope)
    shown = [
        named(flat, [flat.column(occurrence.number, c) for c in unique])
        for occurrence in flat.occurrences
        if occurrence.scope in needed
        for unique in occurrence.relation.unique
    ]
    return [list(names) for names in dict.fromkeys(map(tuple, shown)) if names]


def hidden_key(flat: Flat) -> str | None:
    """A primary key that would be the view's, if it showed it; as SQL. A view that groups can show
    a key only if it groups by it."""
    needed = flat.around(flat.top.scope)
    classes = flat.classes(needed, exact=True)
    by = flat.top.by
    for occurrence in sorted(flat.occurrences, key=lambda o: len(o.relation.primary)):
        if occurrence.scope in needed and occurrence.relation.primary:
            key = [flat.column(occurrence.number, name) for name in occurrence.relation.primary]
            grouped = by is None or all(classes.get(v, {v}) & set(by) for v in key)
            if grouped and determines(flat, flat.top, key):
                columns = ", ".join(value.of("") for value in key)
                return f"{columns} of {occurrence.relation.name}"
    return None


def inherited_key(flat: Flat) -> tuple[str, str] | None:
    """A table with children, and the view's columns that show its primary key."""
    for occurrence in flat.occurrences:
        relation = occurrence.relation
        if relation.inherited and relation.primary:
            key = [flat.column(occurrence.number, name) for name in relation.primary]
            shown = named(flat, list(key))
            if shown:
                return relation.name, ", ".join(shown)
    return None


def shortened(flat: Flat, block: Block, names: list[str], nulls: bool) -> list[str]:
    for name in reversed(names):
        fewer = [n for n in names if n != name]
        if fewer and proves(flat, block, fewer, nulls):
            names = fewer
    return names


def named(flat: Flat, values: list[Value | None]) -> list[str]:
    """The view's columns that show these values; none if one is not shown."""
    classes = flat.classes(flat.around(flat.top.scope), exact=True)
    names: list[str] = []
    for value in values:
        if value is None:
            return []
        equal = classes.get(value, frozenset((value,)))
        outputs = flat.top.outputs.items()
        name = next((n for n, shown in outputs if shown == value), None) or next(
            (n for n, shown in outputs if shown in equal), None
        )
        if name is None:
            return []
        names.append(name)
    return list(dict.fromkeys(names))


def sources(block: Block) -> list[int | Block]:
    """Its sources, with those of subqueries that have a row for each row of theirs."""
    found: list[int | Block] = []
    for source in block.sources:
        if isinstance(source, Block) and source.by is None and not source.parts and not source.many:
            found += sources(source)
        else:
            found.append(source)
    return found


def proves(flat: Flat, block: Block, names: list[str], nulls: bool) -> bool:
    """Whether no two rows of the block share these columns, and none of them is null for want of a
    row."""
    key = only(block.outputs.get(name) for name in names)
    return (
        key is not None
        and (nulls or not any(nullable(flat, v, block) for v in key))
        and determines(flat, block, key)
    )


def nullable(flat: Flat, value: Value, block: Block) -> bool:
    """Unknown of what is merged or computed: there the data are counted."""
    if value.occurrence < 0:
        return False
    if value.occurrence and value.column is None:
        return flat.occurrence(value.occurrence).scope not in flat.around(block.scope)
    return not flat.never_null(value, block.scope)


def determines(
    flat: Flat, block: Block, key: list[Value], around: list[int | None] | None = None
) -> bool:
    """Whether at most one row of the block has these values. around: the scopes of those of them
    whose rows are there; default: all."""
    if around is None:
        around = [flat.scope_of(value) for value in key]

    def has(known: set[Value], value: Value | None, scope: int) -> bool:
        if value is None:
            return False
        near = flat.around(scope, *around)
        equal = flat.classes(near).get(value, frozenset()) | {value}
        return (
            value.occurrence == 0
            or bool(equal & known)
            or any(v.occurrence in there for v in equal)
            or any((s, v) in flat.constant for s in near for v in equal)
        )

    def gone(scope: int) -> bool:
        near = flat.around(scope)
        return any((block.scope, s) in flat.absent for s in near)

    if block.many:
        return False
    known, there = set(key), set[int]()  # values, and tables whose row is known
    if block.parts:
        if block.by is not None:
            return all(has(known, v, block.scope) for v in block.by)
        return each_part(flat, block, key)
    left = sources(block)
    while left:
        if block.by is not None and all(has(known, v, block.scope) for v in block.by):
            return True
        for source in left:
            if gone(scope_of(flat, source)):
                break
            if isinstance(source, int):
                scope = flat.occurrence(source).scope
                relation = flat.occurrence(source).relation
                if any(
                    all(has(known, flat.column(source, name), scope) for name in unique)
                    for unique in relation.unique
                ):
                    there.add(source)
                    known |= {flat.column(source, c.name) for c in relation.columns}
                    break
            elif determines(flat, source, list(known), around):
                known |= {v for v in source.outputs.values() if v is not None}
                break
        else:
            return False
        left.remove(source)
    return True  # one row of each source at most


def scope_of(flat: Flat, source: int | Block) -> int:
    return flat.occurrence(source).scope if isinstance(source, int) else source.scope


def each_part(flat: Flat, block: Block, key: list[Value]) -> bool:
    """UNION ALL: a constant in the key tells the parts apart, and the rest each part's rows."""
    outputs = list(block.outputs.values())
    constants: list[list[str | None]] = []
    for part in leaves(block):
        shown = list(part.outputs.values())
        values = only(shown[outputs.index(value)] for value in key if value in outputs)
        if values is None or len(values) != len(key) or not determines(flat, part, values):
            return False
        if any(nullable(flat, value, part) for value in values):
            return False
        constants.append([v.sql if v.occurrence == 0 else None for v in values])
    return all(
        any(x and y and x != y for x, y in zip(a, b, strict=True))
        for a, b in combinations(constants, 2)
    )


def leaves(block: Block) -> list[Block]:
    """The parts of a UNION ALL, and of those in it."""
    if not block.parts or block.by is not None:
        return [block]
    return [leaf for part in block.parts for leaf in leaves(part)]
