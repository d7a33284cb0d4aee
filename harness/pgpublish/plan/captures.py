"""Ways to the key as arguments of publish_capture: one capture for each table."""

from __future__ import annotations

from dataclasses import dataclass

from pgpublish.plan.flat import FAMILIES, Flat, Value
from pgpublish.plan.paths import Pair, Way


@dataclass(frozen=True)
class Capture:
    source: str
    key: str
    lookup: str | None
    columns: tuple[str, ...] | None


def capture(flat: Flat, source: str, ways: list[Way], columns: tuple[str, ...] | None) -> Capture:
    """One capture that marks what any of these ways finds."""
    if not any(way.hops for way in ways):
        return Capture(source, direct([way.keys for way in ways]), None, columns)
    entries = list(dict.fromkeys(tuple(v.of("") for v in way.entry) for way in ways))
    types = {flat.type_of(v) for way in ways for v in way.entry}
    alike = len(types) == 1 or any(types <= family for family in FAMILIES)
    if all(len(entry) == 1 for entry in entries) and (len(entries) == 1 or alike):
        key = ", ".join(entries[0])
        if len(entries) > 1:
            key = f"unnest(array[{', '.join(sql for (sql,) in entries)}])"
        queries = [plain(flat, way) for way in ways]
    else:
        packed = [
            f"jsonb_build_array({', '.join((str(n), *entry))})::text"
            for n, entry in enumerate(entries)
        ]
        key = packed[0] if len(packed) == 1 else f"unnest(array[{', '.join(packed)}])"
        queries = [
            unpacked(flat, way, entries.index(tuple(v.of("") for v in way.entry))) for way in ways
        ]
    return Capture(source, key, " union ".join(dict.fromkeys(queries)), columns)


def direct(keys: list[tuple[Value, ...]]) -> str:
    """The key by columns of the row, or several keys of one row, part by part."""
    parts = [list(dict.fromkeys([k[n] for k in keys])) for n in range(len(keys[0]))]
    if len(set(keys)) == 1:
        return ", ".join(value.of("") for value in keys[0])
    listed = list(dict.fromkeys(keys))
    return ", ".join(
        f"unnest(array[{', '.join(key[n].of('') for key in listed)}])" for n in range(len(parts))
    )


def plain(flat: Flat, way: Way) -> str:
    """From $1, values of one column."""
    if not way.hops:
        return "select e.key from unnest($1) as e (key)"
    ((_, first),) = way.hops[0].on
    return (
        f"select {shown(way)} from {joined(flat, way)}"
        f" where {first.of(alias(way.hops[0].occurrence))} = any ($1)"
    )


def unpacked(flat: Flat, way: Way, number: int) -> str:
    """From $1, JSON arrays: the number of the entry, then its values."""

    def part(n: int, value: Value) -> str:
        kind = flat.type_of(value) or "text"
        return (
            f"case when e.entry::jsonb ->> 0 = '{number}' then (e.entry::jsonb ->> {n})::{kind} end"
        )

    if not way.hops:
        keys = ", ".join(part(n, value) for n, value in enumerate(way.keys, 1))
        return f"select {keys} from unnest($1) as e (entry) where e.entry::jsonb ->> 0 = '{number}'"
    first = way.hops[0]
    on = " and ".join(
        f"{other.of(alias(first.occurrence))} = {part(n, own)}"
        for n, (own, other) in enumerate(first.on, 1)
    )
    return f"select {shown(way)} from unnest($1) as e (entry) join {joined(flat, way, on)}"


def joined(flat: Flat, way: Way, first_on: str = "") -> str:
    parts: list[str] = []
    for hop in way.hops:
        name = f"{flat.occurrence(hop.occurrence).relation.name} {alias(hop.occurrence)}"
        if parts:
            parts.append(f"join {name} on {equal(hop.on)}")
        else:
            parts.append(f"{name} on {first_on}" if first_on else name)
    return " ".join(parts)


def equal(pairs: tuple[Pair, ...]) -> str:
    return " and ".join(
        f"{other.of(alias(other.occurrence))} = {own.of(alias(own.occurrence))}"
        for own, other in pairs
    )


def shown(way: Way) -> str:
    return ", ".join(value.of(alias(value.occurrence)) for value in way.keys)


def alias(occurrence: int) -> str:
    return f"t{occurrence}"
