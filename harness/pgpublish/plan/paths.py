"""From a row of one occurrence of a table to the keys it may change.

Either its own columns equal the key, or joins lead to it. Joins may only go to tables that must be
there for the row to matter. Each table on the way is nearer to the key than the one before, so that
of several rows that changed at once, the nearest still finds the key in what has been committed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from pgpublish.plan.catalog import Index
from pgpublish.plan.flat import Flat, Value

MOST_JOINS = 8

Pair = tuple[Value, Value]  # a column of the side that is known, and the one that equals it


@dataclass(frozen=True)
class Hop:
    occurrence: int
    on: tuple[Pair, ...]


@dataclass(frozen=True)
class Way:
    """keys: SQL of the key, over the row itself if there are no hops, else over theirs. entry: the
    row's columns that the first hop begins with."""

    occurrence: int
    keys: tuple[Value, ...]
    hops: tuple[Hop, ...] = ()

    @property
    def entry(self) -> tuple[Value, ...]:
        return tuple(own for own, _ in self.hops[0].on) if self.hops else self.keys


@dataclass(frozen=True)
class State:
    hops: tuple[Hop, ...]
    visited: frozenset[int]


class Finder:
    def __init__(self, flat: Flat, key: list[Value]) -> None:
        self.flat, self.key = flat, key
        self.core = flat.around(*(flat.scope_of(value) for value in key))
        self.inside = frozenset[int]()  # the part of a UNION that made the row

    def ways(self, number: int, inside: frozenset[int] = frozenset()) -> list[Way]:
        """One that finds all keys, or one through each part of a UNION that the row is joined to;
        empty: nothing joins the table to the key. inside: parts that made what it is joined to."""
        self.inside = inside
        way = self.way(number)
        if way is not None:
            return [way]
        near = self.usable(number)
        for scope, parts in self.flat.unions:
            if scope in near and not near.intersection(parts):
                found = [self.ways(number, inside | self.flat.around(part)) for part in parts]
                if all(found):
                    return [way for some in found for way in some]
        return []

    def way(self, number: int) -> Way | None:
        """The shortest one; None: nothing joins the table to the key."""
        own = self.shown(frozenset((number,)), number)
        if own is not None:
            return Way(number, own)
        todo = deque([State((), frozenset())])
        seen = {frozenset[int]()}
        while todo:
            state = todo.popleft()
            if state.hops:
                keys = self.shown(state.visited, state.hops[-1].occurrence)
                if keys is not None:
                    return Way(number, keys, state.hops)
            if len(state.hops) == MOST_JOINS:
                continue
            for hop in self.hops(number, state):
                visited = state.visited | {hop.occurrence}
                if visited not in seen:
                    seen.add(visited)
                    todo.append(State((*state.hops, hop), visited))
        return None

    def usable(self, number: int) -> frozenset[int]:
        return self.flat.around(self.flat.occurrence(number).scope) | self.core | self.inside

    def shown(self, visited: frozenset[int], start: int) -> tuple[Value, ...] | None:
        """The key by columns of these occurrences."""
        classes = self.flat.classes(self.usable(start), exact=True)
        found: list[Value] = []
        for value in self.key:
            equal = [value, *sorted(classes.get(value, ()), key=lambda v: v.occurrence)]
            own = next((v for v in equal if v.occurrence in visited), None) or next(
                (v for v in equal if v.occurrence == 0), None
            )
            if own is None:
                return None
            found.append(own)
        return tuple(found) if any(v.occurrence in visited for v in found) else None

    def hops(self, start: int, state: State) -> list[Hop]:
        """Joins from where the path is: its end, or any table that is there whenever the key is."""
        sides = [state.hops[-1].occurrence] if state.hops else [start]
        if state.hops and self.flat.occurrence(sides[0]).scope in self.core:
            sides = [
                hop.occurrence
                for hop in reversed(state.hops)
                if self.flat.occurrence(hop.occurrence).scope in self.core
            ]
        found: dict[int, Hop] = {}
        for side in sides:
            usable = self.usable(side)
            joined: dict[int, list[Pair]] = {}
            for known, equal in self.flat.classes(usable).items():
                if known.occurrence != side:
                    continue
                for other in sorted(equal, key=lambda v: (v.occurrence, v.sql)):
                    if self.fits(other, start, state, usable):
                        joined.setdefault(other.occurrence, []).append((known, other))
            for number, pairs in joined.items():
                found.setdefault(number, Hop(number, self.fewest(number, pairs)))
        return sorted(found.values(), key=lambda hop: (not self.indexed(hop), hop.occurrence))

    def fits(self, value: Value, start: int, state: State, usable: frozenset[int]) -> bool:
        return (
            value.occurrence > 0
            and value.occurrence != start
            and value.occurrence not in state.visited
            and self.flat.occurrence(value.occurrence).scope in usable
        )

    def fewest(self, number: int, pairs: list[Pair]) -> tuple[Pair, ...]:
        """One column that alone is unique, else all that must be equal."""
        unique = self.flat.occurrence(number).relation.unique
        alone = next((p for p in pairs if (p[1].column,) in unique), None)
        columns: dict[Value, Pair] = {}
        for pair in pairs:
            columns.setdefault(pair[1], pair)
        return (alone,) if alone else tuple(columns.values())

    def indexed(self, hop: Hop) -> bool:
        return any(index_for(self.flat, other) for _, other in hop.on)


def index_for(flat: Flat, value: Value) -> Index | None:
    """One that finds the rows of its table by this value."""
    relation = flat.occurrence(value.occurrence).relation
    if value.column is None:
        return relation.index_of(value.of(""))
    return relation.index_on(value.column)
